from itertools import pairwise

import numpy as np
import pytest
import torch

import geometry as geo
from geometry.directions import TokenCloud
from geometry.evidence import twin as twins
from geometry.evidence.lemma_blocks import LemmaBlocks
from geometry.evidence.strength import SignalStrength
from geometry.evidence.twin import TILT, TheoryTwin
from geometry.randomness import generator
from tests.planted import nested_words


def cloud_of(words: dict, parents: dict, width: int, seed: int = 0) -> TokenCloud:
    """Rows of noise under these words."""
    vocabulary = geo.Vocabulary([f"Ġ{word}" for word in dict.fromkeys(word for own in words.values() for word in own)])
    concepts = tuple(geo.concepts.Concept.from_words(name, own, vocabulary) for name, own in words.items())
    hierarchy = geo.ConceptHierarchy("made", concepts, parents)
    points = np.random.default_rng(seed).standard_normal((len(hierarchy.tokens), width)) + 1
    return TokenCloud(hierarchy, torch.from_numpy(points))


@pytest.fixture(scope="module")
def model() -> TokenCloud:
    """Words of thirteen concepts, each as frequent as the others, around centres that are not orthogonal."""
    words, parents = nested_words((3, 3), 20)
    rng = np.random.default_rng(6)
    words["r"] = [words["r"][index] for index in rng.permutation(180)]
    cloud = cloud_of(words, parents, 40)
    added = {name: rng.standard_normal(40) / 2 for name in words}
    centres = [sum(added[name] for name in words if word.startswith(name)) for word in cloud.hierarchy.words]
    return cloud.moved(cloud.points + torch.from_numpy(np.array(centres)))


@pytest.fixture(scope="module")
def twin(model: TokenCloud) -> TheoryTwin:
    return TheoryTwin.of(model)


def planted_part(twin: TheoryTwin, seed: int, tilt: float = 0.0) -> np.ndarray:
    """A cloud without the rows that serve as noise."""
    rows = torch.from_numpy(twin.blocks.permutation(generator(seed, "twin")))
    return (twin.cloud(seed, tilt=tilt).points - twin.cloud_of_model.points[rows]).numpy()


DAG_WORDS = {
    "r": ["zqay", "zqby", "zqcy", "zqdy", "zqey", "zqfy"],
    "a": ["zqby", "zqcy", "zqdy", "zqey"],
    "b": ["zqcy", "zqdy", "zqey", "zqfy"],
    "c": ["zqdy", "zqey"],
    "e": ["zqey", "zqfy"],
}
DAG_PARENTS = {"a": ("r",), "b": ("r",), "c": ("a", "b"), "e": ("b",)}


def test_words_of_several_siblings_share_between_them() -> None:
    hierarchy = cloud_of(DAG_WORDS, DAG_PARENTS, 9).hierarchy
    assert (hierarchy.names, hierarchy.words) == (("r", "a", "b", "c", "e"), tuple(DAG_WORDS["r"]))
    expected = [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 0.5, 0.5, 0, 0],  # of a and of b
        [1, 0.5, 0.5, 1, 0],  # of c, which is under both
        [1, 0.5, 0.5, 0.75, 0.5],  # of c, alone under a and beside e under b, and of e
        [1, 0, 1, 0, 1],
    ]
    np.testing.assert_allclose(twins._shares(hierarchy).toarray(), expected)


def test_lengths_solve_the_contrasts_and_negative_ones_are_planted_as_none() -> None:
    words = [f"zq{number}y" for number in range(40)]
    cloud = cloud_of({"r": words, "a": words[:20], "b": words[:5]}, {"a": ("r",), "b": ("a",)}, 9)
    edges = np.array(cloud.hierarchy.edges)

    def of(*contrast: float) -> TheoryTwin:
        return TheoryTwin.of(cloud, SignalStrength(edges, np.array(contrast), np.ones(3), 1.0))

    # A quarter of a's words is of b, and so adds b's square over 16 to a's contrast.
    np.testing.assert_allclose(np.square(of(4, 1).lengths), [0, 4 - 1 / 16, 1])
    assert of(4, 1).negative == 0
    np.testing.assert_allclose(of(4, -1).lengths, [0, 2, 0], atol=1e-12)
    assert of(4, -1).negative == 1
    assert not of(-4, -1).lengths.any()
    assert of(-4, -1).negative == 2
    np.testing.assert_allclose(of(4, np.nan).lengths[0], 0)
    assert of(4, np.nan).negative == 0
    assert not of(np.nan, np.nan).lengths.any()


def test_what_no_contrast_tells_gets_no_length(smollm2: geo.Unembedding, smollm2_space: geo.CausalSpace) -> None:
    """The root's share is the same in both groups of every contrast but for rounding, which is not to be divided by."""
    organisms = geo.load_hierarchy("organisms", smollm2.vocabulary)
    cloud = TokenCloud.of(smollm2_space, organisms)
    twin = TheoryTwin.of(cloud)
    assert twin.lengths[organisms.index("organism")] == 0
    assert twin.lengths.max() ** 2 < 2 * SignalStrength.of(cloud).contrast.max()


def assert_orthogonal_to_all_above(hierarchy: geo.ConceptHierarchy, axes: np.ndarray, above: np.ndarray) -> None:
    np.testing.assert_allclose(np.linalg.norm(axes, axis=1), 1)
    assert np.abs(axes @ above).max() < 1e-9 * np.linalg.norm(above)
    for index, name in enumerate(hierarchy.names):
        upper = [name for name in hierarchy.names if hierarchy.names[index] in hierarchy.descendants(name)]
        kin = {hierarchy.index(one) for one in upper}
        kin |= {hierarchy.index(child) for one in upper for child in hierarchy.children[one]} - {index}
        assert all(abs(axes[index] @ axes[other]) < 1e-9 for other in kin), name


@pytest.mark.parametrize("width", [14, 20])
def test_axes_are_orthogonal_wherever_there_is_room(model: TokenCloud, width: int) -> None:
    above = np.random.default_rng(0).standard_normal(width)
    axes = twins._directions(model.hierarchy, np.ones(13), above, 0.0, np.random.default_rng(0))
    np.testing.assert_allclose(axes @ axes.T, np.eye(13), atol=1e-12)
    assert np.abs(axes @ above).max() < 1e-12


@pytest.mark.parametrize("width", [9, 13])
@pytest.mark.parametrize("depth_first", [False, True])
def test_axes_are_orthogonal_to_all_above_in_fewer_dimensions(width: int, depth_first: bool) -> None:
    words, parents = nested_words((3, 3), 3)
    names = sorted(words) if depth_first else list(words)
    hierarchy = cloud_of({name: words[name] for name in names}, parents, width).hierarchy
    above = np.random.default_rng(0).standard_normal(width)
    axes = twins._directions(hierarchy, np.ones(13), above, 0.0, np.random.default_rng(0))
    assert np.abs(axes @ axes.T - np.eye(13)).max() > 0.1
    assert_orthogonal_to_all_above(hierarchy, axes, above)


def test_ancestors_come_first_where_there_is_no_room_for_all() -> None:
    words, parents = nested_words((8, 2, 2), 3)
    hierarchy = cloud_of(words, parents, 8).hierarchy
    above = np.random.default_rng(0).standard_normal(8)
    axes = twins._directions(hierarchy, np.ones(len(hierarchy)), above, 0.0, np.random.default_rng(0))
    for index, name in enumerate(hierarchy.names):
        upper = [hierarchy.index(name[:stop]) for stop in range(1, len(name))]
        assert np.abs(axes[upper] @ axes[index]).max(initial=0) < 1e-9
        assert abs(axes[index] @ above) < 1e-9


@pytest.mark.parametrize("width", [9, 40])
def test_tilted_contrasts_have_the_cosine_with_their_parents_centre(width: int) -> None:
    words, parents = nested_words((3, 3), 3)
    hierarchy = cloud_of(words, parents, width).hierarchy
    rng = np.random.default_rng(0)
    above, lengths = rng.standard_normal(width), rng.uniform(1, 3, 13)
    tilted = twins._directions(hierarchy, lengths, above, TILT, np.random.default_rng(1))
    np.testing.assert_allclose(np.linalg.norm(tilted, axis=1), 1)
    cosines = {}
    for name in hierarchy.names[1:]:
        upper = [hierarchy.index(name[:stop]) for stop in range(1, len(name))]
        centre = above + lengths[upper] @ tilted[upper]
        cosines[name] = float(tilted[hierarchy.index(name)] @ centre / np.linalg.norm(centre))
    np.testing.assert_allclose(np.abs(list(cosines.values())), TILT)
    for children in hierarchy.children.values():
        assert all(cosines[one] == pytest.approx(-cosines[other]) for one, other in pairwise(children))


def test_signs_take_turns_among_children_of_a_first_parent() -> None:
    words = [f"zq{number}y" for number in range(12)]
    named = {"r": words, "a": words[:8], "b": words[:7]}
    named |= {"s": words[:1], "t": words[1:2], "u": words[2:3], "v": words[3:4]}
    parents = {"a": ("r",), "b": ("r",), "s": ("a",), "t": ("b", "a"), "u": ("a", "b"), "v": ("b",)}
    hierarchy = cloud_of(named, parents, 9).hierarchy
    for seed in range(8):
        sign = dict(zip(hierarchy.names, twins._signs(hierarchy, np.random.default_rng(seed)), strict=True))
        assert (sign["a"], sign["s"], sign["t"]) == (-sign["b"], -sign["u"], -sign["v"])


def test_an_exact_twin_adds_contrasts_that_are_orthogonal_to_all_above(twin: TheoryTwin) -> None:
    hierarchy, planted = twin.cloud_of_model.hierarchy, planted_part(twin, 0)
    means = {name: planted[hierarchy.members[hierarchy.index(name)]].mean(axis=0) for name in hierarchy.names}
    assert np.ptp(planted @ twin.cloud_of_model.points.numpy().mean(axis=0)) < 1e-9
    # Of two siblings, other concepts have equal shares: none. Up to the mean of all words, which stays the model's.
    assert abs((means["raa"] - means["rab"]) @ (means["rac"] - means["rc"])) < 1e-9
    assert abs((means["raa"] - means["rab"]) @ (means["rb"] - means["rac"])) < 1e-9
    assert abs((means["ra"] - means["rb"]) @ (means["rca"] - means["rcb"])) < 1e-9
    assert np.linalg.norm(means["raa"] - means["rab"]) > 1


def test_the_mean_of_all_words_is_as_long_as_the_models(twin: TheoryTwin) -> None:
    lengths = [float(cloud.points.mean(dim=0).norm()) for cloud in (twin.cloud_of_model, twin.cloud(0))]
    assert lengths[0] == pytest.approx(lengths[1], rel=1e-6)


def test_contrasts_have_the_lengths_of_the_model(twin: TheoryTwin) -> None:
    strength = SignalStrength.of(twin.cloud_of_model)
    planted, hierarchy = planted_part(twin, 3), twin.cloud_of_model.hierarchy
    for (parent, child), squared in zip(strength.edges, strength.contrast, strict=True):
        rest = np.setdiff1d(hierarchy.members[parent], hierarchy.members[child])
        contrast = planted[hierarchy.members[child]].mean(axis=0) - planted[rest].mean(axis=0)
        assert contrast @ contrast == pytest.approx(squared, rel=0.05)
    assert twin.negative == 0


def test_strength_on_twins_is_close_to_the_models(twin: TheoryTwin) -> None:
    model = SignalStrength.of(twin.cloud_of_model)
    for tilt, tolerance in ((0.0, 0.05), (TILT, 0.2)):
        found = np.mean([SignalStrength.of(twin.cloud(seed, tilt=tilt)).contrast for seed in range(30)], axis=0)
        assert found.mean() == pytest.approx(model.contrast.mean(), rel=tolerance)
        np.testing.assert_allclose(found, model.contrast, rtol=3 * tolerance)


def test_twins_of_a_seed_share_their_noise_and_axes(twin: TheoryTwin) -> None:
    hierarchy, above = twin.cloud_of_model.hierarchy, twin.cloud_of_model.points.numpy().mean(axis=0)
    rng = generator(1, "twin")
    twin.blocks.permutation(rng)
    span = np.linalg.qr(np.column_stack([above, *twins._axes(hierarchy, above, 13, 40, rng)]))[0]
    exact, tilted = planted_part(twin, 1), planted_part(twin, 1, TILT)
    for planted in (exact, tilted):
        np.testing.assert_allclose(planted, planted @ span @ span.T, atol=1e-9)
    assert np.abs(exact - tilted).max() > 0.1


def test_seeds_decide(twin: TheoryTwin) -> None:
    assert torch.equal(twin.cloud(0).points, twin.cloud(0).points)
    assert torch.equal(twin.cloud(0, tilt=TILT).points, twin.cloud(0, tilt=TILT).points)
    assert not torch.equal(twin.cloud(0).points, twin.cloud(1).points)
    assert twin.cloud(0).points.dtype == twin.cloud_of_model.points.dtype
    assert twin.cloud(0).hierarchy is twin.cloud_of_model.hierarchy


def test_a_model_of_fewer_dimensions_than_concepts_has_twins() -> None:
    words, parents = nested_words((3, 3), 8)
    cloud = cloud_of(words, parents, 9)
    twin = TheoryTwin.of(cloud)
    assert twin.negative == int((SignalStrength.of(cloud).contrast < 0).sum()) > 0
    for tilt in (0.0, TILT):
        points = twin.cloud(0, tilt=tilt).points
        assert points.shape == cloud.points.shape
        assert points.isfinite().all()


def test_what_is_known_already_is_not_measured_again(model: TokenCloud, twin: TheoryTwin) -> None:
    strength, blocks = SignalStrength.of(model), LemmaBlocks.of(model.hierarchy, by_frequency=False)
    given = TheoryTwin.of(model, strength, blocks)
    assert given.blocks is blocks
    assert torch.equal(given.cloud(0).points, twin.cloud(0).points)
