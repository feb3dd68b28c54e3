import numpy as np
import pytest
import torch

import geometry as geo
from geometry import ConceptSteering, Site
from tests.planted import WIDTH, Planted


@pytest.fixture(scope="module")
def space(planted: Planted) -> geo.CausalSpace:
    return geo.CausalSpace.fit(planted.unembedding)


@pytest.fixture(scope="module")
def directions(space: geo.CausalSpace, planted: Planted) -> geo.ConceptDirections:
    return geo.ConceptDirections.fit(space, planted.hierarchy)


@pytest.fixture(scope="module")
def concepts(space: geo.CausalSpace, directions: geo.ConceptDirections) -> ConceptSteering:
    return ConceptSteering(space, directions)


def unified(unembedding: geo.Unembedding, usable: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """g(y) of every row and Σ^(1/2), in NumPy from the matrix alone."""
    gamma = unembedding.matrix.double().numpy()
    mean = gamma[usable].mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(gamma[usable].T, bias=True))
    return (gamma - mean) @ (vectors / values**0.5) @ vectors.T, (vectors * values**0.5) @ vectors.T


def check_logits(unembedding: geo.Unembedding, vector: geo.SteeringVector, direction: torch.Tensor) -> None:
    """Adding the vector to λ raises every logit by directionᵀg(y) and one constant."""
    g, _ = unified(unembedding, unembedding.rows)
    raised = unembedding.matrix.double().numpy() @ vector["after_norm"].double().numpy()
    wanted = g @ direction.double().numpy()
    left = raised - wanted
    # The vector is kept in float32, all else here is float64.
    assert np.ptp(left) < 1e-5 * np.ptp(wanted)
    assert np.ptp(wanted) > 1


def test_a_concept_raises_logits_by_its_projection_of_every_token(
    planted: Planted, concepts: ConceptSteering, directions: geo.ConceptDirections
) -> None:
    for name in planted.hierarchy.names:
        direction = directions[name] / directions[name].norm()
        check_logits(planted.unembedding, concepts[name], direction)
        assert concepts[name].sites == (Site("after_norm"),)
        assert concepts[name].provenance == name


@pytest.mark.parametrize(
    ("child", "of", "ancestor"),
    [("bird", None, "animal"), ("bird", "animal", "animal"), ("bird", "thing", "thing"), ("tree", None, "thing")],
)
def test_a_child_is_the_difference_from_its_ancestor(
    planted: Planted, space: geo.CausalSpace, directions: geo.ConceptDirections, child: str, of: str, ancestor: str
) -> None:
    difference = directions[child] - directions[ancestor]
    vector = ConceptSteering(space, directions).child(child, of=of)
    check_logits(planted.unembedding, vector, difference / difference.norm())
    assert vector.provenance == f"{child} − {ancestor}"
    check_logits(planted.unembedding, ConceptSteering(space, directions, unit=False).child(child, of=of), difference)


def test_parts_have_norm_one_in_the_unified_space(planted: Planted, concepts: ConceptSteering) -> None:
    _, root = unified(planted.unembedding, planted.unembedding.rows)
    for vector in (concepts["bird"], concepts.child("bird"), concepts.child("mammal", of="thing")):
        assert np.linalg.norm(root @ vector["after_norm"].double().numpy()) == pytest.approx(1, rel=1e-6)
        assert concepts.norm(vector) == pytest.approx(1, rel=1e-6)
    path = concepts.path({"animal": 6, "bird": 4})
    assert concepts.norm(path) == pytest.approx(np.linalg.norm(root @ path["after_norm"].double().numpy()))


def test_without_unit_lengths_differences_add_up_to_the_concept(
    space: geo.CausalSpace, directions: geo.ConceptDirections
) -> None:
    plain = ConceptSteering(space, directions, unit=False)
    whole = plain.path({"thing": 1, "animal": 1, "bird": 1})
    torch.testing.assert_close(whole["after_norm"], plain["bird"]["after_norm"], rtol=1e-4, atol=1e-5)


def test_a_path_is_the_sum_of_its_steps(planted: Planted, directions: geo.ConceptDirections) -> None:
    concepts = ConceptSteering(geo.CausalSpace.fit(planted.unembedding), directions)
    steps = [directions["animal"], directions["bird"] - directions["animal"]]
    vector = concepts.path({"animal": 6, "bird": -4.5})
    check_logits(planted.unembedding, vector, 6 * steps[0] / steps[0].norm() - 4.5 * steps[1] / steps[1].norm())
    assert vector.provenance == "6 × animal + −4.5 × (bird − animal)"
    skipping = concepts.path({"thing": 1, "bird": 2})
    step = directions["bird"] - directions["thing"]
    wanted = directions["thing"] / directions["thing"].norm() + 2 * step / step.norm()
    check_logits(planted.unembedding, skipping, wanted)
    assert torch.equal(concepts.path({"bird": 1})["after_norm"], concepts["bird"]["after_norm"])


def test_a_chain_leads_from_the_root_down(concepts: ConceptSteering) -> None:
    assert concepts.chain("bird") == ("thing", "animal", "bird")
    assert concepts.chain("thing") == ("thing",)
    assert concepts.path(dict.fromkeys(concepts.chain("bird"), 1.0)).width == WIDTH


def test_a_chain_follows_first_parents(planted: Planted, space: geo.CausalSpace) -> None:
    words = {concept.name: concept for concept in planted.hierarchy}
    some = tuple(words[name] for name in ("thing", "animal", "mammal", "bird"))
    dag = geo.ConceptHierarchy("dag", some, {"animal": ("thing",), "bird": ("animal", "thing"), "mammal": ("animal",)})
    concepts = ConceptSteering(space, geo.ConceptDirections.fit(space, dag))
    assert concepts.chain("bird") == ("thing", "animal", "bird")
    assert concepts.child("bird").provenance == "bird − animal"
    assert concepts.child("bird", of="thing").provenance == "bird − thing"


def test_a_random_control_is_as_long_where_concepts_are_measured(planted: Planted, concepts: ConceptSteering) -> None:
    _, root = unified(planted.unembedding, planted.unembedding.rows)
    like = concepts.path({"animal": 6, "bird": 4})
    drawn = [root @ concepts.random(like, seed)["after_norm"].double().numpy() for seed in range(400)]
    length = np.linalg.norm(root @ like["after_norm"].double().numpy())
    np.testing.assert_allclose(np.linalg.norm(drawn, axis=1), length, rtol=1e-5)
    # Uniform there: second moment I/d, within five standard errors of its entries.
    moment = np.array(drawn).T @ np.array(drawn) / length**2 / len(drawn)
    assert np.abs(moment - np.eye(WIDTH) / WIDTH).max() < 5 * (2 / len(drawn)) ** 0.5 / WIDTH
    assert np.array_equal(concepts.random(like, 0)["after_norm"], concepts.random(like, 0)["after_norm"])
    assert concepts.random(like, 3).provenance == f"norm-matched random direction 3 for ({like.provenance})"


def test_the_real_model(smollm2: geo.Unembedding, smollm2_space: geo.CausalSpace) -> None:
    organisms = geo.load_hierarchy("organisms", smollm2.vocabulary)
    directions = geo.ConceptDirections.fit(smollm2_space, organisms)
    concepts = ConceptSteering(smollm2_space, directions)
    step = directions["bird"] - directions["animal"]
    wanted = 8 * directions["animal"] / directions["animal"].norm() + 4 * step / step.norm()
    vector = 8 * concepts["animal"] + 4 * concepts.child("bird")
    check_logits(smollm2, vector, wanted)
    assert vector.model == "llama"


def test_families_are_called_as_models_call_them(planted: Planted, directions: geo.ConceptDirections) -> None:
    for family, model in (("unknown", ""), ("gpt2", "gpt2"), ("gemma3_text", "gemma3"), ("gemma3", "gemma3")):
        named = geo.Unembedding(planted.unembedding.matrix, planted.unembedding.vocabulary, "m", family)
        assert ConceptSteering(geo.CausalSpace.fit(named), directions)["bird"].model == model


def test_what_has_no_vector_is_refused(
    planted: Planted, concepts: ConceptSteering, directions: geo.ConceptDirections
) -> None:
    for unknown in (
        lambda: concepts["birds"],
        lambda: concepts.child("birds"),
        lambda: concepts.child("bird", of="animals"),
        lambda: concepts.path({"animal": 1, "birds": 1}),
        lambda: concepts.chain("birds"),
    ):
        with pytest.raises(geo.errors.HierarchyError, match=r"birds|animals"):
            unknown()
    for refused, complaint in (
        (lambda: concepts.child("thing"), "'thing' has no parent"),
        (lambda: concepts.child("bird", of="tree"), "'tree' is no ancestor of 'bird'"),
        (lambda: concepts.child("animal", of="bird"), "'bird' is no ancestor of 'animal'"),
        (lambda: concepts.child("bird", of="bird"), "'bird' is no ancestor of 'bird'"),
        (lambda: concepts.path({"bird": 1, "animal": 1}), "'bird' is no ancestor"),
        (lambda: concepts.path({"animal": 1, "tree": 1}), "'animal' is no ancestor"),
        (lambda: concepts.path({}), "at least one concept"),
        (lambda: concepts.random(concepts["bird"].at("output.3"), 0), "no part at after_norm"),
    ):
        with pytest.raises(geo.errors.SteeringError, match=complaint):
            refused()
    narrow = geo.CausalSpace.fit(geo.Unembedding(planted.unembedding.matrix[:, :9], planted.unembedding.vocabulary))
    with pytest.raises(geo.errors.SteeringError, match=f"9 wide, the concept vectors {WIDTH}"):
        ConceptSteering(narrow, directions)


def test_concepts_without_a_direction_are_refused(planted: Planted, space: geo.CausalSpace) -> None:
    cloud = geo.directions.TokenCloud.of(space, planted.hierarchy)
    same = geo.ConceptDirections.fit_cloud(cloud.moved(torch.zeros_like(cloud.points)))
    with pytest.raises(geo.errors.SteeringError, match="bird is zero"):
        ConceptSteering(space, same)["bird"]
    with pytest.raises(geo.errors.SteeringError, match="bird − animal is zero"):
        ConceptSteering(space, same).child("bird")
    train = np.ones(len(cloud.points), dtype=bool)
    train[planted.hierarchy.members[planted.hierarchy.index("bird")]] = False
    missing = geo.ConceptDirections.fit_cloud(cloud, train=train, missing="nan")
    for unit in (True, False):
        with pytest.raises(geo.errors.SteeringError, match="bird"):
            ConceptSteering(space, missing, unit=unit)["bird"]
