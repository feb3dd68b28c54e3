"""Every public function is given something of another type at each of its parameters, and names the parameter."""

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

import geometry as geo
from geometry.arguments import _fits, _hint
from tests.planted import planted_classes
from tests.steering import tiny

WRONG: tuple[Any, ...] = (None, 5, True, float("nan"), "x", b"x", object(), [object()], {"x": object()}, len, int)
# Values and errors rather than functions; what they hold is tested where it is used.
NOT_CALLED = {"CLAIMS", "NULLS", "GeometryError"}


def norms(directions: geo.ConceptDirections) -> np.ndarray:
    return directions.vectors.norm(dim=1).numpy()


def names(directions: geo.ConceptDirections) -> tuple[str, ...]:
    return directions.hierarchy.names


def height(points: Any) -> np.ndarray:
    return np.zeros(len(points))


def valid() -> dict[str, tuple[Callable[..., Any], dict[str, Any]]]:
    """Public name → a function, and arguments that it would take."""
    planted = planted_classes()
    space, hierarchy = geo.CausalSpace.fit(planted.unembedding), planted.hierarchy
    vocabulary = planted.unembedding.vocabulary
    directions = geo.ConceptDirections.fit(space, hierarchy)
    statistic = geo.Statistic("norms", "whole", 0.0, norms, names)
    points = geo.maps.LabelledPoints.of_concept(directions.cloud, "thing")
    model, tokenizer = tiny.build("llama"), tiny.tokenizer()
    prompts, sites = ["w2 w3", "w4 w5"], ["output.1"]
    reads = {"model": model, "tokenizer": tokenizer}
    moved = {"model": model, "vector": tiny.vector("output.1")}
    return {
        "CausalSpace": (geo.CausalSpace.fit, {"unembedding": planted.unembedding}),
        "Claim": (geo.Claim, {"name": "x", "title": "x", "measure": "x", "predicted": 1.0, "statistic": statistic}),
        "ConceptDirections": (geo.ConceptDirections.fit, {"space": space, "hierarchy": hierarchy}),
        "ConceptHierarchy": (
            geo.ConceptHierarchy,
            {"name": "x", "concepts": hierarchy.concepts, "parents": hierarchy.parents},
        ),
        "ConceptSteering": (geo.ConceptSteering, {"space": space, "directions": directions}),
        "NullModel": (geo.NullModel, {"draw": len, "label": "x"}),
        "tune": (geo.tune, {**reads, "vectors": tiny.vector("output.1"), "goal": [3], "prompts": prompts}),
        "Site": (geo.Site, {"place": "output", "block": 1}),
        "Statistic": (
            geo.Statistic,
            {"name": "x", "split": "whole", "unstructured": 0.0, "evaluate": norms, "labels": names},
        ),
        "SteeringVector": (geo.SteeringVector, {"parts": {"output.1": torch.ones(16)}}),
        "TestResult": (geo.TestResult, {"name": "x", "labels": ("a",), "values": np.ones(1)}),
        "Unembedding": (geo.Unembedding.load, {"model": "nothing.gguf"}),
        "Vocabulary": (geo.Vocabulary, {"tokens": ["Ġx"]}),
        "WordVectors": (geo.WordVectors.load, {"model": "nothing.vec"}),
        "activation_addition": (geo.activation_addition, {**reads, "promoted": "w2", "suppressed": "w3", "block": 1}),
        "class_means": (geo.class_means, {**reads, "classes": {"a": prompts, "b": prompts}, "sites": sites}),
        "contrastive_activation_addition": (
            geo.contrastive_activation_addition,
            {**reads, "pairs": [("w2", "w3")], "sites": sites},
        ),
        "evaluate_claims": (geo.evaluate_claims, {"space": space, "concepts": hierarchy, "n_permutations": 1}),
        "fetch": (geo.fetch, {"name": "nothing"}),
        "generate": (geo.generate, {**reads, "prompts": prompts, "max_new_tokens": 1}),
        "load_behaviour": (geo.load_behaviour, {"source": "aggression"}),
        "load_hierarchy": (geo.load_hierarchy, {"source": "organisms", "vocabulary": vocabulary}),
        "load_model": (geo.load_model, {"model": "nothing.gguf"}),
        "load_vector": (geo.load_vector, {"path": "nothing.gguf"}),
        "mapper": (geo.mapper, {"labelled": points, "lens": height}),
        "pull_back": (geo.pull_back, {**moved, "vector": tiny.vector("after_norm"), "site": "before_norm"}),
        "read_activations": (geo.read_activations, {**reads, "prompts": prompts, "sites": sites}),
        "read_phrases": (geo.read_phrases, {**reads, "phrases": ["w3"], "contexts": ["{}"], "sites": sites}),
        "record_activations": (geo.record_activations, {"model": model, "sites": sites}),
        "save_vector": (geo.save_vector, {"vector": moved["vector"], "path": "nothing/v.gguf"}),
        "steer": (geo.steer, moved),
        "steer_each": (geo.steer_each, {"model": model, "vectors": [moved["vector"]]}),
        "test_against_nulls": (
            geo.test_against_nulls,
            {"space": space, "concepts": hierarchy, "statistics": [statistic], "nulls": (), "n_permutations": 1},
        ),
        "umap_embedding": (geo.umap_embedding, {"points": np.eye(5)}),
    }


FACE = sorted(name for name in dir(geo) if not isinstance(getattr(geo, name), ModuleType) and name not in NOT_CALLED)


@pytest.fixture(scope="module")
def called() -> dict[str, tuple[Callable[..., Any], dict[str, Any]]]:
    return valid()


def test_the_whole_face_is_called(called: dict) -> None:
    assert sorted(called) == FACE


@pytest.mark.parametrize("name", FACE)
def test_wrong_types_are_refused_by_the_name_of_the_argument(name: str, called: dict) -> None:
    function, arguments = called[name]
    whole = inspect.unwrap(function.__init__ if isinstance(function, type) else function)
    tried = 0
    for key, parameter in inspect.signature(whole).parameters.items():
        hint = _hint(parameter, whole)
        for value in WRONG:
            if hint is Any or _fits(hint, value):
                continue
            tried += 1
            with pytest.raises(geo.GeometryError, match=rf"\b{key.removesuffix('s')}|unknown place") as refusal:
                given = function(**{**arguments, key: value})
                # Context managers start when they are entered.
                with given if hasattr(given, "__enter__") else pytest.fail(f"{key} = {value!r} was taken"):
                    pass
            assert len(str(refusal.value)) < 400
    assert tried > 3


def test_a_vector_is_taken_where_an_array_is() -> None:
    unembedding = geo.Unembedding(torch.randn(40, 4), geo.Vocabulary([f" w{i}" for i in range(40)]))
    hidden, probe = np.zeros((2, 4)), np.array([1.0, 0.0, 0.0, 0.0])
    vector = geo.SteeringVector({"after_norm": torch.from_numpy(probe).float()})
    for step in (geo.steering.dual_step, geo.steering.addition_step):
        given, by_array = (step(unembedding, hidden, each, target=[1], kl=0.01) for each in (vector, probe))
        np.testing.assert_array_equal(given.states, by_array.states)
        with pytest.raises(geo.GeometryError, match="probe must be SteeringVector or an array or None, not 'up'"):
            step(unembedding, hidden, "up", target=[1], kl=0.01)


@pytest.mark.parametrize("name", FACE)
def test_unknown_and_missing_arguments_are_type_errors(name: str, called: dict) -> None:
    function, arguments = called[name]
    with pytest.raises(TypeError, match="nonsense"):
        function(**arguments, nonsense=1)
    with pytest.raises(TypeError, match=next(iter(arguments))):
        function(**dict(list(arguments.items())[1:]))
