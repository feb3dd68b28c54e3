import numpy as np
import pytest
import torch

import geometry as geo
from tests.planted import Planted


@pytest.fixture
def cloud(planted: Planted) -> geo.directions.TokenCloud:
    return geo.directions.TokenCloud.of(geo.CausalSpace.fit(planted.unembedding), planted.hierarchy)


def draw(null: str, planted: Planted, cloud: geo.directions.TokenCloud, seed: int = 0) -> geo.directions.TokenCloud:
    return geo.NULLS[null].draw(geo.CausalSpace.fit(planted.unembedding), cloud, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def ranked() -> tuple[geo.CausalSpace, geo.directions.TokenCloud]:
    """A model of one dimension, in which a row says its rank among the usable tokens; every fifth is special."""
    tokens = [f"Ġword{number}" for number in range(4000)]
    vocabulary = geo.Vocabulary(tokens, special=range(0, 4000, 5))
    matrix = torch.zeros(4000, 1)
    matrix[torch.from_numpy(np.flatnonzero(vocabulary.textual))] = torch.arange(1.0, 3201.0)[:, None]
    space = geo.CausalSpace.fit(geo.Unembedding(matrix, vocabulary, "ranked"))
    words = [token[1:] for token in tokens]
    concepts = (
        geo.concepts.Concept.from_words("all", words, vocabulary),
        geo.concepts.Concept.from_words("few", words[:9], vocabulary),
    )
    hierarchy = geo.ConceptHierarchy("ranked", concepts, {"few": ("all",)})
    return space, geo.directions.TokenCloud.of(space, hierarchy)


def ranks(space: geo.CausalSpace, cloud: geo.directions.TokenCloud) -> np.ndarray:
    return (cloud.points @ space.colourer + space.mean).flatten().round().numpy().astype(int)


def test_shuffled_rows_are_other_rows_of_the_model(planted: Planted, cloud: geo.directions.TokenCloud) -> None:
    shuffled = draw("shuffled", planted, cloud)
    space = geo.CausalSpace.fit(planted.unembedding)
    distances = torch.cdist(shuffled.points, space.rows(planted.unembedding.rows))
    assert float(distances.min(dim=1).values.max()) < 1e-6
    assert len(set(distances.argmin(dim=1).tolist())) == len(shuffled.points)
    assert not torch.equal(shuffled.points, cloud.points)


def test_gaussian_rows_are_standard_normal(planted: Planted, cloud: geo.directions.TokenCloud) -> None:
    points = torch.cat([draw("gaussian", planted, cloud, seed).points for seed in range(20)])
    n, d = points.shape
    assert float(points.mean()) == pytest.approx(0, abs=4 / np.sqrt(n * d))
    assert float(points.var()) == pytest.approx(1, abs=4 * np.sqrt(2 / (n * d)))
    # The largest singular value of n x d standard normal rows is near √n + √d.
    spread = torch.linalg.matrix_norm(points, ord=2) / np.sqrt(n)
    assert float(spread) == pytest.approx(1 + np.sqrt(d / n), abs=0.05)


@pytest.mark.parametrize("seed", range(3))
def test_permuted_lemmas_change_places_with_lemmas_as_frequent(
    ranked: tuple[geo.CausalSpace, geo.directions.TokenCloud], seed: int
) -> None:
    space, cloud = ranked
    own = ranks(space, cloud)
    assert own.tolist() == list(range(1, 3201))
    permuted = geo.NULLS["permuted"].draw(space, cloud, np.random.default_rng(seed))
    places = ranks(space, permuted)
    assert sorted(places) == own.tolist()
    assert (places != own).mean() > 0.9
    # Ten bands of equally many lemmas.
    np.testing.assert_array_equal((places - 1) // 320, (own - 1) // 320)
    shuffled = ranks(space, geo.NULLS["shuffled"].draw(space, cloud, np.random.default_rng(seed)))
    assert ((shuffled - 1) // 320 == (own - 1) // 320).mean() < 0.2


def test_permuted_lemmas_keep_the_forms_of_a_word_together(
    smollm2_nouns: geo.ConceptHierarchy, smollm2_space: geo.CausalSpace
) -> None:
    cloud = geo.directions.TokenCloud.of(smollm2_space, smollm2_nouns)
    permuted = geo.NULLS["permuted"].draw(smollm2_space, cloud, np.random.default_rng(0))
    assert permuted.hierarchy is smollm2_nouns
    assert permuted.permutation_of is not None
    origin, rows = permuted.permutation_of
    assert origin is cloud
    assert torch.equal(permuted.points, cloud.products.rows[torch.from_numpy(rows)])
    torch.testing.assert_close(permuted.points.double(), cloud.points[torch.from_numpy(rows)], rtol=1e-6, atol=1e-6)
    given: dict[int, set[int]] = {}
    for lemma, row in zip(smollm2_nouns.lemmas.tolist(), smollm2_nouns.lemmas[rows].tolist(), strict=True):
        given.setdefault(lemma, set()).add(row)
    assert all(len(some) == 1 for some in given.values())
    moved = np.mean([lemma not in some for lemma, some in given.items()])
    assert moved > 0.9


def test_a_random_metric_has_the_whiteners_spectrum_along_other_axes(
    planted: Planted, cloud: geo.directions.TokenCloud
) -> None:
    space = geo.CausalSpace.fit(planted.unembedding)
    rows = planted.unembedding.matrix[torch.from_numpy(cloud.hierarchy.tokens)].double().numpy()
    centred = rows - space.mean.numpy()
    whitener = space.whitener.numpy()
    maps = [np.linalg.lstsq(centred, draw("random_metric", planted, cloud, seed).points.numpy())[0] for seed in (0, 1)]
    for found in maps:
        np.testing.assert_allclose(found, found.T, atol=1e-8)
        np.testing.assert_allclose(
            np.linalg.svd(found, compute_uv=False), np.linalg.svd(whitener, compute_uv=False), rtol=1e-8
        )
        assert not np.allclose(found, whitener, atol=0.01)
    assert not np.allclose(*maps, atol=0.01)


def test_euclidean_rows_are_those_of_the_model_less_their_mean(
    planted: Planted, cloud: geo.directions.TokenCloud
) -> None:
    matrix = planted.unembedding.matrix.double().numpy()
    expected = matrix[cloud.hierarchy.tokens] - matrix[planted.unembedding.rows].mean(axis=0)
    np.testing.assert_allclose(draw("euclidean", planted, cloud).points.numpy(), expected, atol=1e-12)


def test_the_mean_estimator_keeps_the_cloud(planted: Planted, cloud: geo.directions.TokenCloud) -> None:
    assert draw("mean_estimator", planted, cloud) is cloud
    assert geo.NULLS["mean_estimator"].estimator == "mean"
    assert [name for name, null in geo.NULLS.items() if null.estimator] == ["mean_estimator"]


def test_random_subsets_have_the_childs_size_and_the_parents_words(
    planted: Planted, cloud: geo.directions.TokenCloud
) -> None:
    subsets = draw("random_subset", planted, cloud)
    real, null = planted.hierarchy, subsets.hierarchy
    assert subsets.points is cloud.points
    drawn = [(null.concepts[parent], null.concepts[child]) for parent, child in null.reported_edges]
    assert null.drawn is not None
    assert {child.name for _, child in drawn} == set(null.drawn)
    assert sorted(null.drawn.values()) == sorted(real.names[child] for _, child in real.edges)
    for parent, child in drawn:
        assert set(child.tokens) < set(parent.tokens)
        assert parent in real.concepts
    sizes = sorted((parent.name, len(child)) for parent, child in drawn)
    assert sizes == sorted((real.names[parent], len(real.concepts[child])) for parent, child in real.edges)


@pytest.mark.parametrize("null", ["random_subset", "random_parent"])
def test_real_concepts_and_edges_stay_beside_the_drawn_but_are_not_reported(
    null: str, planted: Planted, cloud: geo.directions.TokenCloud
) -> None:
    real, other = planted.hierarchy, draw(null, planted, cloud)
    assert set(real.concepts) == {concept for concept in other.hierarchy if concept.name not in other.hierarchy.drawn}
    assert {name: other.hierarchy.parents[name] for name in real.names} == real.parents
    assert other.hierarchy.drawn is not None
    assert {other.hierarchy.names[index] for index in other.hierarchy.reported} == set(other.hierarchy.drawn)
    train = geo.evidence.train_mask(real, "token", np.random.default_rng(0))
    directions = geo.ConceptDirections.fit_cloud(other, train=train)
    assert len(geo.evidence.projection("token").evaluate(directions)) == len(other.hierarchy.drawn)
    assert len(geo.evidence.parent_orthogonality().evaluate(directions)) == len(other.hierarchy.drawn)
    assert len(geo.evidence.separation("token").evaluate(directions)) == len(other.hierarchy.drawn)


def test_random_parents_are_no_kin_of_the_child(
    smollm2_nouns: geo.ConceptHierarchy, smollm2_space: geo.CausalSpace
) -> None:
    cloud = geo.directions.TokenCloud.of(smollm2_space, smollm2_nouns)
    null = geo.NULLS["random_parent"].draw(smollm2_space, cloud, np.random.default_rng(0)).hierarchy
    assert len(null.reported_edges) == len(smollm2_nouns.edges)
    by_tokens = {concept.tokens: concept.name for concept in smollm2_nouns}
    for parent, child in null.reported_edges:
        name, above = by_tokens[null.concepts[child].tokens], null.names[parent]
        assert above in smollm2_nouns
        assert above != name
        assert above not in smollm2_nouns.parents[name]
        assert above not in smollm2_nouns.descendants(name)


def test_random_subsets_hold_whole_lemmas(smollm2_nouns: geo.ConceptHierarchy, smollm2_space: geo.CausalSpace) -> None:
    cloud = geo.directions.TokenCloud.of(smollm2_space, smollm2_nouns)
    null = geo.NULLS["random_subset"].draw(smollm2_space, cloud, np.random.default_rng(0)).hierarchy
    assert np.array_equal(null.lemmas, smollm2_nouns.lemmas)
    for parent, child in null.reported_edges[::20]:
        inside, around = null.lemmas[null.members[child]], null.lemmas[null.members[parent]]
        cut = sum(np.sum(around == lemma) != np.sum(inside == lemma) for lemma in set(inside))
        assert cut <= 1  # the last lemma drawn may be cut to reach the child's size


def test_nesting_alone_gives_orthogonality(smollm2_space: geo.CausalSpace, smollm2_nouns: geo.ConceptHierarchy) -> None:
    tests = geo.test_against_nulls(
        smollm2_space,
        smollm2_nouns,
        [geo.evidence.parent_orthogonality()],
        nulls=["random_subset"],
        n_permutations=2,
        max_tokens=None,
        estimator="mean",
    )
    cosine = tests["parent_orthogonality"]
    # E⟨m_C − m_P, m_P⟩ = 0 for a random subset C of P, so the signed mean vanishes.
    assert abs(cosine.nulls["random_subset"].mean) < 0.03


@pytest.mark.parametrize("null", geo.NULLS)
def test_seeds_decide(null: str, planted: Planted, cloud: geo.directions.TokenCloud) -> None:
    def drawn(seed: int) -> dict[str, list[float]]:
        directions = geo.ConceptDirections.fit_cloud(draw(null, planted, cloud, seed))
        return dict(zip(directions.hierarchy.names, directions.vectors.tolist(), strict=True))

    assert drawn(0) == drawn(0)
    assert (drawn(0) != drawn(1)) == geo.NULLS[null].random


def test_permuted_points_are_the_same_points_of_other_things(
    planted: Planted, cloud: geo.directions.TokenCloud
) -> None:
    drawn = geo.evidence.PROMPT_NULLS["permuted"].draw(
        geo.CausalSpace.fit(planted.unembedding), cloud, np.random.default_rng(0)
    )
    assert drawn.hierarchy is cloud.hierarchy
    assert not torch.equal(drawn.points, cloud.points)
    assert torch.equal(drawn.points.sort(dim=0).values, cloud.points.sort(dim=0).values)
    assert drawn.permutation_of is not None
    assert torch.equal(drawn.points, cloud.points[torch.from_numpy(drawn.permutation_of[1])])


def test_subsets_of_points_break_templates_up() -> None:
    """Prompts of one template are one lemma; a random class of whole templates would be no random class."""
    cells = [("speech", "work"), ("tale", "work"), ("speech", "home"), ("tale", "home")]
    classes = tuple(
        geo.concepts.BehaviourClass(
            name, (name,), tuple(geo.concepts.Prompt(f"{name} {i} {t} {d}.", t, d) for t, d in cells for i in "ab")
        )
        for name in ("low", "middle", "high")
    )
    family = geo.concepts.Behaviour("haste", "", True, {"speech": "", "tale": ""}, {"work": "", "home": ""}, classes)
    hierarchy = geo.concepts.behaviour_prompts([family])
    cloud = geo.directions.TokenCloud(hierarchy, torch.arange(24.0)[:, None])
    rng = np.random.default_rng(0)
    drawn = geo.evidence.PROMPT_NULLS["random_subset"].draw(None, cloud, rng).hierarchy  # type: ignore[arg-type]
    subsets = [np.array(drawn[name].tokens) for name in drawn.names if drawn.drawn and name in drawn.drawn]
    assert [len(some) for some in subsets] == [8, 8, 8]
    templates = [set(hierarchy.lemmas[some]) for some in subsets]
    owners = [{token // 8 for token in some} for some in subsets]
    assert all(len(some) == 2 for some in templates)
    assert all(len(some) > 1 for some in owners)
