import copy
import dataclasses
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import geometry as geo
from geometry import Site, SteeringVector

SITES = ("input.0", "output.2", "before_norm", "after_norm.relative")
# Eighths up to 32 add and multiply in float32 without rounding, so that laws hold to the bit.
eighths = st.integers(-256, 256).map(lambda n: n / 8)
factors = st.integers(-64, 64).map(lambda n: n / 8)


@st.composite
def vectors(draw: st.DrawFn) -> SteeringVector:
    sites = draw(st.sets(st.sampled_from(SITES), min_size=1))
    row = st.lists(eighths, min_size=3, max_size=3)
    return SteeringVector({site: torch.tensor(draw(row)) for site in sites}, draw(st.sampled_from("abc")))


def filled(vector: SteeringVector) -> dict[Site, list[float]]:
    """The vector with its zeros at the sites where it has no part."""
    return {Site.parse(site): vector.parts.get(Site.parse(site), torch.zeros(3)).tolist() for site in SITES}


@given(vectors(), vectors(), vectors(), factors, factors)
def test_vectors_form_a_vector_space(
    u: SteeringVector, v: SteeringVector, w: SteeringVector, a: float, b: float
) -> None:
    assert (v - v).norm() == 0
    assert (0 * v).norm() == 0
    assert filled(u + v) == filled(v + u)
    assert filled((u + v) + w) == filled(u + (v + w))
    assert filled(a * (u + v)) == filled(a * u + a * v)
    assert filled((a + b) * v) == filled(a * v + b * v)
    assert filled(a * (b * v)) == filled((a * b) * v)
    assert filled(u - v) == filled(u + -v) == filled(-(v - u))
    assert filled(v / 4) == filled(0.25 * v)


@given(vectors(), vectors(), vectors(), factors)
def test_the_dot_product_is_bilinear_and_numpy_agrees(
    u: SteeringVector, v: SteeringVector, w: SteeringVector, a: float
) -> None:
    flat = [np.concatenate([filled(x)[site] for site in sorted(filled(x), key=str)]) for x in (u, v)]
    assert u.dot(v) == flat[0] @ flat[1]
    assert u.dot(v) == v.dot(u)
    assert (u + a * w).dot(v) == u.dot(v) + a * w.dot(v)
    assert u.norm() == pytest.approx(np.linalg.norm(flat[0]))


@given(vectors(), vectors())
def test_a_projection_and_what_it_leaves_are_orthogonal(u: SteeringVector, v: SteeringVector) -> None:
    if not u.norm() or not v.norm():
        return
    shadow = v.projection(u)
    assert (v - shadow).dot(u) == pytest.approx(0, abs=1e-5 * v.norm() * u.norm())
    assert shadow.norm() == pytest.approx(abs(v.cosine(u)) * v.norm(), abs=1e-4)
    assert shadow.norm() ** 2 + (v - shadow).norm() ** 2 == pytest.approx(v.norm() ** 2, rel=1e-4)


def test_a_cosine_has_an_arc() -> None:
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        v = SteeringVector({"output.0": torch.randn(57, generator=generator)})
        assert math.acos(v.cosine(v)) == pytest.approx(0, abs=1e-6)
        assert math.acos(v.cosine(-v)) == pytest.approx(math.pi, abs=1e-6)


def test_the_algebra_by_hand() -> None:
    up = SteeringVector({"output.6": torch.tensor([3.0, 4.0])}, "up")
    across = SteeringVector({"output.6": torch.tensor([4.0, -3.0]), "after_norm": torch.tensor([0.0, 12.0])}, "across")
    mixed = 2 * up + across / 2
    assert mixed["output.6"].tolist() == [8, 6.5]
    assert mixed["after_norm"].tolist() == [0, 6]
    assert across.norm() == 13
    assert up.dot(across) == 0
    assert up.cosine(up + across) == pytest.approx(5 / 194**0.5)
    assert (up + across).projection(up)["output.6"].tolist() == pytest.approx([3, 4])
    assert across.with_norm(26)["output.6"].tolist() == pytest.approx([20.8, -15.6])
    assert across.with_norm(26)["after_norm"].tolist() == [0, 26]
    # Places in the residual stream are different vectors, and so are units.
    assert up.dot(up.at("output.7")) == up.dot(up.at("output.6.relative")) == 0


def test_the_provenance_says_how_a_vector_came_about() -> None:
    a, b = (SteeringVector({"output.1": torch.ones(2)}, name) for name in ("a", "b"))
    assert (2 * a - b / 2).provenance == "2 × a − 0.5 × b"
    assert (3 * (a + b)).provenance == "3 × (a + b)"
    assert (a - (a - b)).provenance == "a − (a − b)"
    assert (-a).provenance == "−1 × a"
    assert a.at("output.2").provenance == "(a) at output.2"
    assert a.relative(0.5).provenance == "(a) of norm 0.5 × residual norm"
    assert (a + b).projection(a).provenance == "projection of (a + b) on (a)"
    assert a.random(3).provenance == "norm-matched random vector 3 for (a)"
    assert "first 1 dimensions" in a.first_dimensions(0.5).provenance
    assert repr(a) == "SteeringVector(a; output.1; norm 1.41)"


def test_notes_and_model_stay_with_the_vector() -> None:
    parts = {"output.1": torch.ones(2)}
    a = SteeringVector(parts, "a", "llama", ("first", "shared"))
    b = SteeringVector(parts, "b", "", ("shared", "last"))
    for both in (a + b, b - a):
        assert both.model == "llama"
        assert set(both.notes) == {"first", "shared", "last"}
        assert len(both.notes) == 3
    for one in (2 * a, -a, a / 3, a.random(0), a.with_norm(1), a.relative(1), a.at("after_norm"), a.projection(a)):
        assert (one.model, one.notes) == ("llama", ("first", "shared"))


def test_norms_are_set_site_by_site_over_all_positions() -> None:
    rows = torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 12.0]])
    vector = SteeringVector({"input.1": rows, "output.4": torch.tensor([0.6, 0.8])})
    for changed, unit in ((vector.with_norm(26), ""), (vector.relative(26), ".relative")):
        assert [str(site) for site in changed.sites] == [f"input.1{unit}", f"output.4{unit}"]
        torch.testing.assert_close(changed[f"input.1{unit}"], 2 * rows)
        assert changed[f"output.4{unit}"].norm() == pytest.approx(26)
    assert vector.relative(1).relative(2).sites == vector.relative(1).sites


def test_absolute_and_relative_parts_of_one_place_are_not_lost_when_normed() -> None:
    both = SteeringVector({"output.1": torch.tensor([1.0, 0.0]), "output.1.relative": torch.tensor([0.0, 1.0])})
    assert len(both.with_norm(2).sites) == 2
    with pytest.raises(geo.errors.SteeringError):
        both.relative(2)


def test_a_random_control_has_the_norm_of_every_site_and_row() -> None:
    rows = torch.tensor([[0.0] * 4, [1.0, 2.0, 2.0, 0.0], [0.0, 0.0, 0.0, -7.0]])
    vector = SteeringVector({"input.1": rows, "after_norm": torch.full((4,), 2.0)})
    random = vector.random(7)
    torch.testing.assert_close(random["input.1"].norm(dim=1), torch.tensor([0.0, 3.0, 7.0]))
    assert random["after_norm"].norm() == pytest.approx(4)
    assert torch.equal(random["input.1"], vector.random(7)["input.1"])
    assert not torch.equal(random["input.1"], vector.random(8)["input.1"])


def test_random_controls_point_everywhere_alike() -> None:
    vector = SteeringVector({"output.0": torch.tensor([5.0, 0.0, 0.0])})
    drawn = torch.stack([vector.random(seed)["output.0"] for seed in range(600)]) / 5
    # A uniform direction has mean 0 and second moment I/d; four standard errors.
    assert float(drawn.mean(dim=0).abs().max()) < 4 * (1 / 3 / 600) ** 0.5
    torch.testing.assert_close(drawn.T @ drawn / 600, torch.eye(3) / 3, atol=4 * (4 / 45 / 600) ** 0.5, rtol=0)


def test_drawing_a_control_leaves_the_callers_generator_alone() -> None:
    torch.manual_seed(5)
    expected = torch.randn(3)
    torch.manual_seed(5)
    SteeringVector({"output.0": torch.ones(3)}).random(0)
    assert torch.equal(torch.randn(3), expected)


@pytest.mark.parametrize(("fraction", "kept"), [(0, 0), (0.25, 1), (0.5, 2), (0.75, 3), (1, 4)])
def test_a_fraction_of_the_dimensions(fraction: float, kept: int) -> None:
    vector = SteeringVector({"output.0": torch.arange(1.0, 5), "input.1": torch.arange(1.0, 9).reshape(2, 4)})
    some = vector.first_dimensions(fraction)
    assert some["output.0"].tolist() == [1.0, 2, 3, 4][:kept] + [0] * (4 - kept)
    assert some["input.1"][1].tolist() == [5.0, 6, 7, 8][:kept] + [0] * (4 - kept)


@pytest.mark.parametrize(
    "two",
    [2, np.float64(2), np.float32(2), np.int64(2), np.array(2.0), torch.tensor(2.0), torch.tensor(2)],
    ids=lambda factor: f"{type(factor).__name__}-{getattr(factor, 'dtype', '')}",
)
@pytest.mark.parametrize(
    "times", [lambda f, v: f * v, lambda f, v: v * f, lambda f, v: v * 4 / f], ids=["left", "right", "divided"]
)
def test_numbers_of_any_library_are_factors(two: Any, times: Callable[[Any, Any], Any]) -> None:
    vector = SteeringVector({"output.0": torch.tensor([3.0, 4.0])}, "v")
    product = times(two, vector)
    assert isinstance(product, SteeringVector)
    assert product["output.0"].tolist() == [6, 8]


NO_NUMBERS = [None, "2", 1j, 10**400, np.array("a"), np.ones(2), np.complex128(1j), torch.ones(2), torch.tensor(1j)]


@pytest.mark.parametrize("factor", NO_NUMBERS, ids=lambda factor: f"{type(factor).__name__}-{str(factor)[:9]}")
def test_other_factors_are_refused(factor: Any) -> None:
    vector = SteeringVector({"output.0": torch.ones(2)})
    for attempt in (lambda: vector * factor, lambda: factor * vector, lambda: vector / factor):
        with pytest.raises((TypeError, geo.errors.SteeringError)):
            attempt()


@pytest.mark.parametrize("factor", [math.nan, math.inf, 1e39, torch.tensor(math.nan), np.float32("inf")])
def test_factors_that_break_numbers_are_refused(factor: Any) -> None:
    vector = SteeringVector({"output.0": torch.ones(2)}, "v")
    with pytest.raises(geo.errors.SteeringError, match="NaN or infinite"):
        vector * factor
    with pytest.raises(geo.errors.SteeringError, match="v: cannot be divided by 0"):
        vector / (0 * torch.tensor(1.0))


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        ({}, "at one site at least"),
        ({"output.0": torch.tensor([1.0, math.nan])}, "NaN or infinite"),
        ({"output.0": torch.tensor([1e300, 1.0], dtype=torch.float64)}, "NaN or infinite"),
        ({"output.0": torch.ones(2, dtype=torch.int64)}, "int64"),
        ({"output.0": torch.ones(2, dtype=torch.complex64)}, "complex64"),
        ({"output.0": torch.tensor(1.0)}, r"shape \(d,\)"),
        ({"output.0": torch.ones(1, 2, 3)}, r"\(1, 2, 3\)"),
        ({"output.0": torch.ones(0, 3)}, r"\(0, 3\)"),
        ({"output.0": torch.ones(2), "output.1": torch.ones(3)}, r"different widths, \[2, 3\]"),
        ({"output.1": torch.ones(2), "output.01": torch.ones(2)}, "two parts at the same site"),
        ({"output": torch.ones(2)}, "needs a block"),
        ({3: torch.ones(2), "output.3": torch.ones(2)}, "two parts at the same site"),
        ({-3: torch.ones(2)}, "unknown place '-3'"),
        ({True: torch.ones(2)}, "unknown place 'True'"),
        ({1.5: torch.ones(2)}, "is no site"),
    ],
)
def test_what_is_no_vector_is_refused(parts: dict[Any, torch.Tensor], complaint: str) -> None:
    with pytest.raises(geo.errors.SteeringError, match=complaint):
        SteeringVector(parts, "v")


def test_misfits_are_refused() -> None:
    one = SteeringVector({"output.0": torch.ones(2)}, "one", "gpt2")
    for other in (
        SteeringVector({"output.1": torch.ones(3)}),
        SteeringVector({"output.1": torch.ones(2)}, model="llama"),
        SteeringVector({"output.0": torch.ones(1, 2)}),
    ):
        for together in (one.__add__, one.__sub__, one.dot, one.cosine, one.projection):
            with pytest.raises(geo.errors.SteeringError):
                together(other)
    zero = 0 * one
    for refused in (
        lambda: zero.with_norm(1),
        lambda: zero.relative(1),
        lambda: one.cosine(zero),
        lambda: one.projection(zero),
        lambda: one["output.1"],
        lambda: (one + one.at("output.1")).at("output.2"),
        lambda: one.first_dimensions(1.5),
        lambda: one.first_dimensions(math.nan),
    ):
        with pytest.raises(geo.errors.SteeringError):
            refused()
    for nonsense in (lambda: one + 1, lambda: 1 - one, lambda: one + torch.ones(2), lambda: 1 / one, lambda: one * one):
        with pytest.raises(TypeError):
            nonsense()


def test_a_vector_does_not_change() -> None:
    mine = torch.tensor([1.0, 2.0])
    vector = SteeringVector({"output.0": mine})
    with pytest.raises(dataclasses.FrozenInstanceError):
        vector.provenance = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        vector.parts[Site("output", 1)] = torch.ones(7)  # type: ignore[index]
    mine.zero_()
    assert vector["output.0"].tolist() == [1, 2]


def test_vectors_can_be_copied_and_pickled() -> None:
    vector = SteeringVector({"output.0": torch.tensor([1.0, 2.0])}, "v", "gpt2", ("note",))
    for same in (copy.deepcopy(vector), pickle.loads(pickle.dumps(vector))):  # noqa: S301
        assert torch.equal(same["output.0"], vector["output.0"])
        assert (same.provenance, same.model, same.notes, same.sites) == ("v", "gpt2", ("note",), vector.sites)


@pytest.mark.parametrize("block", [None, -1, True, 1.0, "1"])
def test_blocks_are_counted_from_zero(block: Any) -> None:
    with pytest.raises(geo.errors.SteeringError, match="a block, counted from 0"):
        Site("output", block)
    if block is not None:
        with pytest.raises(geo.errors.SteeringError, match="needs no block"):
            Site("after_norm", block)


def test_sites_stand_in_the_order_of_the_residual_stream() -> None:
    names = ["input.0", "output.0", "output.0.relative", "input.2", "output.10", "before_norm", "after_norm"]
    vector = SteeringVector({name: torch.ones(1) for name in reversed(names)})
    assert [str(site) for site in vector.sites] == names


@pytest.mark.parametrize("block", [15, np.int64(15), "15", "output.15", Site("output", 15)])
def test_a_number_is_the_output_of_a_block(block: Any) -> None:
    vector = SteeringVector({block: torch.ones(2)})
    assert vector.sites == (Site("output", 15),)
    assert vector[block].tolist() == [1, 1]
    assert block in vector
    assert SteeringVector({"after_norm": torch.ones(2)}).at(block).sites == vector.sites
    assert Site.parse("15.relative") == Site("output", 15, relative=True)


@pytest.mark.parametrize("name", ["15.", "1.5", "15.x", "15.relative.relative", "²", "١", "-1", "9" * 5000])
def test_what_only_looks_like_a_number_is_no_site(name: str) -> None:
    with pytest.raises(geo.errors.SteeringError):
        Site.parse(name)
