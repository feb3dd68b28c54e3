"""What the selectivity study is made on: concepts and targets, prompts, the model's laws and states after them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.causal import CausalSpace
from geometry.concepts import ConceptHierarchy, proper_concepts
from geometry.directions import TokenCloud
from geometry.display import short_repr
from geometry.errors import SteeringError
from geometry.experiments.study import Step
from geometry.models import Unembedding, require_language_model
from geometry.selectivity import ConceptOdds, OutputSelectivity, spread_over_depths
from geometry.steering import NextToken, PromptSet, Site, load_prompts, read_activations
from geometry.steering.architecture import Architecture
from geometry.steering.readout import Readout

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from geometry.experiments.selectivity.study import SelectivityStudy

Array = NDArray[np.float64]
_AS_READ = 1e-2  # nats by which the unembedding's own law may differ from the model's, in KL
_AFTER_NORM = Site("after_norm")
LARGEST_PART = 0.5  # of the hierarchy's words that a target may hold: what holds more is no direction among them


@dataclass(frozen=True, eq=False)
class Bench:
    """What all parts share; a targets, n prompts, V tokens.

    Attributes:
        hierarchy: all concepts, whose log-odds are measured.
        targets: names of those that are steered to.
        cloud: of the hierarchy's words in the unified space.
        next_token: the model after the prompts.
        states: λ0 after the final norm, shape (n, d).
        selectivity: of the targets and the unsteered laws.
    """

    study: "SelectivityStudy"
    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerBase"
    prompts: PromptSet
    beginnings: tuple[str, ...]
    unembedding: Unembedding
    space: CausalSpace
    hierarchy: ConceptHierarchy
    targets: tuple[str, ...]
    cloud: TokenCloud
    next_token: NextToken
    states: Array
    selectivity: OutputSelectivity

    __repr__ = short_repr

    @property
    def unsteered(self) -> Array:
        """p_0, shape (n, V)."""
        return self.selectivity.unsteered

    def only(self, targets: tuple[str, ...]) -> OutputSelectivity:
        """The same laws and concepts, fewer targets."""
        return OutputSelectivity(self.selectivity.odds, targets, self.unsteered)

    def spread(self, count: int) -> tuple[str, ...]:
        """So many of the targets, over the same depths."""
        count = min(count, len(self.targets))
        return tuple(self.targets[i] for i in ((np.arange(count) + 0.5) * len(self.targets) / count).astype(int))

    def shifts(self, vectors: Array) -> Array:
        """δᵀγ(y) of directions after the norm (b, d) over the model's vocabulary, 0 beyond γ's rows, shape (b, V)."""
        matrix = self.unembedding.matrix
        products = (
            (torch.from_numpy(np.asarray(vectors, dtype=np.float32)).to(matrix) @ matrix.T).double().cpu().numpy()
        )
        shifts = np.zeros((len(products), self.unsteered.shape[1]))
        width = min(shifts.shape[1], products.shape[1])
        shifts[:, :width] = products[:, :width]
        return shifts


def prepare(study: "SelectivityStudy", step: Step) -> Bench:
    """Choose targets, load the model; names, prompts and models that do not fit are refused."""
    require_language_model(study.model)
    prompts = load_prompts(study.prompts)
    beginnings = prompts.beginnings[: study.n_prompts]
    if len(beginnings) < 3:
        raise SteeringError(f"{prompts.name}: at least 3 beginnings are needed for an interval over prompts")
    step(f"reading the unembedding of {study.model}")
    session, place = step.session, study.placement
    unembedding = session.unembedding(study.model, place)
    hierarchy = proper_concepts(session.hierarchy(study.hierarchy, unembedding.vocabulary))
    most = LARGEST_PART * len(hierarchy.tokens)
    usable = hierarchy.only([concept.name for concept in hierarchy if len(concept) <= most])
    targets = spread_over_depths(usable, study.n_concepts)
    space = session.space(study.model, place)
    cloud = session.cloud(space, hierarchy)

    step(f"loading {study.model}")
    model, tokenizer = session.language_model(study.model, place)
    check_readout(model)
    next_token = NextToken(model, tokenizer, beginnings)
    states = read_activations(model, tokenizer, beginnings, [_AFTER_NORM])[_AFTER_NORM]
    unsteered = np.exp(next_token.unsteered.double().numpy())
    unsteered /= unsteered.sum(axis=1, keepdims=True)
    selectivity = OutputSelectivity(ConceptOdds.of(hierarchy), targets, unsteered)
    bench = Bench(
        study, model, tokenizer, prompts, beginnings, unembedding, space, hierarchy, targets, cloud, next_token,
        np.asarray(states, dtype=np.float64), selectivity,
    )  # fmt: skip
    _check_laws(bench)
    return bench


def check_readout(model: "PreTrainedModel") -> None:
    """SteeringError for a model whose logits are not the products λᵀγ, on which the algebra rests."""
    readout = Readout.of(Architecture.of(model))
    bent = ["no head"] if readout is None else list(readout.notes)
    if readout is not None and not readout.follows:
        bent.append("a layer stands between the final norm and the head")
    if bent:
        raise SteeringError(
            f"{type(model).__name__}: {'; '.join(bent)}; the study computes laws as p ∝ exp(λᵀγ), which they are not"
            " here; choose a model whose logits are the head's products alone"
        )


def _check_laws(bench: Bench) -> None:
    """SteeringError where the unembedding that was read gives another law than the model's own."""
    logits = bench.shifts(bench.states)
    logits -= logits.max(axis=1, keepdims=True)
    law = np.exp(logits)
    law /= law.sum(axis=1, keepdims=True)
    tiny = np.finfo(np.float64).tiny
    apart = float((bench.unsteered * np.log(np.maximum(bench.unsteered, tiny) / np.maximum(law, tiny))).sum(1).max())
    if not apart <= _AS_READ:
        raise SteeringError(
            f"{bench.study.model}: the law of its unembedding is {apart:.3g} nats from the model's own, so that no"
            " direction can be added by algebra; is the matrix another one than the model's head?"
        )
