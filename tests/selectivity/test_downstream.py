"""What a vector does downstream, on a tiny model whose residual stream is moved by hand."""

from typing import Any

import numpy as np
import pytest
import torch

import geometry as geo
from geometry.errors import HierarchyError, SteeringError
from geometry.layers import BlockSteering, Metric
from geometry.selectivity import ConceptProjections, DownstreamEffects, downstream_effects
from tests.layers.test_block_vectors import hierarchy
from tests.steering import tiny

SITES = ["output.1", "output.2", "output.3"]
PROMPTS = ["w5 w9 w30", "w7 w12 w3", "w40 w41 w2", "w8 w8 w9"]


@pytest.fixture(scope="module")
def llama() -> Any:
    return tiny.build("llama")


@pytest.fixture(scope="module")
def activations(llama: Any) -> Any:
    phrases = [f"w{number}" for number in range(2, 50)]
    return geo.read_phrases(llama, tiny.tokenizer(), phrases, contexts=["w60 {}", "w61 w62 {}"], sites=SITES)


def metrics() -> dict[geo.Site, Metric]:
    made = {}
    for number, site in enumerate(map(geo.Site.parse, SITES)):
        root = torch.randn((16, 16), generator=torch.Generator().manual_seed(number), dtype=torch.float64)
        made[site] = Metric("given", root @ root.T + torch.eye(16), site)
    return made


@pytest.fixture(scope="module")
def projections(activations: Any) -> ConceptProjections:
    return ConceptProjections.fit(activations, hierarchy(activations.vocabulary), metrics(), progress=False)


def found_at(activations: Any, site: str, name: str) -> geo.SteeringVector:
    space = activations.space(site, metrics()[geo.Site.parse(site)])
    directions = geo.ConceptDirections.fit(space, hierarchy(activations.vocabulary))
    return BlockSteering(space, directions, site)[name]


def effects(llama: Any, projections: Any, vector: geo.SteeringVector, **options: Any) -> DownstreamEffects:
    given: Any = {"n_random": 3, "prompts": PROMPTS} | options
    target = given.pop("target", "bird")
    return downstream_effects(llama, tiny.tokenizer(), {target: vector}, projections=projections, **given)[target]


def test_a_vector_found_at_a_block_moves_its_own_projection_there_by_its_coefficient(
    llama: Any, activations: Any, projections: Any
) -> None:
    found = effects(llama, projections, 1.7 * found_at(activations, "output.2", "bird"))
    assert [str(site) for site in found.sites] == ["output.2", "output.3"]
    np.testing.assert_allclose(found.change[:, 0, found.names.index("bird")], 1.7, rtol=1e-4)


def test_changes_are_those_of_a_stream_that_is_moved_by_hand(llama: Any, activations: Any, projections: Any) -> None:
    vector = found_at(activations, "output.1", "animal")
    found = effects(llama, projections, vector)
    tokenizer: Any = tiny.tokenizer()
    seen: dict[str, torch.Tensor] = {}
    for number, text in enumerate(PROMPTS):
        ids = tokenizer(text, return_tensors="pt").input_ids
        for moved in (False, True):

            def add(_: Any, __: Any, output: Any, moved: bool = moved) -> Any:
                rows = output[0] if isinstance(output, tuple) else output
                if moved:
                    rows = rows.clone()
                    rows[:, -1] += vector["output.1"]
                return (rows, *output[1:]) if isinstance(output, tuple) else rows

            def keep(_: Any, __: Any, output: Any, moved: bool = moved) -> None:
                seen[f"{moved}"] = (output[0] if isinstance(output, tuple) else output)[:, -1]

            hooks = [
                llama.model.layers[1].register_forward_hook(add),
                llama.model.layers[3].register_forward_hook(keep),
            ]
            with torch.no_grad():
                llama(ids)
            for hook in hooks:
                hook.remove()
        displacement = (seen["True"] - seen["False"])[0].double().numpy()
        metric = metrics()[geo.Site.parse("output.3")].matrix.numpy()
        # M^(1/2) by an eigendecomposition, and ℓ in that space.
        values, basis = np.linalg.eigh(metric)
        root = basis * np.sqrt(values) @ basis.T
        space = activations.space("output.3", metrics()[geo.Site.parse("output.3")])
        directions = geo.ConceptDirections.fit(space, hierarchy(activations.vocabulary)).vectors.double().numpy()
        expected = directions @ root @ displacement / (directions**2).sum(axis=1)
        np.testing.assert_allclose(found.change[number, -1], expected, rtol=2e-3, atol=2e-4)


def test_random_vectors_are_norm_matched_and_reproducible(llama: Any, activations: Any, projections: Any) -> None:
    vector = found_at(activations, "output.1", "bird")
    first, again, other = (effects(llama, projections, vector, seed=seed) for seed in (0, 0, 7))
    np.testing.assert_array_equal(first.random, again.random)
    assert not np.array_equal(first.random, other.random)
    np.testing.assert_array_equal(first.change, other.change)
    alone = effects(llama, projections, vector.random(0), n_random=1)
    np.testing.assert_allclose(alone.mean, first.random[0], rtol=1e-4, atol=1e-5)
    assert first.beyond[0, first.names.index("bird")]


def test_several_vectors_are_as_each_alone(llama: Any, activations: Any, projections: Any) -> None:
    at = {name: found_at(activations, "output.1", name).relative(0.5) for name in ("bird", "fish")}
    at["thing"] = 2 * at["bird"]  # of another norm, with random vectors of its own
    given: Any = {"prompts": PROMPTS, "projections": projections, "n_random": 2}
    together = downstream_effects(llama, tiny.tokenizer(), at, **given)
    assert list(together) == ["bird", "fish", "thing"]
    assert [str(site) for site in together["bird"].sites] == SITES  # a relative part acts at output.1 as well
    for name, vector in at.items():
        alone = effects(llama, projections, vector, target=name, n_random=2)
        np.testing.assert_allclose(together[name].change, alone.change, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(together[name].random, alone.random, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(together[name].size, alone.size, rtol=1e-4)


def test_tables_name_concepts_with_their_relation(llama: Any, activations: Any, projections: Any) -> None:
    found = effects(llama, projections, found_at(activations, "output.1", "bird"))
    frame = found.to_frame()
    assert len(frame) == 3 * 4
    assert set(found.by_relation()) == {"self", "parent", "sibling"}
    largest = found.largest(2, found.sites[0])
    assert abs(largest[0][2]) >= abs(largest[1][2])
    assert largest[0][3] <= largest[0][2] <= largest[0][4]
    np.testing.assert_allclose(
        found.by_relation()["sibling"], found.change[:, :, found.names.index("fish")], rtol=1e-12
    )


def test_refusals(llama: Any, activations: Any, projections: Any) -> None:
    vector = found_at(activations, "output.1", "bird")
    with pytest.raises(SteeringError, match="no prompts"):
        effects(llama, projections, vector, prompts=[])
    with pytest.raises(SteeringError, match="n_random"):
        effects(llama, projections, vector, n_random=0)
    with pytest.raises(HierarchyError, match="oak"):
        effects(llama, projections, vector, target="oak")
    with pytest.raises(SteeringError, match="after the last site"):
        effects(llama, projections, geo.SteeringVector({"after_norm": torch.ones(16)}))
    read = geo.read_phrases(llama, tiny.tokenizer(), ["w2", "w3"], contexts=["w60 {}"], sites=["mlp.1"])
    with pytest.raises(SteeringError, match="no output of a block"):
        ConceptProjections.fit(read, hierarchy(activations.vocabulary))
    partial = dict(list(metrics().items())[:2])
    with pytest.raises(SteeringError, match=r"no metric for output\.3"):
        ConceptProjections.fit(activations, hierarchy(activations.vocabulary), partial)
