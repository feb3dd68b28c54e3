"""What the search study is made on: sites, prompts that are searched on and held out, concepts."""

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geometry.concepts import ConceptHierarchy, proper_concepts
from geometry.display import short_repr
from geometry.errors import SteeringError, shown
from geometry.experiments.study import Step
from geometry.models import Unembedding, require_language_model
from geometry.search import FoundVectors, find_vectors
from geometry.steering import Architecture, Site, load_prompts

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from geometry.experiments.search.study import SearchStudy

N_PENALISED = 4  # neutral texts within the objective


@dataclass(frozen=True, eq=False)
class Bench:
    """What all parts share.

    Attributes:
        hierarchy: concepts, whose log-odds name what a vector does.
        site, read_site: where vectors are added and where their change is read.
        prompts, held_out: that vectors are searched on, and that judge them.
        penalised, neutral: neutral texts within the objective, and those that judge.
    """

    study: "SearchStudy"
    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerBase"
    unembedding: Unembedding
    hierarchy: ConceptHierarchy
    site: Site
    read_site: Site
    prompts: tuple[str, ...]
    held_out: tuple[str, ...]
    penalised: tuple[str, ...]
    neutral: tuple[str, ...]

    __repr__ = short_repr

    def find(self, **options: Any) -> FoundVectors:
        """`find_vectors` with the study's settings, but for those given."""
        study = self.study
        settings: dict[str, Any] = {
            "prompts": self.prompts, "site": self.site, "read_site": self.read_site, "n_vectors": study.n_vectors,
            "n_steps": study.n_steps, "norm": study.norm, "neutral": self.penalised, "penalty": study.penalty,
            "n_random": max(64, study.n_vectors), "seed": study.seed,
        }  # fmt: skip
        return find_vectors(self.model, self.tokenizer, **(settings | options))


def prepare(study: "SearchStudy", step: Step) -> Bench:
    """Load the model; prompts that are too few are refused before."""
    require_language_model(study.model)
    own, other = load_prompts(study.prompts), load_prompts(study.neutral)
    needed = {own.name: study.n_prompts + study.n_held_out, other.name: N_PENALISED + study.n_held_out}
    for prompts in (own, other):
        if len(prompts.beginnings) < needed[prompts.name]:
            raise SteeringError(
                f"{prompts.name}: {len(prompts.beginnings)} beginnings, {needed[prompts.name]} are needed to search on"
                " some and judge by others; give more, or lower n_held_out"
            )
        some = prompts.beginnings[: needed[prompts.name]]
        if twice := [text for text, count in Counter(some).items() if count > 1]:
            raise SteeringError(
                f"{prompts.name}: {shown(twice[0])} is there twice, where held-out prompts judge; leave one out"
            )
    if own.name == other.name:
        raise SteeringError(f"prompts and neutral texts are both {own.name!r}; the penalty would undo the search")
    for given in filter(None, (study.site, study.read_site)):
        Site.parse(given)  # refuses what is none
    step(f"loading {study.model}")
    session, place = step.session, study.placement
    unembedding = session.unembedding(study.model, place)
    hierarchy = proper_concepts(session.hierarchy(study.hierarchy, unembedding.vocabulary))
    model, tokenizer = session.language_model(study.model, place)
    blocks = len(Architecture.of(model).blocks)
    site = Site.parse(study.site or Site("output", blocks // 4))
    read_site = Site.parse(study.read_site or Site("output", 3 * blocks // 4))
    split = study.n_prompts
    return Bench(
        study, model, tokenizer, unembedding, hierarchy, site, read_site, own.beginnings[:split],
        own.beginnings[split : split + study.n_held_out], other.beginnings[:N_PENALISED],
        other.beginnings[N_PENALISED : N_PENALISED + study.n_held_out],
    )  # fmt: skip
