"""Which concepts the study of layers steers towards, and the comparison of vectors on them."""

from collections.abc import Sequence

from geometry.concepts import ConceptHierarchy
from geometry.directions import ConceptDirections
from geometry.errors import GeometryError, SteeringError
from geometry.evidence import MAX_TOKENS
from geometry.experiments.layers.block_steering import measure_block_steering
from geometry.experiments.layers.block_steering_result import BlockSteeringResult
from geometry.experiments.layers.setup import Setup
from geometry.experiments.study import Step

N_BLOCKS = 10
# Those of the project's other studies, where the model has them.
PREFERRED: Sequence[tuple[str, str]] = (
    ("animal.n.01", "bird.n.01"),
    ("food.n.01", "beverage.n.01"),
    ("conveyance.n.03", "wheeled_vehicle.n.01"),
)
_FEWEST = 8  # words of a child, in either hierarchy


def steer_at_blocks(setup: Setup, step: Step) -> tuple[BlockSteeringResult | None, str]:
    """Vectors found at blocks, pulled back, of means and at random, at equal KL; or why nothing was steered."""
    study = setup.study
    step("steering with vectors found at blocks")
    try:
        vocabulary = setup.causal.unembedding.vocabulary
        whole = step.session.hierarchy(study.hierarchy, vocabulary)
        pairs = steered_pairs(setup.hierarchy, whole, study.n_steered)
        if not pairs:
            raise SteeringError("no child of a concept has words enough that are single tokens too")
        directions = ConceptDirections.fit_cloud(step.session.cloud(setup.causal, whole), max_tokens=MAX_TOKENS)
        outputs = [site for site in setup.sites if site.place == "output"]
        chosen = {round(index * (len(outputs) - 1) / max(1, N_BLOCKS - 1)) for index in range(N_BLOCKS)}
        sites = [outputs[index] for index in sorted(chosen) if index < len(outputs)]
        result = measure_block_steering(
            setup.model, setup.tokenizer, setup.activations, {site: setup.space(site) for site in sites},
            setup.hierarchy, setup.causal, directions, pairs, seed=study.seed,
        )  # fmt: skip
    except GeometryError as error:
        return None, str(error)
    return result, ""


def steered_pairs(phrases: ConceptHierarchy, tokens: ConceptHierarchy, count: int) -> list[tuple[str, str]]:
    """Parents and children that both hierarchies hold, of so many different parents, those of most tokens first.

    A child is to be neither the parent of another chosen one nor below it, so that they are about different things.
    """

    def enough(name: str) -> bool:
        return name in tokens and name in phrases and min(len(tokens[name]), len(phrases[name])) >= _FEWEST

    def usable(parent: str, child: str) -> bool:
        below = parent in tokens and parent in phrases and child in phrases.descendants(parent)
        return below and enough(parent) and enough(child) and child in tokens.descendants(parent)

    first = [pair for pair in PREFERRED if usable(*pair)]
    edges = [(parent, child) for child in phrases.names for parent in phrases.parents[child]]
    # Leaves, which are about one thing, before what is above others.
    rest = sorted(
        (pair for pair in edges if pair not in first and usable(*pair)),
        key=lambda pair: (bool(phrases.children[pair[1]]), -len(tokens[pair[1]])),
    )
    chosen: list[tuple[str, str]] = []
    for parent, child in [*first, *rest]:
        kin = {child, *phrases.descendants(child), parent}
        if all(kin.isdisjoint((above, below, *phrases.descendants(below))) for above, below in chosen):
            chosen.append((parent, child))
        if len(chosen) == count:
            break
    return chosen
