"""What the study of composition is made on: series of values, and their vectors at every site."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geometry.causal import CausalSpace
from geometry.concepts import Series, load_series
from geometry.display import short_repr
from geometry.errors import GeometryError, HierarchyError
from geometry.experiments.study import Step
from geometry.layers import NeutralText, PhraseActivations, load_contexts, read_phrases
from geometry.models import Unembedding, Vocabulary, require_language_model
from geometry.steering import Architecture, Site

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from geometry.experiments.composition.study import CompositionStudy

Array = NDArray[np.float64]
Vectors = Mapping[str, tuple[tuple[str, ...], NDArray[np.int64], Array]]
UNEMBEDDING, EMBEDDING, FIRST_MLP = "unembedding", Site("input", 0), Site("mlp", 0)
_CONTEXTS = 2
_WORDS = 200  # most frequent words of the vocabulary among which random ones are drawn


@dataclass(frozen=True, eq=False)
class Bench:
    """What all parts share.

    Attributes:
        series: by the model's vocabulary.
        activations: of all their words, and of random words, at `sites`.
        vectors: place ("unembedding", a site, the control's name) → series by name: values, positions, vectors, in a
            space with the metric of that place.
        random: site → vectors of random words there.
        neutral: text by whose covariance each site is measured.
        left_out: why there is no control.
    """

    study: "CompositionStudy"
    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerBase"
    unembedding: Unembedding
    series: Mapping[str, Series]
    activations: PhraseActivations
    vectors: Mapping[str, Vectors]
    random: Mapping[str, Array]
    neutral: NeutralText
    left_out: Mapping[str, str]

    __repr__ = short_repr

    @property
    def steered(self) -> list[Site]:
        """Outputs of blocks that later ones read at a token that is not the last."""
        last = len(Architecture.of(self.model).blocks) - 1
        return [site for site in self.inside if site.place == "output" and site.block != last]

    @property
    def inside(self) -> tuple[Site, ...]:
        """Where activations were read, in the order of the model."""
        return self.activations.sites


def chosen_series(vocabulary: Vocabulary, source: str, names: Sequence[str]) -> dict[str, Series]:
    """The sets of a file that are asked for; HierarchyError for unknown names and fewer than two."""
    skipped: dict[str, str] = {}
    every = load_series(vocabulary, source, skipped=skipped)
    if unknown := [name for name in names if name not in every and name not in skipped]:
        raise HierarchyError(f"{source}: there is no set {unknown[0]!r}; it has {', '.join([*every, *skipped])}")
    found = {name: every[name] for name in names if name in every}
    if len(found) < 2:
        why = "".join(f"; {name}: {reason}" for name, reason in skipped.items() if name in names)
        raise HierarchyError(f"{source}: composition compares two series at least, not {len(found)}{why}")
    return found


def vectors_of(space: CausalSpace, series: Mapping[str, Series]) -> Vectors:
    """Of every value the mean of its words' rows in the space."""
    made = {}
    for name, values in series.items():
        rows = space.rows(values.tokens).double().cpu().numpy()
        means = np.stack([rows[values.owners == position].mean(axis=0) for position in values.positions])
        made[name] = (values.values, values.positions, means)
    return made


def sites_read(n_blocks: int, every: int) -> list[Site]:
    """The embedding, the first MLP's output, and outputs of every so many blocks, the first and the last among them."""
    blocks = sorted({0, n_blocks - 1, *range(0, n_blocks, every)})
    return [EMBEDDING, FIRST_MLP, *(Site("output", block) for block in blocks)]


def prepare(study: "CompositionStudy", step: Step) -> Bench:
    """Read series, model and activations; series that the vocabulary lacks are refused before the model is loaded."""
    require_language_model(study.model)
    session, place = step.session, study.placement
    step(f"reading the unembedding of {study.model}")
    unembedding = session.unembedding(study.model, place)
    series = chosen_series(unembedding.vocabulary, study.series, study.sets)
    space = session.space(study.model, place)
    vectors: dict[str, Vectors] = {UNEMBEDDING: vectors_of(space, series)}
    left_out = {}
    if study.control != "none":
        try:
            other = session.space(study.control, place)
            vectors[study.control] = vectors_of(
                other, chosen_series(other.unembedding.vocabulary, study.series, study.sets)
            )
        except GeometryError as error:
            left_out[study.control] = str(error)
    words = [unembedding.vocabulary.text(int(token)).strip() for each in series.values() for token in each.tokens]
    drawn = _random_words(unembedding.vocabulary, set(words), study.seed)
    step(f"loading {study.model}")
    model, tokenizer = session.language_model(study.model, place)
    sites = sites_read(len(Architecture.of(model).blocks), study.every)
    step(f"reading {len(words)} words of {len(series)} series")
    contexts = load_contexts(load_contexts("neutral").templates[:_CONTEXTS])  # type: ignore[union-attr]
    phrases = list(dict.fromkeys([*words, *drawn]))
    activations = read_phrases(model, tokenizer, phrases, contexts=contexts, sites=sites, cache=True)
    neutral = NeutralText.read(model, tokenizer, sites=sites, cache=True)
    random = {}
    for site in sites:
        at = activations.space(site, neutral.covariance(site))
        vectors[str(site)] = vectors_of(at, chosen_series(activations.vocabulary, study.series, study.sets))
        ids = np.array([activations.phrases.index(word) for word in drawn])
        random[str(site)] = at.rows(ids).double().cpu().numpy()
    return Bench(study, model, tokenizer, unembedding, series, activations, vectors, random, neutral, left_out)


def _random_words(vocabulary: Vocabulary, members: set[str], seed: int) -> list[str]:
    """Lower-case words of the vocabulary that no series holds."""
    taken = {word.lower() for word in members}
    words = [
        word for word in vocabulary.words if word.isascii() and word.isalpha() and word.islower() and len(word) > 2
    ]
    others = [word for word in words if word not in taken][: 20 * _WORDS]
    order = np.random.default_rng(seed).permutation(len(others))[:_WORDS]
    return [others[index] for index in order]
