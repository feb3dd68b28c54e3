"""All studies by name, in the order in which they are reported."""

from typing import Any

from geometry.experiments.behaviours.study import BehavioursStudy
from geometry.experiments.calibration.study import CalibrationStudy
from geometry.experiments.claims.study import ClaimsStudy
from geometry.experiments.comparison.study import ComparisonStudy
from geometry.experiments.layers.study import LayersStudy
from geometry.experiments.maps.study import MapsStudy
from geometry.experiments.steering.study import SteeringStudy
from geometry.experiments.study import Study
from geometry.experiments.training.study import TrainingStudy

STUDIES: dict[str, type[Study[Any]]] = {
    study.name: study
    for study in (
        ClaimsStudy,
        LayersStudy,
        TrainingStudy,
        SteeringStudy,
        MapsStudy,
        BehavioursStudy,
        ComparisonStudy,
        CalibrationStudy,
    )
}
