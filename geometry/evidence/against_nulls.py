"""Run statistics on a model, on its null models and on theory twins, fitting each cloud once per split.

Clouds are visited one at a time and dropped, so memory does not grow with the number of permutations.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geometry.arguments import checked
from geometry.causal import CausalSpace
from geometry.concepts import ConceptHierarchy
from geometry.directions import TokenCloud
from geometry.errors import EstimationError
from geometry.estimators import Estimator
from geometry.evidence.fitting import Fits, Fitting, Missing
from geometry.evidence.nulls import BASIC_NULLS, NULLS, NullModel
from geometry.evidence.requirements import lacking
from geometry.evidence.side_by_side import numbers, side_by_side
from geometry.evidence.statistics.statistic import Statistic
from geometry.evidence.twin import TILT, TheoryTwin, twin_seed
from geometry.intervals import mean_of
from geometry.progress import progress_bar
from geometry.randomness import generator
from geometry.results import EXACT, TILTED, NullValues, Results, TestResult

# What concepts are fitted to at most: one bound for all models, nulls and studies, so that numbers compare.
MAX_TOKENS = 128

Values = NDArray[np.float64]


@checked
def test_against_nulls(
    space: CausalSpace,
    concepts: ConceptHierarchy | TokenCloud,
    statistics: Sequence[Statistic],
    *,
    nulls: Sequence[str] | Mapping[str, NullModel] = BASIC_NULLS,
    n_permutations: int | Mapping[str, int] = 3,
    twin: TheoryTwin | None = None,
    n_twins: int = 5,
    estimator: Estimator = "lda",
    train_fraction: float = 0.7,
    max_tokens: int | None = MAX_TOKENS,
    missing: Missing = "raise",
    seed: int = 0,
    progress: bool | None = None,
) -> Results:
    """Evaluate every statistic on the model and on permutations of each null.

    >>> results = test_against_nulls(space, hierarchy, [projection()], nulls=["permuted"])  # doctest: +SKIP
    >>> results["projection"].value, results["projection"].nulls["permuted"].mean  # doctest: +SKIP
    (0.56, 0.07)

    Parameters:
        concepts: a hierarchy of tokens, or a cloud of whatever else belongs to concepts, such as the final hidden
            states of prompts; the latter takes nulls of its own.
        nulls: names from `NULLS`, or name → null model of one's own. A statistic passes over those it means nothing on.
        n_permutations: of each null, or by name; a null that is not random is drawn once.
        twin: of the model's cloud, to be measured beside it on so many seeds, `n_twins`, exact and tilted.
        train_fraction: of tokens or lemmas, to fit on in split statistics. One split serves the model and all nulls.
        max_tokens: fit concepts to at most so many tokens; see `ConceptDirections.fit_cloud`. None: to all.
        missing: concepts too small to split, and statistics with nothing to be measured on, raise, or give nan.
        seed: the only source of randomness; each null and permutation has its own generator, so that adding
            permutations or nulls leaves the others as they were.
        progress: show a bar, or lines in a log; default, a bar in a terminal and in a notebook.

    Returns Results: one a statistic, keyed by its name.

    Raises EstimationError: no permutations, an unknown null, a concept too small to split, or nothing in the
        hierarchy to measure a statistic on.
    """
    chosen = _chosen(nulls, n_permutations)
    statistics = list({statistic.name: statistic for statistic in statistics}.values())
    splits = tuple(dict.fromkeys(statistic.split for statistic in statistics))
    model_cloud = concepts if isinstance(concepts, TokenCloud) else TokenCloud.of(space, concepts)
    hierarchy = model_cloud.hierarchy
    options: Any = {"estimator": estimator, "max_tokens": max_tokens, "missing": missing, "seed": seed}
    fitting = Fitting.of(hierarchy, splits, train_fraction=train_fraction, **options)
    jobs = [(name, number) for name, (_, times) in chosen.items() for number in range(times)]
    of: dict[str, Callable[[int], TokenCloud]] = {}
    if twin:
        of = {EXACT: twin.cloud, TILTED: partial(twin.cloud, tilt=TILT)}
    twins = [(name, number) for name in of for number in range(n_twins)]
    if "permuted" in chosen:
        model_cloud.products.form()  # before there are workers, one of which would do it while all others wait
    shown: Any = {"desc": f"{hierarchy.name}: model and nulls", "progress": progress, "leave": True}
    with (
        progress_bar(total=1 + len(jobs) + len(twins), unit="cloud", **shown) as bar,
        side_by_side(numbers(model_cloud, max_tokens)) as each,
    ):
        model = fitting.evaluate(model_cloud, statistics)
        named = {statistic.name: statistic for statistic in statistics}
        bar.update()
        for name, (own, _) in model.items():
            if missing == "raise" and not np.isfinite(own).any():
                where = f"nothing to measure it on in hierarchy {hierarchy.name!r}"
                raise EstimationError(f"{name}: {where}: {_lacking(named[name], own, hierarchy)}")
        fitting = replace(fitting, model={statistic.split: model[statistic.name][1] for statistic in statistics})
        labels = {statistic.name: statistic.labels(model[statistic.name][1][0]) for statistic in statistics}

        def permute(name: str, number: int) -> dict[str, _Permuted]:
            null = chosen[name][0]
            cloud = _in_single_precision(null.draw(space, model_cloud, generator(seed, name, number)), model_cloud)
            beside = [statistic for statistic in statistics if name not in statistic.not_beside]
            measured = fitting.evaluate(cloud, beside, null.estimator)
            bar.update()
            return {
                statistic.name: _aligned(statistic, *measured[statistic.name], labels[statistic.name], hierarchy, seed)
                for statistic in beside
            }

        def measure_twin(name: str, number: int) -> dict[str, float]:
            drawn = of[name](twin_seed(seed, number))
            measured = fitting.evaluate(_in_single_precision(drawn, model_cloud), statistics)
            bar.update()
            return {statistic: mean_of(values) for statistic, (values, _) in measured.items()}

        permuted: dict[tuple[str, str], list[_Permuted]] = defaultdict(list)
        for (name, _), results in zip(jobs, each(lambda job: permute(*job), jobs), strict=True):
            for statistic_name, result in results.items():
                permuted[statistic_name, name].append(result)
        of_twins: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for (name, _), means in zip(twins, each(lambda job: measure_twin(*job), twins), strict=True):
            for statistic_name, mean in means.items():
                of_twins[statistic_name][name].append(mean)
    return Results(
        [
            TestResult(
                name=statistic.name,
                labels=labels[statistic.name],
                values=model[statistic.name][0],
                nulls={
                    name: _null_values(permuted[statistic.name, name], null)
                    for name, (null, _) in chosen.items()
                    if name not in statistic.not_beside
                },
                measure=statistic.name.replace("_", " "),
                subject=hierarchy.name,
                lost=hierarchy.lost,
                lacking=_lacking(statistic, model[statistic.name][0], hierarchy),
                unstructured=statistic.unstructured,
                clusters=statistic.clusters and statistic.clusters(model[statistic.name][1][0]),
                resampled=_resampled(statistic, model[statistic.name][1], seed),
                twin={name: np.array(means) for name, means in of_twins[statistic.name].items()},
            )
            for statistic in statistics
        ]
    )


test_against_nulls.__test__ = False  # type: ignore[attr-defined]  # pytest collects functions by this name


def _lacking(statistic: Statistic, values: Values, hierarchy: ConceptHierarchy) -> str:
    """Why nothing was measured; empty where something was."""
    if np.isfinite(values).any():
        return ""
    return lacking(statistic.requires, hierarchy) or "too few words after they were divided, or no signal"


def _in_single_precision(cloud: TokenCloud, model: TokenCloud) -> TokenCloud:
    """Draws of other points, which are many and random: half the time and memory, for an error of 1e-6.

    Permutations stay as they are, since a p-value counts ties with the model.
    """
    if cloud.permutation_of is not None or cloud.points is model.points:
        return cloud
    return cloud.moved(cloud.points.float())


class _Permuted(NamedTuple):
    values: Values
    aligned: bool
    resampled: Values | None


def _aligned(
    statistic: Statistic, values: Values, fits: Fits, labels: tuple[str, ...], hierarchy: ConceptHierarchy, seed: int
) -> _Permuted:
    """A null's values in the order of the model's labels, where it has the same.

    Of a null that draws concepts, several of which may stand for one real concept, each label gets their mean.
    """
    if fits[0].hierarchy is hierarchy:
        same_words = fits[0].cloud.permutation_of is None
        return _Permuted(values, True, _resampled(statistic, fits, seed) if same_words else None)
    position = {label: index for index, label in enumerate(labels)}
    places = [position.get(label, -1) for label in statistic.labels(fits[0])]
    if -1 in places:
        return _Permuted(values, False, None)
    finite = np.isfinite(values)
    where = np.array(places, dtype=np.int64)[finite]
    counts = np.bincount(where, minlength=len(labels))
    with np.errstate(invalid="ignore", divide="ignore"):
        return _Permuted(np.bincount(where, values[finite], len(labels)) / counts, True, None)


def _resampled(statistic: Statistic, fits: Fits, seed: int) -> Values | None:
    return statistic.resample and statistic.resample(*fits, generator(seed, "bootstrap"))


def _null_values(permuted: Sequence[_Permuted], null: NullModel) -> NullValues:
    """One row a permutation; nan after the shorter, where permutations put different concepts together."""
    rows = np.full((len(permuted), max(len(one.values) for one in permuted)), np.nan)
    for row, one in zip(rows, permuted, strict=True):
        row[: len(one.values)] = one.values
    samples = [one.resampled for one in permuted if one.resampled is not None]
    resampled = np.mean(samples, axis=0) if len(samples) == len(permuted) else None
    return NullValues(rows, null.label, null.marker, all(one.aligned for one in permuted), resampled)


def _chosen(
    nulls: Sequence[str] | Mapping[str, NullModel], n_permutations: int | Mapping[str, int]
) -> dict[str, tuple[NullModel, int]]:
    """Name → null model and how often it is drawn."""
    if unknown := [name for name in nulls if not isinstance(nulls, Mapping) and name not in NULLS]:
        raise EstimationError(f"unknown null model {unknown[0]!r}; there are {', '.join(NULLS)}")
    chosen = {}
    for name, null in (nulls if isinstance(nulls, Mapping) else {name: NULLS[name] for name in nulls}).items():
        times = n_permutations if isinstance(n_permutations, int) else n_permutations.get(name, 0)
        if times < 1:
            raise EstimationError(f"null model {name!r} needs at least one permutation, not {times}")
        chosen[name] = null, times if null.random else 1
    return chosen
