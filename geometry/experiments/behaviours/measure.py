"""The method of the study of behaviours."""

from typing import TYPE_CHECKING

from geometry.concepts import class_concept
from geometry.experiments.behaviours import classes
from geometry.experiments.behaviours.result import BehavioursResult, FamilyResult
from geometry.experiments.behaviours.setup import prepare
from geometry.experiments.behaviours.steering import steer_family
from geometry.experiments.study import Step
from geometry.progress import progress_bar

if TYPE_CHECKING:
    from geometry.experiments.behaviours.study import BehavioursStudy


def measure_behaviours(study: "BehavioursStudy", step: Step) -> BehavioursResult:
    """Probe held-out prompts, compare words with prompts and classes with each other, steer between them.

    Raises GeometryError: the model or a family cannot be read, two families clash, a class has too few prompts or no
        single-token word.
    """
    setup = prepare(study, step)
    families = setup.families
    step("probing held-out templates and domains")
    probes = {
        name: {kind: classes.probe_held_out(setup, family, kind) for kind in classes.HELD_OUT}
        for name, family in families.items()
    }
    step("comparing words with prompts, and classes with each other")
    routes, levels = classes.compare_routes(setup), classes.level_claims(setup)

    step("steering between classes")
    results = {}
    for name, family in progress_bar(families.items(), "families"):
        block = classes.best_block(setup, probes[name]["template"])
        where = setup, family, setup.blocks[block]
        results[name] = FamilyResult(
            family=family.behaviour,
            words={label: setup.words[class_concept(family.behaviour, label)].words for label in family.classes},
            block=block,
            probes=probes[name],
            routes=routes.get(name),
            shape=classes.class_shapes(*where),
            contrasts=classes.class_contrasts(*where),
            contrast_pairs=classes.contrast_pair_directions(*where),
            steering=steer_family(setup, family, block),
        )
    return BehavioursResult(study=study, model=setup.space.unembedding.summary(), families=results, levels=levels)
