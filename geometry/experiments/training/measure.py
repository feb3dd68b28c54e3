"""The method of the study of training: one checkpoint after the other, each kept as soon as it is measured."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np

import geometry.evidence as evidence
from geometry.causal import CausalSpace
from geometry.concepts import ConceptHierarchy, load_hierarchy
from geometry.errors import GeometryError, ModelError
from geometry.experiments.announce import announce
from geometry.experiments.layers.depth import DepthOrder
from geometry.experiments.layers.setup import chosen_claims, phrases_of
from geometry.experiments.study import Step
from geometry.experiments.training.by_step import claims_by_step
from geometry.experiments.training.checkpoints import Checkpoint, named_steps
from geometry.experiments.training.control import control_values, require_word_vectors
from geometry.experiments.training.kept import claims_file
from geometry.experiments.training.measured import Claims, MeasuredClaim, keep_claims, kept_claims
from geometry.experiments.training.result import UNEMBEDDING, TrainingResult
from geometry.layers import Contexts, NeutralText, load_contexts, read_phrases
from geometry.layers.contexts import OwnContexts
from geometry.memory import few_arenas, give_back
from geometry.models import Unembedding, load_model, require_language_model
from geometry.models.hub import HubId
from geometry.models.locating import local_path
from geometry.steering import Architecture, Site

if TYPE_CHECKING:
    from geometry.experiments.training.study import TrainingStudy

# The claims' reference, and what nesting and arbitrary parents explain.
NULLS = ("permuted", "random_subset", "random_parent")
_DEPTHS = ("existence", "separation")
_NAMED = 3


def measure_training(study: "TrainingStudy", step: Step) -> TrainingResult:
    """The claims of every checkpoint, twins beside the first and the last, and the step at which each appears.

    Raises GeometryError: checkpoints that are no training, an unknown claim, a hierarchy or contexts that cannot be
        read, all before work starts; or fewer than two checkpoints could be measured.
    """
    checkpoints = study.checkpoints
    for checkpoint in checkpoints:
        require_language_model(checkpoint.model)
    require_word_vectors(study.control)
    run = _Run(study, step, chosen_claims(study.claims))
    announce([study.hierarchy], step)
    if study.blocks:
        contexts = load_contexts(study.contexts)
        run.contexts = contexts.first(study.n_contexts) if study.n_contexts and _cut(contexts) else contexts
        step(f"choosing phrases of {study.hierarchy}")
        run.phrases = phrases_of(cast(Any, study))
        evidence.require_measurable(run.phrases, run.claims)
    few_arenas()
    pending = list(checkpoints)
    # The ends first, which have twins: the first and the last of those that can be read.
    for end in (0, -1):
        while pending and not run.measure(pending.pop(end), study.n_twins):
            pass
    for checkpoint in pending:
        run.measure(checkpoint, 0)
    run.require_two(len(checkpoints))
    vocabulary = cast(Unembedding, run.first).vocabulary
    control, without = control_values(study, step, vocabulary, run.phrases, run.claims)
    found, hierarchies = claims_by_step(run.measured, control), run.hierarchies
    step("comparing depth in the tree with steps")
    return TrainingResult(
        study=study,
        checkpoints=[run.about[number] for number in sorted(run.about)],
        named=named_steps([checkpoint.model for checkpoint in checkpoints]),
        claims=found,
        hierarchies=hierarchies,
        depths={
            site: [
                # Of steps only the order counts, since they are as one has saved them.
                DepthOrder.of(found[site][name], hierarchies[site], places=np.arange(len(run.about)), seed=study.seed)
                for name in _DEPTHS
                if name in found[site]
            ]
            for site in dict.fromkeys((UNEMBEDDING, list(found)[-1]))
        },
        left_out=run.left_out,
        notes=run.notes,
        without_control=without,
    )


def _cut(contexts: "Contexts | OwnContexts") -> bool:
    return isinstance(contexts, Contexts)


@dataclass
class _Run:
    """What is known so far: of the first checkpoint that could be read what all others must agree with."""

    study: "TrainingStudy"
    step: Step
    claims: tuple[evidence.Claim, ...]
    contexts: Any = None
    phrases: ConceptHierarchy | None = None
    first: Unembedding | None = None
    tokens: ConceptHierarchy | None = None
    measured: dict[int, Claims] = field(default_factory=dict)
    about: dict[int, dict[str, Any]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def notes(self) -> list[str]:
        """Checkpoints that are one and the same."""
        by_sum: dict[str, list[int]] = {}
        for number in sorted(self.about):
            by_sum.setdefault(self.about[number]["sha256"], []).append(number)
        same = [steps for steps in by_sum.values() if len(steps) > 1]
        return [f"Steps {', '.join(map(str, steps))} have one and the same unembedding" for steps in same]

    @property
    def hierarchies(self) -> dict[str, ConceptHierarchy]:
        """Site → its concepts."""
        sites = next(iter(self.measured.values()))
        return {site: cast(ConceptHierarchy, self.tokens if site == UNEMBEDDING else self.phrases) for site in sites}

    def require_two(self, count: int) -> None:
        """ModelError with the reasons where there is nothing to draw a line through."""
        if len(self.measured) < 2:
            reasons = [f"{model}: {reason}" for model, reason in self.left_out.items()]
            more = f"; and {len(reasons) - _NAMED} more" if len(reasons) > _NAMED else ""
            measured = "none" if not self.measured else "one"
            raise ModelError(f"{measured} of {count} checkpoints can be measured: {'; '.join(reasons[:_NAMED])}{more}")

    def measure(self, checkpoint: Checkpoint, n_twins: int) -> bool:
        """Whether the checkpoint could be measured; why not is noted."""
        self.step(f"step {checkpoint.step}: reading {checkpoint.model}")
        try:
            self._measure(checkpoint, n_twins)
        except (GeometryError, OSError) as error:
            reason = str(error).removeprefix(f"{checkpoint.model}: ")
            self.left_out[checkpoint.model] = reason
            self.step(f"step {checkpoint.step} is left out: {reason}")
        give_back()  # the next checkpoint is as large
        return checkpoint.step in self.measured

    def _measure(self, checkpoint: Checkpoint, n_twins: int) -> None:
        unembedding = Unembedding.load(checkpoint.model, **self.study.placement.of_unembedding)
        self._check(unembedding)
        summary = unembedding.summary()
        sha256 = str(summary["sha256"])
        # One with twins does for one without.
        for twins in dict.fromkeys((n_twins, self.study.n_twins)):
            entry = claims_file(self.study, checkpoint.model, unembedding, sha256, twins)
            if (kept := kept_claims(entry)) is not None:
                self.step(f"step {checkpoint.step}: taken from the cache")
                break
        else:
            tokens = self.tokens or load_hierarchy(self.study.hierarchy, unembedding.vocabulary)
            evidence.require_measurable(tokens, self.claims)
            kept = self._claims(checkpoint, unembedding, tokens, n_twins)
            keep_claims(claims_file(self.study, checkpoint.model, unembedding, sha256, n_twins), kept)
        if self.measured and (sites := list(next(iter(self.measured.values())))) != list(kept):
            raise ModelError(f"{checkpoint.model}: has other blocks than the first checkpoint, read at {sites[-1]}")
        if self.first is None:
            self.tokens = load_hierarchy(self.study.hierarchy, unembedding.vocabulary)
            self.first = unembedding
        self.measured[checkpoint.step] = kept
        self.about[checkpoint.step] = {"step": checkpoint.step, "given": checkpoint.model, **summary}

    def _check(self, unembedding: Unembedding) -> None:
        """ModelError for a model that no step of the same training can be."""
        if (first := self.first) is None:
            return
        if unembedding.matrix.shape[1] != first.matrix.shape[1]:
            widths = f"{unembedding.matrix.shape[1]}, and {first.name} of {first.matrix.shape[1]}"
            raise ModelError(f"{unembedding.name}: is of width {widths}; checkpoints are of one model")
        mine, theirs = unembedding.vocabulary, first.vocabulary
        if mine.tokens != theirs.tokens or (mine.textual != theirs.textual).any():
            raise ModelError(
                f"{unembedding.name}: its vocabulary is another than that of {first.name}; checkpoints are of one model"
            )

    def _claims(
        self, checkpoint: Checkpoint, unembedding: Unembedding, tokens: ConceptHierarchy, n_twins: int
    ) -> Claims:
        place, number = self.study.placement, checkpoint.step
        self.step(f"step {number}: testing {len(self.claims)} claims at the unembedding")
        space = CausalSpace.fit(unembedding, **place.of_space).to(place.of_fits)
        found: dict[str, Sequence[MeasuredClaim]] = {UNEMBEDDING: evaluate(self, space, tokens, n_twins)}
        del space
        if self.phrases is None:
            return found
        name = checkpoint.model
        if local_path(name) is None and unembedding.commit:
            name = f"{HubId.parse(name).repository}@{unembedding.commit}"  # should the branch move meanwhile
        self.step(f"step {number}: loading {checkpoint.model}")
        model, tokenizer = load_model(name, **place.of_model)
        blocks = self.study.read_at(len(Architecture.of(model).blocks))
        sites = [Site("output", block) for block in blocks]
        self.step(f"step {number}: reading {len(self.phrases.words):,} phrases in {len(self.contexts)} contexts")
        options: Any = {"sites": sites, "progress": False}
        activations = read_phrases(model, tokenizer, self.phrases.words, contexts=self.contexts, **options)
        neutral = NeutralText.read(model, tokenizer, **options)
        del model
        phrases = self.phrases.over(activations.vocabulary)
        for site in sites:
            self.step(f"step {number}: testing {len(self.claims)} claims at {site}")
            points = activations.space(site, neutral.covariance(site))
            found[str(site)] = evaluate(self, points, phrases, n_twins)
        return found


def evaluate(run: Any, space: CausalSpace, hierarchy: ConceptHierarchy, n_twins: int) -> list[MeasuredClaim]:
    """Every claim of a run in a space, between its nulls and so many twins."""
    options: dict[str, Any] = {"nulls": NULLS, "n_permutations": run.study.n_permutations, "n_others": 1}
    options |= {"n_twins": n_twins, "published": False, "seed": run.study.seed, "progress": False}
    tests = evidence.evaluate_claims(space, hierarchy, claims=run.claims, **options)
    return [MeasuredClaim.of(test) for test in tests]
