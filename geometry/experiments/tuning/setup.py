"""What the study of tuning is made on: concepts without a common word, their vectors, the model, divided prompts."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geometry.causal import CausalSpace
from geometry.concepts import Concept, ConceptHierarchy, load_behaviour
from geometry.directions import ConceptDirections
from geometry.display import short_repr
from geometry.errors import SteeringError
from geometry.experiments.study import Step
from geometry.models import require_language_model
from geometry.steering import Architecture, ConceptSteering, SteeringVector, load_prompts
from geometry.tuning.bench import check_measure

if TYPE_CHECKING:
    from geometry.experiments.tuning.study import TuningStudy

FEWEST_LEMMAS = 8  # of a concept, that no other one has
# On these the search was made; they are not among the concepts that it is tested on.
MADE_ON = (
    "bird.n.01",
    "beverage.n.01",
    "wheeled_vehicle.n.01",
    "music.n.01",
    "fluid.n.01",
    "small_indefinite_quantity.n.01",
    "skilled_worker.n.01",
    "area.n.01",
)


@dataclass(frozen=True, eq=False)
class Setup:
    """What all parts share.

    Attributes:
        hierarchy: of the concepts and their parents; `names`: the concepts; `held_out`: those that are tuned.
        choosing, reporting: a quarter of the prompts, and the others.
    """

    study: "TuningStudy"
    model: Any
    tokenizer: Any
    space: CausalSpace
    hierarchy: ConceptHierarchy
    steering: ConceptSteering
    names: tuple[str, ...]
    held_out: tuple[str, ...]
    choosing: tuple[str, ...]
    reporting: tuple[str, ...]

    __repr__ = short_repr

    @property
    def depth(self) -> int:
        """Blocks."""
        return len(Architecture.of(self.model).blocks)

    def vector(self, name: str) -> SteeringVector:
        """The concept vector, for after the final norm, of norm 1 in the unified space."""
        return self.steering[name]

    def tokens(self, name: str) -> NDArray[np.int64]:
        """The concept's words."""
        return np.array(self.hierarchy[name].tokens, dtype=np.int64)


def prepare(study: "TuningStudy", step: Step) -> Setup:
    """Concepts and prompts are refused before the model is loaded."""
    require_language_model(study.model)
    check_measure("kl", study.bound)
    for source in study.behaviours:
        load_behaviour(source)  # refused now, not after all the tuning
    prompts = load_prompts(study.prompts)
    if len(prompts.beginnings) < 8:
        raise SteeringError(f"{prompts.name}: at least 8 beginnings are needed, a quarter of them to choose on")
    step(f"reading the unembedding of {study.model} and fitting concepts")
    session, place = step.session, study.placement
    unembedding = session.unembedding(study.model, place)
    nouns = session.hierarchy("wordnet-noun", unembedding.vocabulary)
    hierarchy, names = words_apart(nouns)
    rng = np.random.default_rng(study.seed)
    tested = [name for name in names if name not in MADE_ON]
    if len(tested) < max(study.n_tuned, 12):
        raise SteeringError(
            f"{len(tested)} concepts have {FEWEST_LEMMAS} lemmas of their own; {study.n_tuned} are asked"
        )
    held_out = tuple(tested[index] for index in sorted(rng.permutation(len(tested))[: study.n_tuned]))
    rest = [name for name in names if name not in held_out]
    more = rng.permutation(len(rest))[: max(0, study.n_concepts - len(held_out))]
    chosen = tuple(name for name in names if name in {*held_out, *(rest[index] for index in more)})
    parents = {name for child in chosen for name in hierarchy.parents[child]}
    hierarchy = hierarchy.only({*chosen, *parents})
    space = session.space(study.model, place)
    steering = ConceptSteering(space, ConceptDirections.fit_cloud(session.cloud(space, hierarchy)))
    step("loading the whole model")
    model, tokenizer = session.language_model(study.model, place)
    beginnings = prompts.beginnings
    reporting = tuple(text for index, text in enumerate(beginnings) if index % 4)
    return Setup(
        study, model, tokenizer, space, hierarchy, steering, chosen, held_out, tuple(beginnings[::4]), reporting
    )


def words_apart(nouns: ConceptHierarchy, fewest: int = FEWEST_LEMMAS) -> tuple[ConceptHierarchy, tuple[str, ...]]:
    """The lowest concepts with those of their words whose lemma no other of them has, below their first parents.

    Those with fewer such lemmas are left out.
    """
    leaves = [index for index, name in enumerate(nouns.names) if not nouns.children.get(name)]
    times = np.zeros(int(nouns.lemmas.max()) + 1, dtype=int)
    for index in leaves:
        times[np.unique(nouns.lemmas[nouns.members[index]])] += 1
    concepts, parents = {}, {}
    for index in leaves:
        place = nouns.members[index]
        own = place[times[nouns.lemmas[place]] == 1]
        above = nouns.parents[nouns.names[index]]
        if len(np.unique(nouns.lemmas[own])) < fewest or not above:
            continue
        name, words = nouns.names[index], [nouns.words[token] for token in own]
        concepts[name] = Concept(name, tuple(words), tuple(nouns.tokens[own].tolist()))
        parents[name] = (above[0],)
        concepts[above[0]] = nouns[above[0]]
    if not parents:
        raise SteeringError(f"no concept of {nouns.name!r} has {fewest} lemmas of its own")
    return ConceptHierarchy(f"{nouns.name}, words apart", tuple(concepts.values()), parents), tuple(parents)
