"""All studies by name, in the order in which they are reported."""

from typing import Any

from geometry.experiments.actadd.study import ActAddStudy
from geometry.experiments.anatomy.study import AnatomyStudy
from geometry.experiments.behaviours.study import BehavioursStudy
from geometry.experiments.calibration.study import CalibrationStudy
from geometry.experiments.claims.study import ClaimsStudy
from geometry.experiments.comparison.study import ComparisonStudy
from geometry.experiments.composition.study import CompositionStudy
from geometry.experiments.conditional.study import ConditionalStudy
from geometry.experiments.dictionaries.study import DictionariesStudy
from geometry.experiments.erasure.study import ErasureStudy
from geometry.experiments.layers.study import LayersStudy
from geometry.experiments.maps.study import MapsStudy
from geometry.experiments.search.study import SearchStudy
from geometry.experiments.selectivity.study import SelectivityStudy
from geometry.experiments.steering.study import SteeringStudy
from geometry.experiments.study import Study
from geometry.experiments.tasks.study import TasksStudy
from geometry.experiments.training.study import TrainingStudy
from geometry.experiments.tuning.study import TuningStudy

STUDIES: dict[str, type[Study[Any]]] = {
    study.name: study
    for study in (
        ClaimsStudy,
        LayersStudy,
        TrainingStudy,
        SteeringStudy,
        SelectivityStudy,
        ActAddStudy,
        TuningStudy,
        ConditionalStudy,
        AnatomyStudy,
        TasksStudy,
        CompositionStudy,
        DictionariesStudy,
        SearchStudy,
        ErasureStudy,
        MapsStudy,
        BehavioursStudy,
        ComparisonStudy,
        CalibrationStudy,
    )
}
