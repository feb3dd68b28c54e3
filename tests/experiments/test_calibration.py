"""Calibration: worlds have what they claim, the study runs whole, claims hold their level, verdicts find the truth."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import geometry as geo
from analysis import calibration
from geometry.concepts import lemma_frequency_ranks
from geometry.experiments import CalibrationStudy
from geometry.experiments.calibration import measure
from geometry.experiments.calibration.measure import LARGE, SMALL, judge, p_values_of
from geometry.experiments.calibration.result import BLOCKS, TOKENS, CalibrationResult, Rate
from geometry.experiments.calibration.worlds import WORLDS, PlantedModel, Sizes, true_cosine

TINY = Sizes(width=20, vocabulary=200, levels=(3, 3), lemmas=6)
OPTIONS = {"n_models": 1, "n_permutations": 19, "n_verdicts": 1}


def draw(world: str, sizes: Sizes = SMALL, seed: int = 0) -> PlantedModel:
    return WORLDS[world].draw(np.random.default_rng(seed), sizes)


def rows(planted: PlantedModel) -> np.ndarray:
    return planted.unembedding.matrix.numpy()[planted.hierarchy.tokens]


def leaves(hierarchy: geo.ConceptHierarchy) -> list[np.ndarray]:
    """The tokens of each concept without children."""
    return [members for index, members in enumerate(hierarchy.members) if index not in hierarchy.families]


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "SMALL", TINY)
    monkeypatch.setattr(measure, "LARGE", TINY)
    monkeypatch.setattr(measure, "VERDICT_PERMUTATIONS", 5)


@pytest.mark.parametrize("world", WORLDS)
def test_every_world_is_a_regular_hierarchy_whose_lemmas_are_grouped(world: str) -> None:
    planted = draw(world)
    hierarchy = planted.hierarchy
    assert len(hierarchy) == 1 + 4 + 12
    assert {len(children) for children in hierarchy.families.values()} == {3, 4}
    assert planted.unembedding.matrix.shape == (SMALL.vocabulary, SMALL.width)
    forms = np.bincount(hierarchy.lemmas)
    assert len(forms) == 12 * SMALL.lemmas
    assert set(forms.tolist()) == {"frequency only": {1}, "frequency, smooth": {1}, "variants only": {2, 3}}.get(
        world, {1, 2}
    )
    for members in leaves(hierarchy):
        assert len(np.unique(hierarchy.lemmas[members])) == SMALL.lemmas
    # Frequency is the order of tokens: no word is one that lists of English words rank.
    first = np.unique(hierarchy.lemmas, return_index=True)[1]
    np.testing.assert_array_equal(np.argsort(lemma_frequency_ranks(hierarchy)), np.argsort(first))
    assert planted.noiseless.any() == WORLDS[world].structured
    again = draw(world)
    np.testing.assert_array_equal(rows(planted), rows(again))


def test_contrasts_have_their_length_and_are_orthogonal_to_all_others() -> None:
    planted = draw("true", LARGE)
    hierarchy = planted.hierarchy
    means = np.stack([planted.noiseless[members].mean(axis=0) for members in hierarchy.members])
    one, other, cousin, aunt = (means[hierarchy.index(f"root-{way}")] for way in ("0-0-0", "0-0-1", "0-1-0", "1"))
    assert (one - other) @ (one - other) == pytest.approx(20)  # two contrasts of 10
    assert (one - cousin) @ (one - cousin) == pytest.approx(40)
    assert (one - other) @ cousin == pytest.approx(0, abs=1e-9)
    assert (one - other) @ aunt == pytest.approx(0, abs=1e-9)
    assert len(hierarchy.tokens) <= 0.05 * LARGE.vocabulary
    residual = rows(planted) - planted.noiseless
    assert residual.var() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(
    ("world", "low", "high"), [("true", 0, 0.02), ("tilted .15", 0.1, 0.15), ("tilted .3", 0.2, 0.3)]
)
def test_the_true_cosine_is_that_of_the_tilt(world: str, low: float, high: float) -> None:
    assert low <= true_cosine(draw(world, LARGE)) <= high


def test_without_concepts_there_is_no_true_cosine() -> None:
    assert np.isnan(true_cosine(draw("noise", TINY)))


def test_frequency_moves_rows_and_concepts_and_within_a_narrow_band_there_is_nothing() -> None:
    planted = draw("frequency only", Sizes(48, 20_000, (4, 3), 400))
    hierarchy, points = planted.hierarchy, rows(planted)
    shift = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)[0][:, :2]
    logarithm = np.log(hierarchy.tokens + 2000)
    fitted = shift @ np.linalg.lstsq(shift, logarithm - logarithm.mean(), rcond=None)[0]
    assert np.corrcoef(fitted, logarithm)[0, 1] > 0.6
    ranks = [np.median(hierarchy.tokens[members]) for members in leaves(hierarchy)]
    assert max(ranks) > 2 * min(ranks)
    # Rows of two concepts differ, but not those among as frequent words.
    first, *_, last = leaves(hierarchy)
    band = [np.flatnonzero(abs(hierarchy.tokens - 8000) < 2500)] * 2
    alike = [np.intersect1d(own, near) for own, near in zip((first, last), band, strict=True)]
    gap = points[first].mean(axis=0) - points[last].mean(axis=0)
    near = points[alike[0]].mean(axis=0) - points[alike[1]].mean(axis=0)
    expected = 48 * sum(1 / len(own) for own in alike)
    assert gap @ gap > 3 * 48 * 2 / 400
    assert near @ near < 2 * expected


def test_forms_of_a_lemma_correlate_and_words_do_not() -> None:
    planted = draw("variants only")
    points, lemmas = rows(planted), planted.hierarchy.lemmas
    products = points @ points.T / SMALL.width
    same = lemmas[:, None] == lemmas
    assert products[same & ~np.eye(len(lemmas), dtype=bool)].mean() == pytest.approx(0.61, abs=0.03)
    assert products[~same].mean() == pytest.approx(0, abs=0.01)


def test_the_power_law_world_is_anisotropic_with_a_heavy_component() -> None:
    space = geo.CausalSpace.fit(draw("GloVe-like spectrum").unembedding)
    values = space.eigenvalues.numpy()[::-1]
    assert values[0] > 10 * np.median(values)
    assert values[1] > 10 * values[-1]


def test_rates_have_binomial_intervals() -> None:
    rate = Rate(3, 40)
    assert rate.share == 0.075
    assert rate.interval == pytest.approx((0.0157, 0.2039), abs=1e-4)  # as tabled for 3 of 40
    assert np.isnan(Rate(0, 0).share)
    assert str(Rate(0, 0)) == "–"


@pytest.mark.usefixtures("tiny")
def test_a_tiny_run_writes_everything_and_the_same_seed_gives_the_same(tmp_path: Path) -> None:
    steps: list[str] = []
    result = CalibrationStudy(**OPTIONS).run(steps.append)
    assert isinstance(result, CalibrationResult)
    assert len(steps) == len(measure.RATED) + len(measure.JUDGED)
    folder = result.write(tmp_path / "one")
    names = {f"{name}.{end}" for name in ("rates", "verdicts") for end in ("png", "svg")}
    assert {path.name for path in folder.iterdir()} == names | {"results.json", "results.npz"}
    content = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    for figure in content["figures"]:
        assert len(figure["title"]) <= 140
        assert len(figure["caption"]) <= 380
    rates = content["results"]["rates"]
    assert set(rates) == set(measure.RATED)
    assert set(rates["noise"]["existence"]) == {BLOCKS, TOKENS}
    assert rates["noise"]["existence"][BLOCKS]["of"] == 1
    assert all(sum(of.values()) == 1 for of in content["results"]["verdicts"]["orthogonality (b)"].values())
    words = {word for of in content["results"]["verdicts"].values() for found in of.values() for word in found}
    assert words <= set(geo.evidence.VERDICTS)
    for table in content["tables"]:
        assert all(len(row) == len(table["head"]) for row in table["rows"])
    arguments = ["--n-models", "1", "--n-permutations", "19", "--n-verdicts", "1", "--out", str(tmp_path / "two")]
    assert geo.cli.script(CalibrationStudy, calibration.main, calibration.__doc__, arguments) == 0
    again = json.loads((tmp_path / "two" / "results.json").read_text(encoding="utf-8"))
    assert again["results"] == content["results"]
    assert again["command"] == "concept-geometry run calibration --n-models 1 --n-permutations 19 --n-verdicts 1"


@pytest.mark.long
@pytest.mark.parametrize("world", ["noise", "frequency only"])
def test_without_structure_every_claim_is_found_at_its_level(world: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "NULLS", {"permuted": geo.NULLS["permuted"]})
    p = np.stack([p_values_of(CalibrationStudy(), world, number) for number in range(200)])[..., 0]
    rates = {
        claim.name: float((own <= 0.05).sum() / np.isfinite(own).sum())
        for claim, own in zip(measure.TESTED, p.T, strict=True)
        if np.isfinite(own).any()
    }
    assert not {name: rate for name, rate in rates.items() if not 0.01 <= rate <= 0.09}


@pytest.mark.long
@pytest.mark.parametrize(
    ("world", "expected"),
    [("true", "orthogonal within 0.15"), ("tilted .3", "contradicted")],
)
def test_large_models_get_the_verdict_that_is_true(world: str, expected: str) -> None:
    judged = [judge(CalibrationStudy(), world, number) for number in range(6)]
    found = Counter(one.verdicts["orthogonality-b"] for one in judged)
    assert found[expected] >= 5, found
    if world == "tilted .3":
        assert min(one.true_cosine for one in judged) >= 0.2
