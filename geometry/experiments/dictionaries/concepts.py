"""Which features stand for concepts, on words that chose none: the whole distribution, parents and children."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from geometry.concepts import ConceptHierarchy, largest_concepts, sample_words, short_name
from geometry.dictionaries import ConceptFeatures, TreeFeatures, concept_features, tree_features
from geometry.dictionaries.concept_features import prepared
from geometry.display import short_repr
from geometry.errors import EstimationError
from geometry.evidence import lemma_folds
from geometry.experiments.dictionaries.said import said, written
from geometry.experiments.dictionaries.setup import CODEBOOK, RANDOM, SAE, Bench
from geometry.experiments.parts import Part
from geometry.experiments.result import FigureSpec, TableSpec
from geometry.intervals import summarise
from geometry.layers import load_contexts, read_phrases
from geometry.randomness import generator

Array = NDArray[np.float64]
DENSE, PERMUTED = "mean difference (dense)", "permuted words"
_WORDS = 10  # of each concept's own
_SHOWN = 12


@dataclass(frozen=True, eq=False)
class ConceptsPart(Part):
    """Features of c concepts, of the autoencoder and the codebook; what becomes of parents' features on children.

    Attributes:
        context: in which words were read.
        n_words: phrases.
        found: of the autoencoder; random dictionaries are in it.
        codes: of the codebook.
        dense: AUC of the mean difference of one half of the words on the other, shape (c,).
        tree: of the autoencoder's features; None where no concept has children, `why_not` says so.
        tokens: feature → held-out tokens at which it is most active.
    """

    context: str
    n_words: int
    found: ConceptFeatures
    codes: ConceptFeatures
    dense: Array
    tree: TreeFeatures | None
    why_not: str
    tokens: dict[int, str]

    __repr__ = short_repr

    @property
    def auc(self) -> dict[str, Array]:
        """By what discriminates: held-out AUC of each concept; of nulls every permutation and dictionary, flat."""
        return {
            SAE: self.found.auc,
            CODEBOOK: self.codes.auc,
            DENSE: self.dense,
            RANDOM: self.found.random_auc.ravel(),
            PERMUTED: self.found.permuted_auc.ravel(),
        }

    def over_random(self) -> Array:
        """AUC less the mean of random dictionaries, of each concept."""
        return np.asarray(self.found.auc - self.found.random_auc.mean(axis=0))

    def said(self, values: Array) -> str:
        """A mean with its interval over families of concepts."""
        return said(values, self.found.clusters, ".3f")

    def summary(self) -> list[str]:
        """How well a single feature does, beside controls and a dense direction; then the tree."""
        found, random = self.found, self.found.random_auc.mean(axis=1)
        lines = [
            f"One feature discriminates held-out words of a concept from all others with a mean AUC of"
            f" {self.said(found.auc)} ({len(found.names)} concepts), permuted words {found.permuted_auc.mean():.3f}"
            f" (p = {found.p:.2g}), features of random dictionaries {random.mean():.3f}; paired, it is"
            f" {self.said(self.over_random())} above these. One code reaches {self.said(self.codes.auc)}, the dense"
            f" difference of means {self.said(self.dense)}.",
            f"Both halves of a concept's words choose the same feature for {found.agree.mean():.0%} of the concepts.",
        ]
        if self.tree is None:
            return [*lines, f"Parents and children were not measured: {self.why_not}."]
        table = self.tree.summary()
        row = {name: table.loc[name] for name in ("absorbed", "splitting")}
        told = {
            name: f"{written(each['mean'], (each['low'], each['high']), '.3f')} (random dictionaries"
            f" {each['random dictionary']:.3f}, permuted words {each['permuted words']:.3f})"
            for name, each in row.items()
        }
        return [
            *lines,
            f"Absorption, the share of a child's words on which the parent's feature is silent and the child's carries"
            f" the parent's direction: {told['absorbed']}. Children's features together beat the parent's own by"
            f" {told['splitting']} in F1.",
        ]

    def figures(self) -> list[FigureSpec]:
        """The distribution of AUC; and the tree."""
        from geometry.experiments.dictionaries.concepts_figures import distribution, tree

        return [distribution(self), *([tree(self, self.tree)] if self.tree is not None else [])]

    def tables(self) -> list[TableSpec]:
        """The concepts that single features discriminate best, and the measures of the tree."""
        found, order = self.found, np.argsort(-self.found.auc, kind="stable")
        rows = [
            [
                short_name(found.names[i]), str(found.features[i]), self.tokens.get(int(found.features[i]), ""),
                f"{found.auc[i]:.2f}", f"{found.precision[i]:.2f}", f"{found.recall[i]:.2f}",
                f"{found.random_auc[:, i].mean():.2f}", f"{self.codes.auc[i]:.2f}", f"{self.dense[i]:.2f}",
            ]
            for i in [*order[: _SHOWN - 4], *order[-4:]]
        ]  # fmt: skip
        head = ("concept", "feature", "most active at", "AUC", "precision", "recall", RANDOM, CODEBOOK, DENSE)
        caption = (
            f"The best {_SHOWN - 4} of {len(found.names)} and the worst 4, on words that chose no feature; tokens are"
            " of held-out texts."
        )
        made = [TableSpec("Features of concepts", head, rows, caption)]
        if self.tree is not None:
            table = self.tree.summary()
            cells = [[name, *(f"{value:.3f}" for value in table.loc[name])] for name in table.index]
            made.append(TableSpec("Parents' features on children's words", ("", *table.columns), cells))
        return made

    def to_dict(self) -> dict[str, Any]:
        """The numbers."""
        given: dict[str, Any] = {
            "context": self.context,
            "words": self.n_words,
            "auc": {name: summarise(values) for name, values in self.auc.items()},
            "over_random": summarise(self.over_random()),
            "interval": list(self.found.interval),
            "p": self.found.p,
            "halves_agree": float(self.found.agree.mean()),
            "concepts": {
                name: {"feature": int(feature), "auc": float(auc), "tokens": self.tokens.get(int(feature), "")}
                for name, feature, auc in zip(self.found.names, self.found.features, self.found.auc, strict=True)
            },
        }
        if self.tree is not None:
            given["tree"] = {
                name: dict(zip(row.index, (float(value) for value in row), strict=True))
                for name, row in self.tree.summary().iterrows()
            }
        return given

    def arrays(self) -> dict[str, ArrayLike]:
        """AUC by what discriminates."""
        return {f"auc/{name}": values for name, values in self.auc.items()}


def measure_concepts(bench: Bench) -> ConceptsPart:
    """The largest concepts, a few words of each, in one context."""
    study = bench.study
    chosen = sample_words(largest_concepts(bench.hierarchy, study.n_concepts), _WORDS, seed=study.seed)
    context = load_contexts("neutral").templates[0]  # type: ignore[union-attr]
    activations = read_phrases(
        bench.model, bench.tokenizer, chosen.words, contexts=[context], sites=[bench.site], cache=True
    )
    rows, hierarchy = activations.mean(bench.site).numpy(), chosen.over(activations.vocabulary)
    counts: dict[str, Any] = {"n_permutations": study.n_permutations, "seed": study.seed}
    found = concept_features(bench.dictionary, rows, hierarchy, n_random=study.n_random, **counts)
    codes = concept_features(bench.codebook, rows, hierarchy, **counts)
    tree, why_not = None, ""
    try:
        tree = tree_features(bench.dictionary, rows, hierarchy, n_random=study.n_random, **counts)
    except EstimationError as error:
        why_not = str(error)
    tokens = bench.tokens_of(bench.dictionary, found.features.tolist())
    dense = dense_auc(rows, hierarchy, study.seed)
    return ConceptsPart(str(context), len(rows), found, codes, dense, tree, why_not, tokens)


def dense_auc(rows: Array, hierarchy: ConceptHierarchy, seed: int) -> Array:
    """AUC of each concept along the mean difference of one half of the words, on the other half; mean of both ways."""
    x, members, _, _ = prepared(rows, hierarchy)
    folds = lemma_folds(hierarchy, 2, generator(seed, "halves of words"))
    ways = []
    for held_out in (0, 1):
        test, train = folds == held_out, folds != held_out
        own = members[:, train].astype(np.float64)
        size = own.sum(axis=1, keepdims=True)
        total = x[train].sum(axis=0, dtype=np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            inside = own @ x[train] / size
            directions = inside - (total - own @ x[train]) / (train.sum() - size)
        scores = np.nan_to_num(directions @ x[test].T)
        ranks, within = rankdata(scores, axis=1), members[:, test]
        n, rest = within.sum(axis=1), (~within).sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            ways.append(((ranks * within).sum(axis=1) - n * (n + 1) / 2) / (n * rest))
    both = np.array(ways)
    known = np.isfinite(both)
    return np.where(known.any(axis=0), np.where(known, both, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1), 0.5)
