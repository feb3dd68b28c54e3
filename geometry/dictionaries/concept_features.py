"""Which feature stands for each concept of a hierarchy, and how well it discriminates words it was not chosen by."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from geometry.arguments import checked
from geometry.concepts import ConceptHierarchy
from geometry.concepts.frequency import word_ranks
from geometry.dictionaries.dictionary import Dictionary
from geometry.dictionaries.feature_dictionary import FeatureDictionary
from geometry.dictionaries.feature_scores import Array, Mask, auc, best, precision_recall
from geometry.dictionaries.random_dictionary import random_dictionary
from geometry.display import html_table, short_repr
from geometry.errors import EstimationError, shown
from geometry.evidence import LemmaBlocks, lemma_folds
from geometry.intervals import interval_of
from geometry.randomness import generator
from geometry.significance import permutation_p

if TYPE_CHECKING:
    from pandas import DataFrame

_MOST_KNOWN = 0.8
FEWEST = 4  # words of a concept, and outside it: two for choosing, two for scoring


@dataclass(frozen=True, eq=False)
class ConceptFeatures:
    """The feature that stands for each concept, beside permuted words and random dictionaries.

    Attributes:
        names: of the concepts that could be measured, shape (c,).
        features: the feature with the highest AUC over all of a concept's words, shape (c,).
        auc: of the feature that one half of the words chooses, on the other half, mean of both ways; ½ by chance.
        precision, recall: of its firing, on the same words.
        agree: whether both halves choose the same feature.
        clusters: the parent of each concept, by which intervals draw them.
        permuted_auc: the same as `auc` of permuted words, shape (r, c).
        random_auc: of random dictionaries, shape (q, c); none for a codebook.
        skipped: concepts with too few words, or hardly any outside them.
    """

    names: tuple[str, ...]
    features: NDArray[np.int64]
    auc: Array
    precision: Array
    recall: Array
    agree: Mask
    clusters: NDArray[np.int64]
    permuted_auc: Array
    random_auc: Array
    skipped: tuple[str, ...]

    __repr__ = short_repr

    @property
    def interval(self) -> tuple[float, float]:
        """95% interval of the mean AUC, over families of concepts."""
        return interval_of(self.auc, self.clusters)

    @property
    def p(self) -> float:
        """Of the mean AUC, against permuted words."""
        return permutation_p(float(self.auc.mean()), self.permuted_auc.mean(axis=1), "greater")

    def to_frame(self) -> "DataFrame":
        """A row for each concept."""
        from pandas import DataFrame

        columns: dict[str, Any] = {"feature": self.features, "AUC": self.auc, "precision": self.precision}
        columns |= {"recall": self.recall, "halves agree": self.agree, "permuted words": self.permuted_auc.mean(axis=0)}
        if len(self.random_auc):
            columns["random dictionary"] = self.random_auc.mean(axis=0)
        return DataFrame(columns, index=list(self.names))

    def _repr_html_(self) -> str:
        columns = (self.features, self.auc, self.precision, self.recall, self.permuted_auc.mean(axis=0))
        caption = f"mean AUC {self.auc.mean():.2f} on words that chose no feature, p {self.p:.3g}"
        heads = ("concept", "feature", "AUC", "precision", "recall", "permuted words")
        return html_table(heads, zip(self.names, *columns, strict=True), caption)


@checked
def concept_features(
    dictionary: Dictionary,
    rows: ArrayLike,
    hierarchy: ConceptHierarchy,
    *,
    n_permutations: int = 99,
    n_random: int = 3,
    seed: int = 0,
) -> ConceptFeatures:
    """For each concept the one feature that discriminates its words from all other words of the hierarchy.

    Example::

        site = dictionary.site
        activations = geo.read_phrases(model, tokenizer, hierarchy.words, sites=[site], contexts=["I saw a {}"])
        found = concept_features(dictionary, activations.mean(site), hierarchy.over(activations.vocabulary))
        found.to_frame(), found.auc.mean(), found.interval, found.p

    Of thousands of features one discriminates anything by chance: it is chosen by one half of the words and scored on
    the other, which share no lemma, and both ways are averaged. Permuted words keep features and sizes; random
    dictionaries (`random_dictionary`) keep words and how often features are active.

    Parameters:
        rows: shape (n, d), one for each phrase: those that the hierarchy's tokens count.
        hierarchy: over the vocabulary of these phrases.
        n_permutations, n_random: permutations of the words, and random dictionaries.

    Raises EstimationError: rows of another width; a hierarchy over another vocabulary; no concept with 4 words
        in it and 4 outside.
    """
    x, members, kept, skipped = prepared(rows, hierarchy)
    clusters = hierarchy.above[kept]
    folds = lemma_folds(hierarchy, 2, generator(seed, "halves of words"))
    z = dictionary.encode_sparse(x)
    scored = _scored(z, members, folds)
    blocks = exchangeable(hierarchy)
    permuted = np.array([
        _scored(csr_array(z[blocks.permutation(generator(seed, "permuted words", draw))]), members, folds)[0]
        for draw in range(n_permutations)
    ]).reshape(-1, len(kept))  # fmt: skip
    drawn = []
    if isinstance(dictionary, FeatureDictionary):
        for draw in range(n_random):
            control = random_dictionary(dictionary, x, seed=seed + draw)
            drawn.append(_scored(control.encode_sparse(x), members, folds)[0])
    names = tuple(hierarchy.names[index] for index in kept)
    features = best(auc(z, members))
    return ConceptFeatures(
        names, features, *scored, clusters, permuted, np.array(drawn).reshape(-1, len(kept)), skipped
    )


def prepared(rows: Any, hierarchy: ConceptHierarchy) -> tuple[Any, Mask, NDArray[np.int64], tuple[str, ...]]:
    """(the rows of the hierarchy's words, members of each concept that can be measured, their positions, the others).

    EstimationError: fewer rows than the hierarchy counts, or no such concept.
    """
    tokens = np.asarray(hierarchy.tokens)
    if getattr(rows, "ndim", 0) != 2 or tokens.max() >= len(rows):
        raise EstimationError(
            f"hierarchy {hierarchy.name!r} counts phrases up to number {tokens.max()}, and there are rows of shape"
            f" {shown(getattr(rows, 'shape', type(rows)))}; use hierarchy.over(activations.vocabulary)"
        )
    x = rows[tokens]
    members = np.zeros((len(hierarchy), len(tokens)), dtype=bool)
    for index, positions in enumerate(hierarchy.members):
        members[index, positions] = True
    size = members.sum(axis=1)
    enough = (size >= FEWEST) & (len(tokens) - size >= FEWEST)
    if not enough.any():
        raise EstimationError(f"hierarchy {hierarchy.name!r}: no concept has {FEWEST} words and {FEWEST} outside it")
    kept = np.flatnonzero(enough)
    return x, members[kept], kept, tuple(hierarchy.names[index] for index in np.flatnonzero(~enough))


def exchangeable(hierarchy: ConceptHierarchy) -> LemmaBlocks:
    """The lemmas that may change places: among those as frequent, if that is known of most of them.

    Of the others only the place in the list of phrases is known, and phrases are mostly listed concept by concept.
    """
    known = word_ranks()
    share = np.mean([word.lower() in known for word in hierarchy.words])
    return LemmaBlocks.of(hierarchy, by_frequency=bool(share >= _MOST_KNOWN))


def _scored(z: csr_array, members: Mask, folds: NDArray[np.int64]) -> tuple[Array, Array, Array, Mask]:
    """AUC, precision and recall on the half that did not choose, mean of both ways, and whether both chose alike."""
    values, chosen = [], []
    for held_out in (0, 1):
        test, train = folds == held_out, folds != held_out
        feature = best(auc(csr_array(z[train]), members[:, train]))
        rest = csr_array(z[test])
        reached = auc(rest, members[:, test])[np.arange(len(members)), feature]
        fires = rest[:, np.maximum(feature, 0)].toarray().T > 0
        firing = [precision_recall(on, own) for on, own in zip(fires, members[:, test], strict=True)]
        values.append(np.column_stack([np.where(feature >= 0, reached, np.nan), firing]))
        chosen.append(feature)
    with np.errstate(invalid="ignore"):
        together = np.array(values)
        count = np.isfinite(together).sum(axis=0)
        mean = np.where(count > 0, np.nansum(together, axis=0) / np.maximum(count, 1), np.nan)
    mean[:, 0] = np.where(np.isfinite(mean[:, 0]), mean[:, 0], 0.5)  # a half without its words tells nothing
    return mean[:, 0], mean[:, 1], mean[:, 2], chosen[0] == chosen[1]
