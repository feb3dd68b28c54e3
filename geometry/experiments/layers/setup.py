"""What the study of layers is made on: phrases, the model's activations, metrics, and word vectors beside them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from geometry.causal import CausalSpace
from geometry.concepts import (
    AnyPhrase,
    ConceptHierarchy,
    largest_concepts,
    load_hierarchy,
    proper_concepts,
    sample_words,
)
from geometry.display import short_repr
from geometry.errors import EstimationError, GeometryError, SteeringError
from geometry.evidence import CLAIMS, Claim
from geometry.experiments.study import Step
from geometry.layers import (
    Contexts,
    Metric,
    NeutralText,
    PhraseActivations,
    PulledBackMetrics,
    load_contexts,
    phrase_word_vectors,
    read_phrases,
)
from geometry.models import require_language_model
from geometry.steering import Architecture, Site

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from geometry.experiments.layers.study import LayersStudy

CONTROL = "glove-6b-100d"
MOST_FREQUENT = 20_000  # words that WordNet's phrases are made of
_N_VECTORS = 16  # of pulled-back metrics, each from 64 texts: more than any width that they are measured on here
_N_SAMPLES = 64


@dataclass(frozen=True, eq=False)
class Setup:
    """What all steps share.

    Attributes:
        hierarchy: over the phrases that were read.
        causal: the space of the model's unembedding.
        activations, neutral, pulled_back: what was read and measured of the model, site by site.
        control: GloVe's vectors of the same phrases; None where they are not fetched, or lack one.
        without_control, left_out: why there is no control; why the input of the first block is left out.
    """

    study: "LayersStudy"
    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerBase"
    hierarchy: ConceptHierarchy
    causal: CausalSpace
    activations: PhraseActivations
    neutral: NeutralText
    pulled_back: PulledBackMetrics
    control: CausalSpace | None
    without_control: str
    left_out: str

    __repr__ = short_repr

    def without_model(self, step: Step) -> "Setup":
        """The same for what needs activations alone, so that the model's weights make room."""
        step.session.make_room()
        return replace(self, model=None, tokenizer=None)  # type: ignore[arg-type]

    @property
    def sites(self) -> tuple[Site, ...]:
        """The input of the first block and the outputs of those read."""
        return self.activations.sites

    def metric(self, name: str, site: Site) -> "Metric | Any":
        """The inner product of a name at a site."""
        if name == "euclidean":
            return "euclidean"
        return self.neutral.covariance(site) if name == "covariance" else self.pulled_back.metric(name, site)

    def space(self, site: Site, metric: str = "", contexts: Sequence[int] | None = None) -> CausalSpace:
        """The points of a site under the study's metric, or another."""
        return self.activations.space(site, self.metric(metric or self.study.metric, site), contexts=contexts)


def chosen_claims(names: Sequence[str]) -> tuple[Claim, ...]:
    """Claims by name; EstimationError for an unknown one."""
    if tuple(names) == ("all",):
        return CLAIMS
    known = {claim.name: claim for claim in CLAIMS}
    if unknown := [name for name in names if name not in known]:
        raise EstimationError(f"no claim is called {unknown[0]!r}; there are {', '.join(known)}, or all")
    return tuple(known[name] for name in dict.fromkeys(names))


def phrases_of(study: "LayersStudy") -> ConceptHierarchy:
    """The hierarchy over phrases, its largest concepts, a sample of their words."""
    of_wordnet = study.hierarchy.startswith("wordnet")
    whole = load_hierarchy(study.hierarchy, AnyPhrase(MOST_FREQUENT if of_wordnet else None))
    sample = sample_words(largest_concepts(whole, study.n_concepts), study.words_per_concept, seed=study.seed)
    return proper_concepts(sample)


def prepare(study: "LayersStudy", step: Step) -> Setup:
    """Choose phrases, read them, measure metrics; bad names are refused before the model is loaded."""
    require_language_model(study.model)
    chosen_claims(study.claims)
    contexts = load_contexts(study.contexts)
    if study.n_contexts and isinstance(contexts, Contexts):
        contexts = load_contexts(contexts.templates[: study.n_contexts])
    step(f"choosing phrases of {study.hierarchy}")
    hierarchy = phrases_of(study)
    session, place = step.session, study.placement
    step(f"reading the unembedding of {study.model}")
    causal = session.space(study.model, place)
    step(f"loading {study.model}")
    model, tokenizer = session.language_model(study.model, place)
    sites = [Site("input", 0), *(Site("output", block) for block in study.read_at(len(Architecture.of(model).blocks)))]
    step(f"reading {len(hierarchy.words):,} phrases in {len(contexts)} contexts at {len(sites)} sites")
    activations = read_phrases(model, tokenizer, hierarchy.words, contexts=contexts, sites=sites, cache=True)
    step("measuring metrics on neutral text")
    neutral = NeutralText.read(model, tokenizer, sites=sites, cache=True)
    pulled_back = PulledBackMetrics.of(
        model, tokenizer, causal, sites=sites, n_samples=_N_SAMPLES, n_vectors=_N_VECTORS, seed=study.seed, cache=True
    )
    activations, left_out = _varying(activations)
    hierarchy = hierarchy.over(activations.vocabulary)
    control, reason = None, ""
    try:
        control = phrase_word_vectors(session.space(CONTROL, place), activations.vocabulary)
    except GeometryError as error:
        reason = str(error)
    return Setup(
        study, model, tokenizer, hierarchy, causal, activations, neutral, pulled_back, control, reason, left_out
    )  # fmt: skip


def _varying(activations: PhraseActivations) -> tuple[PhraseActivations, str]:
    """Without the input of the first block where all phrases end in one token, and why it is left out."""
    first = Site("input", 0)
    try:
        activations.vectors(first)
    except SteeringError as error:
        return replace(activations, samples={s: v for s, v in activations.samples.items() if s != first}), str(error)
    return activations, ""
