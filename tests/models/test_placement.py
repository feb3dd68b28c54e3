"""Where and in which precision: what there is not is refused, and what is given arrives."""

import pytest
import torch

import geometry as geo
from geometry.errors import EstimationError
from geometry.models import Placement, placement
from tests.planted import planted_tree


def test_as_by_default_space_and_model_have_the_precision_they_always_had() -> None:
    place = Placement()
    assert place.of_unembedding == {"device": "cpu"}
    assert place.of_space == {"device": "cpu", "dtype": torch.float64}
    assert place.of_model == {"device": "cpu", "dtype": torch.float32}
    assert place.of_fits == torch.float32


@pytest.mark.parametrize(
    ("dtype", "space", "model", "fits"),
    [
        ("float64", torch.float64, torch.float64, torch.float64),
        ("float32", torch.float32, torch.float32, torch.float32),
        ("bfloat16", torch.float64, torch.bfloat16, torch.float32),
        ("float16", torch.float64, torch.float16, torch.float32),
    ],
)
def test_half_precision_is_of_the_model_alone(
    dtype: str, space: torch.dtype, model: torch.dtype, fits: torch.dtype
) -> None:
    place = Placement(dtype=dtype)
    assert (place.of_space["dtype"], place.of_model["dtype"], place.of_fits) == (space, model, fits)


@pytest.mark.parametrize("device", ["nonsense", "cuda:99", "mps:7", "", "meta"])
def test_devices_that_there_are_not_are_refused(device: str) -> None:
    for refuse in (
        lambda: Placement(device=device),
        lambda: geo.Unembedding.load("nosuch", device=device),
        lambda: geo.WordVectors.load("nosuch", device=device),
        lambda: geo.load_model("nosuch", device=device),
    ):
        with pytest.raises(EstimationError, match=f"device '{device}' cannot be computed on: .*; take cpu"):
            refuse()


def test_precisions_that_there_are_not_are_refused() -> None:
    with pytest.raises(EstimationError, match=r"dtype must be one of mixed, float64, .* not 'int8'"):
        Placement(dtype="int8")


@pytest.mark.parametrize(
    ("cuda", "mps", "dtype", "found"),
    [
        (True, True, "mixed", "cuda"),
        (False, True, "float32", "mps"),
        (False, True, "mixed", "cpu"),
        (False, False, "float32", "cpu"),
    ],
)
def test_auto_is_what_there_is(monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, dtype: str, found: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert Placement("auto", dtype).device == found


def test_mps_has_no_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "checked_device", lambda device, mps: device)  # noqa: ARG005 (its own signature)
    assert Placement("mps", "float32").of_space == {"device": "mps", "dtype": torch.float32}
    with pytest.raises(EstimationError, match="'mps' has no float64, which the space is in: take float32"):
        Placement("mps")


def test_both_precisions_give_nearly_the_same_numbers() -> None:
    unembedding, hierarchy = planted_tree((3, 3), 20, 32, 1500)
    cosines = []
    for dtype in ("float32", "float64"):
        space = geo.CausalSpace.fit(unembedding, **Placement(dtype=dtype).of_space)
        directions = geo.ConceptDirections.fit(space, hierarchy)
        assert str(directions.vectors.dtype) == f"torch.{dtype}"
        cosines.append(torch.from_numpy(directions.cosines()))
    difference = (cosines[0] - cosines[1]).abs().max()
    assert 0 < difference < 1e-5
