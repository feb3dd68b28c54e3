"""When a claim is there, how surely, and in which order: on numbers whose answer is known."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import geometry as geo
from geometry.experiments.layers.depth import DepthOrder
from geometry.experiments.training.by_step import ClaimByStep, claims_by_step
from geometry.experiments.training.figures import _Axis
from geometry.experiments.training.measured import MeasuredClaim
from geometry.experiments.training.words import claim_sentence, depth_sentence, order_sentence

STEPS = (0, 1, 10, 100, 1000)
RISES = (0.0, 0.0, 0.3, 0.95, 1.0)


def measured(values: NDArray[np.float64], *, null: float = 0.0, p: float = 0.01, **more: Any) -> MeasuredClaim:
    fields: dict[str, Any] = {"name": "existence", "title": "", "measure": "projection", "sign": 1, "orthogonal": False}
    fields |= {"within": False, "verdict": "supported", "clusters": (), "pooled": (), "twins": {}, "p_floor": 0.01}
    fields |= {
        "value": float(values.mean()),
        "interval": (0.0, 0.0),
        "labels": tuple(f"c{n}" for n in range(len(values))),
    }
    return MeasuredClaim(null=null, p_value=p, values=tuple(values.tolist()), **(fields | more))


def claim(curve: Sequence[float], *, noise: float = 0.02, labels: int = 40, p: Any = None, **more: Any) -> ClaimByStep:
    rng = np.random.default_rng(0)
    p = [0.01] * len(curve) if p is None else p
    tests = {
        step: measured(mean + noise * rng.normal(size=labels), p=one, **more)
        for step, mean, one in zip(STEPS, curve, p, strict=True)
    }
    return ClaimByStep(str(more.get("name", "existence")), "unembedding", tests, np.array(p, dtype=np.float64))


def test_a_claim_is_there_from_90_percent_of_the_way_on() -> None:
    found = claim(RISES, p=[1, 1, 0.01, 0.01, 0.01])
    assert (found.appears, found.best, found.interval) == (100, 1000, (100, 100))
    assert claim_sentence(found, "step").startswith(
        "Existence at the unembedding is there at step 100 [100, 100], furthest"
    )
    # One that falls again was there.
    assert claim((0, 1, 0.5, 0.5, 0.2)).appears == 1
    # More is less of a claim on the other side.
    falls = claim([-value for value in RISES], sign=-1)
    assert (falls.appears, falls.best) == (100, 1000)


def test_what_is_not_significant_is_not_there() -> None:
    never = claim(RISES, p=[1, 1, 1, 1, 0.2])
    assert (never.appears, never.interval, never.best) == (None, None, 1000)
    assert "is not found: not significant where it is furthest" in claim_sentence(never, "step")
    few = claim(RISES, p=[0.2] * 5, p_floor=0.2)
    assert "is not found: too few permutations to decide" in claim_sentence(few, "step")
    # Where it is not significant yet it is not there, however near to its best.
    assert claim(RISES, p=[1, 1, 1, 0.2, 0.01]).appears == 1000


def test_the_interval_is_as_wide_as_families_are_few() -> None:
    curve = (0, 0, 0.85, 0.95, 1.0)
    sure, unsure = claim(curve, noise=0.01), claim(curve, noise=0.6, labels=6)
    assert sure.interval == (100, 100)
    assert unsure.interval is not None
    assert unsure.interval[0] < unsure.interval[1]
    assert set(unsure.interval) <= set(STEPS)


def test_before_and_after_are_said_only_where_intervals_are_apart() -> None:
    early, late, unsure = claim((0, 1, 1, 1, 1)), claim((0, 0, 0, 0, 1)), claim(RISES, noise=3.0, labels=6)
    assert (early.before(late), late.before(early), early.before(early)) == (1, -1, 0)
    assert late.before(unsure) == 0
    both = {"existence": early, "separation": claim((0, 0, 0, 0, 1), name="separation")}
    said = "At the unembedding existence (step 1 [1, 1]) is there before separation (step 1,000 [1,000, 1,000])"
    assert order_sentence(both, "step") == said
    both = {"existence": claim(RISES, p=[1] * 5), "separation": claim(RISES, name="separation")}
    assert order_sentence(both, "step") == (
        "At the unembedding existence is not found, and separation (step 100 [100, 100]) is"
    )


def test_orthogonality_is_there_where_its_bound_holds() -> None:
    tests = {
        step: measured(np.array([0.1]), null=float("nan"), p=float("nan"), orthogonal=True, sign=-1, within=step >= 10)
        for step in STEPS
    }
    found = ClaimByStep("orthogonality-b", "unembedding", tests, np.full(5, np.nan))
    assert (found.appears, found.interval) == (10, None)
    assert claim_sentence(found, "step").startswith(
        "Orthogonality-b at the unembedding is within its bound first at step 10"
    )
    said = order_sentence({"existence": claim((0, 1, 1, 1, 1)), "orthogonality-b": found}, "step")
    assert said.endswith("is there before orthogonality-b (step 10)")
    said = order_sentence({"existence": claim(RISES), "orthogonality-b": found}, "step")
    assert said.endswith("is not there before orthogonality-b (step 10)")


def test_p_values_are_adjusted_over_all_steps_and_sites() -> None:
    values = np.ones(5)
    by_step: dict[int, Any] = {
        step: {site: [measured(values, p=0.01 if step == 1000 else 1.0)] for site in ("unembedding", "output.1")}
        for step in STEPS
    }
    found = claims_by_step(by_step, {True: {"existence": 0.5}})
    for own in found.values():
        np.testing.assert_allclose(own["existence"].p_adjusted, [1, 1, 1, 1, 0.05])
    assert found["output.1"]["existence"].control == 0.5
    assert np.isnan(found["unembedding"]["existence"].control)


def tree() -> geo.ConceptHierarchy:
    """Three levels: a root, 6 kinds of it, and 6 of each."""
    branches = {f"a{n}": {f"a{n}b{m}": [f"w{n}x{m}y{k}" for k in range(4)] for m in range(6)} for n in range(6)}
    return geo.load_hierarchy({"root": branches}, geo.concepts.AnyPhrase())


@pytest.mark.parametrize(
    ("order", "said"),
    [(1, "coarse levels of the tree come before fine"), (-1, "fine levels of the tree come before coarse")],
    ids=["coarse", "fine"],
)
def test_the_coarse_come_first_where_they_do(order: int, said: str) -> None:
    hierarchy = tree()
    late = hierarchy.depths > 1
    late = late if order > 0 else ~late
    tests = {
        step: measured(np.where(late, place >= 4, place >= 1).astype(float), labels=hierarchy.names)
        for place, step in enumerate(STEPS)
    }
    found = DepthOrder.of(
        ClaimByStep("existence", "unembedding", tests, np.full(5, 0.01)), hierarchy, places=np.arange(len(STEPS))
    )
    assert found.appears.keys() == {1, 2}  # there is one root
    assert order * found.slope > 0.5
    assert said in depth_sentence(found, "unembedding")


def test_chance_puts_neither_first() -> None:
    hierarchy, rng = tree(), np.random.default_rng(1)
    from_step = rng.integers(1, 5, size=len(hierarchy))
    tests = {
        step: measured((place >= from_step).astype(float), labels=hierarchy.names) for place, step in enumerate(STEPS)
    }
    found = DepthOrder.of(
        ClaimByStep("existence", "unembedding", tests, np.full(5, 0.01)), hierarchy, places=np.arange(len(STEPS))
    )
    assert found.interval[0] < 0 < found.interval[1]
    assert "come neither before nor after fine ones" in depth_sentence(found, "unembedding")


def test_that_small_concepts_are_noisy_puts_no_level_first() -> None:
    hierarchy, rng = tree(), np.random.default_rng(2)
    rises = np.array([0.0, 0.5, 0.8, 0.95, 1.0])
    noise = 0.3 * (hierarchy.depths > 1)  # a single noisy curve is nearest to its best anywhere
    tests = {
        step: measured(rises[place] + noise * rng.standard_normal(len(hierarchy)), labels=hierarchy.names)
        for place, step in enumerate(STEPS)
    }
    claim = ClaimByStep("existence", "unembedding", tests, np.full(5, 0.01))
    found = DepthOrder.of(claim, hierarchy, places=np.arange(len(STEPS)))
    assert found.interval[0] < 0 < found.interval[1]
    assert found.p_value > 0.05


def test_the_axis_is_logarithmic_where_steps_span_decades() -> None:
    pythia = np.array([0, 1, 2, 4, *range(1000, 144000, 1000)])
    axis = _Axis(pythia, "step")
    assert axis.log
    assert not axis.marked
    assert axis.at(pythia)[:3].tolist() == [0.5, 1, 2]
    few = _Axis(np.array([0, 10, 20]), "step")
    assert not few.log
    assert few.at(np.array([0, 10])).tolist() == [0, 10]


def test_what_is_kept_is_what_was_measured() -> None:
    first = measured(np.array([0.1, np.nan, 0.3]), clusters=(0, 0, 1), twins={"exact": (0.5, 0.25)})
    again = MeasuredClaim.from_dict(json.loads(json.dumps(asdict(first))))
    np.testing.assert_equal(asdict(again), asdict(first))
