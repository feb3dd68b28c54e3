"""What geometry says of concepts before anything is steered: the features of a forecast."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from geometry.arguments import checked
from geometry.causal import CausalSpace
from geometry.concepts import ConceptHierarchy
from geometry.directions import ConceptDirections, TokenCloud
from geometry.display import html_table, short_repr
from geometry.errors import SteeringError
from geometry.evidence.splits import train_mask
from geometry.evidence.statistics.child_separation import separation_auc
from geometry.evidence.statistics.existence import held_out_projection
from geometry.layers.contexts import load_contexts
from geometry.layers.phrase_reading import read_phrases
from geometry.steering.final_norm import logit_lens
from geometry.steering.measure import NextToken, probability
from geometry.steering.prompts import LanguageModel, Tokenizer, load_prompts

if TYPE_CHECKING:
    from pandas import DataFrame

Numbers = NDArray[np.float64]
EXISTENCE, SEPARATION, LENS, AGREEMENT, SIZE, UNSTEERED = FEATURES = (
    "existence",
    "separation",
    "lens accessibility",
    "agreement of differences",
    "log number of words",
    "log-odds unsteered",
)
N_WORDS = 6  # of a concept, read in a context


@dataclass(frozen=True, eq=False)
class SteeringFeatures:
    """Numbers of k concepts or classes by which the effect of steering to them is forecast.

    Attributes:
        names: of the concepts, k of them.
        columns: of the features, f of them; by default `FEATURES`.
        values: shape (k, f); nan where one cannot be measured.
        groups: which concepts are not to be divided between calibration and test, shape (k,).
    """

    names: tuple[str, ...]
    columns: tuple[str, ...]
    values: Numbers
    groups: NDArray[np.int64]

    __repr__ = short_repr

    def of(self, name: str) -> Numbers:
        """The features of one concept, shape (f,); SteeringError for an unknown one."""
        if name not in self.names:
            raise SteeringError(f"no features of {name!r}; there are those of {', '.join(self.names[:4])}, …")
        return np.asarray(self.values[self.names.index(name)])

    def only(self, columns: Sequence[str]) -> "SteeringFeatures":
        """Some of the features; SteeringError for an unknown one."""
        if unknown := [name for name in columns if name not in self.columns]:
            raise SteeringError(f"no feature {unknown[0]!r}; there are {', '.join(self.columns)}")
        chosen = self.values[:, [self.columns.index(name) for name in columns]]
        return SteeringFeatures(self.names, tuple(columns), chosen, self.groups)

    def to_frame(self) -> "DataFrame":
        """The table, a concept a row."""
        from pandas import DataFrame

        return DataFrame(self.values, index=list(self.names), columns=list(self.columns))

    def _repr_html_(self) -> str:
        rows = [(name, *row) for name, row in zip(self.names, self.values.tolist(), strict=True)]
        return html_table(("concept", *self.columns), rows, repr(self))


@checked
def concept_features(
    model: LanguageModel,
    tokenizer: Tokenizer,
    space: CausalSpace,
    hierarchy: ConceptHierarchy,
    names: Sequence[str],
    *,
    prompts: Sequence[str] | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> SteeringFeatures:
    """Features of concepts, of the unsteered model alone.

    Example::

        features = geo.tuning.concept_features(model, tokenizer, space, hierarchy, ["bird", "mammal"])
        features.to_frame()

    Parameters:
        hierarchy: with the concepts and their parents.
        names: at least two, of concepts that are not above each other: from the words of the others the lens is to
            discriminate each.
        prompts: after which the concepts' log-odds are asked for, unsteered; default those of `tune`.
        seed: of the split into fitted and held-out lemmas.

    - existence: normalised projection of held-out words on the concept vector.
    - separation: AUC of held-out words against the rest of the parent's; the mean over parents.
    - lens accessibility: up to 6 words of each concept are read in a neutral context after every block, and the final
      norm and the unembedding are applied there. AUC by which the mean logit of the concept's other words discriminates
      its contexts from those of other concepts; the largest over blocks, which the source calls the peak.
    - agreement of differences: mean cosine of each word's difference from the parent's mean with the mean of the other
      words' differences.
    - log number of words, log-odds unsteered: of the concept after the prompts.

    Raises HierarchyError: an unknown name. SteeringError: fewer than two names, or one that is above another.
    Source: existence and separation: Park et al., arXiv 2406.01506; lens accessibility after arXiv 2604.15557 (there
        the accuracy of the lens), agreement after arXiv 2505.22637.
    """
    names = tuple(dict.fromkeys(names))
    if len(names) < 2:
        raise SteeringError("features of at least two concepts are needed, each is discriminated from the others")
    for name in names:
        if above := sorted(hierarchy.descendants(name) & set(names)):
            raise SteeringError(f"{name!r} is above {above[0]!r}; give concepts that are not above each other")
    cloud = TokenCloud.of(space, hierarchy)
    train = train_mask(hierarchy, "lemma", np.random.default_rng(seed))
    directions = ConceptDirections.fit_cloud(cloud, train=train)
    index = [hierarchy.index(name) for name in names]
    reported = list(hierarchy.reported)
    projections = dict(zip(reported, held_out_projection(directions).tolist(), strict=True))
    aucs: dict[int, list[float]] = {}
    for (_, child), auc in zip(hierarchy.reported_edges, separation_auc(directions).tolist(), strict=True):
        aucs.setdefault(child, []).append(auc)
    asked = tuple(load_prompts("neutral").beginnings[::4] if prompts is None else prompts)
    unsteered = NextToken(model, tokenizer, asked).unsteered
    odds = [log_odds(float(probability(unsteered, np.array(hierarchy[name].tokens)).mean())) for name in names]
    columns: dict[str, ArrayLike] = {
        EXISTENCE: [projections.get(place, np.nan) for place in index],
        SEPARATION: [float(np.mean(aucs[place])) if place in aucs else np.nan for place in index],
        LENS: lens_accessibility(model, tokenizer, space, hierarchy, names, progress=progress),
        AGREEMENT: [_agreement(cloud, hierarchy, place) for place in index],
        SIZE: [np.log(len(hierarchy[name])) for name in names],
        UNSTEERED: odds,
    }
    parents = [hierarchy.parents[name][:1] or (name,) for name in names]
    known = {parent: number for number, (parent,) in enumerate(dict.fromkeys(parents))}
    groups = np.array([known[parent] for (parent,) in parents])
    return SteeringFeatures(
        names, FEATURES, np.column_stack([np.asarray(columns[name], dtype=np.float64) for name in FEATURES]), groups
    )


def lens_accessibility(
    model: LanguageModel,
    tokenizer: Tokenizer,
    space: CausalSpace,
    hierarchy: ConceptHierarchy,
    names: Sequence[str],
    *,
    progress: bool | None = None,
) -> Numbers:
    """See `concept_features`; shape (k,)."""
    words, owners = [], []
    for number, name in enumerate(names):
        own = [word for word in dict.fromkeys(w.lower() for w in hierarchy[name].words) if word not in words]
        words += own[:N_WORDS]
        owners += [number] * len(own[:N_WORDS])
    read = read_phrases(model, tokenizer, words, contexts=load_contexts(count=1), progress=progress)
    matrix = space.unembedding.matrix
    position = {word.lower(): lemma for word, lemma in zip(hierarchy.words, hierarchy.lemmas.tolist(), strict=True)}
    lemmas = np.array([position.get(word, -1) for word in words])
    owner, scores = np.array(owners), []
    sums, counts = [], []
    for name in names:
        place = hierarchy.members[hierarchy.index(name)]
        rows = matrix[torch.from_numpy(hierarchy.tokens[place])].double()
        mine = hierarchy.lemmas[place][None, :] == lemmas[:, None]  # a word's own lemma does not count
        kept = torch.from_numpy(~mine).double().to(rows.device)
        sums.append(kept @ rows)
        counts.append(kept.sum(dim=1, keepdim=True).clamp(min=1))
    readouts = torch.stack([total / count for total, count in zip(sums, counts, strict=True)])  # (k, words, d)
    readouts = readouts - readouts.mean(dim=0, keepdim=True)
    for site in read.sites:
        states = logit_lens(model, read.mean(site)).double().to(readouts.device)
        logits = torch.einsum("wd,kwd->wk", states, readouts).cpu().numpy()
        scores.append([auc(logits[owner == number, number], logits[owner != number, number]) for number in
                       range(len(names))])  # fmt: skip
    with np.errstate(invalid="ignore"):
        return np.asarray(np.max(np.array(scores), axis=0))


def auc(inside: Numbers, outside: Numbers) -> float:
    """How often a value of the first is above one of the second; nan where either is empty."""
    if not len(inside) or not len(outside):
        return float("nan")
    from scipy.stats import rankdata

    ranks = rankdata(np.concatenate([inside, outside]))
    n = len(inside)
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * len(outside)))


def log_odds(p: float) -> float:
    """log(p / (1 − p)) of a probability, away from 0 and 1."""
    p = min(max(p, 1e-12), 1 - 1e-12)
    return float(np.log(p / (1 - p)))


def agreement(differences: Numbers) -> float:
    """Mean cosine of differences (n, d) with the mean of the others; nan of fewer than two."""
    n = len(differences)
    if n < 2:
        return float("nan")
    others = (differences.sum(axis=0) - differences) / (n - 1)
    norms = np.linalg.norm(differences, axis=1) * np.linalg.norm(others, axis=1)
    return float(np.mean((differences * others).sum(axis=1) / np.maximum(norms, 1e-30)))


def _agreement(cloud: TokenCloud, hierarchy: ConceptHierarchy, place: int) -> float:
    points = cloud.points.double().cpu().numpy()
    name = hierarchy.names[place]
    parents = hierarchy.parents[name]
    origin = points[hierarchy.members[hierarchy.index(parents[0])]].mean(axis=0) if parents else points.mean(axis=0)
    return agreement(points[hierarchy.members[place]] - origin)
