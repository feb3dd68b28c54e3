"""The method of the study of tuning."""

from typing import TYPE_CHECKING

from geometry.errors import GeometryError
from geometry.experiments.study import Step
from geometry.experiments.tuning.against_grid import AgainstGrid
from geometry.experiments.tuning.forecasts import AFTER_NORM, ALL, BEHAVIOURS, of_behaviours, of_concepts
from geometry.experiments.tuning.result import TuningResult
from geometry.experiments.tuning.setup import Setup, prepare

if TYPE_CHECKING:
    from geometry.experiments.tuning.study import TuningStudy

KEPT_FROM = 60  # concepts that a forecast is fitted to


def measure_tuning(study: "TuningStudy", step: Step) -> TuningResult:
    """Tuned against the exhaustive grid; then forecasts of all concepts and behaviours.

    Raises GeometryError: bad settings, before the model is loaded.
    """
    return measure_with(prepare(study, step), step)


def measure_with(setup: Setup, step: Step) -> TuningResult:
    """The same on a model, concepts and prompts that are there."""
    study = setup.study
    both, tuned = AgainstGrid(setup), []
    for number, name in enumerate(setup.held_out, 1):
        step(f"tuning, and searching exhaustively, {number} of {len(setup.held_out)}: {name}")
        tuned.append(both.measure(name))
    step(f"reading and steering {len(setup.names)} concepts for the forecast")
    measured = of_concepts(setup)
    skipped: dict[str, str] = {}
    if study.behaviours:
        step("classes of behaviour")
        measured[BEHAVIOURS] = of_behaviours(setup)
    step("forecasts against permuted effects")
    forecasts = {}
    for part, each in measured.items():
        try:
            forecasts[part] = each.forecasts(study.n_permutations, study.seed)
        except GeometryError as error:
            skipped[part] = str(error)
    # For `steer --auto`; a first look is not to take the place of a whole run.
    if AFTER_NORM in forecasts and study.n_concepts >= KEPT_FROM:
        forecasts[AFTER_NORM][ALL].calibration.keep(setup.space.unembedding, study.bound)
    return TuningResult(
        study=study,
        model=setup.space.unembedding.summary(),
        tuned=tuple(tuned),
        blocks=tuple(both.blocks),
        depth=setup.depth,
        choosing=setup.choosing,
        reporting=setup.reporting,
        sites={part: each.site for part, each in measured.items()},
        forecasts=forecasts,
        skipped=skipped,
    )
