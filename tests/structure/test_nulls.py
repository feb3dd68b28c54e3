import numpy as np
import pytest
import torch

import geometry as geo
from tests.conftest import Planted


@pytest.fixture
def cloud(planted: Planted) -> geo.TokenCloud:
    return geo.TokenCloud.of(geo.CausalSpace.fit(planted.unembedding), planted.hierarchy)


def draw(null: str, planted: Planted, cloud: geo.TokenCloud, seed: int = 0) -> geo.TokenCloud:
    return geo.NULLS[null](geo.CausalSpace.fit(planted.unembedding), cloud, np.random.default_rng(seed))


def test_shuffled_rows_are_other_rows_of_the_model(planted: Planted, cloud: geo.TokenCloud) -> None:
    shuffled = draw("shuffled", planted, cloud)
    space = geo.CausalSpace.fit(planted.unembedding)
    distances = torch.cdist(shuffled.points, space.rows(planted.unembedding.rows))
    assert float(distances.min(dim=1).values.max()) < 1e-6
    assert len(set(distances.argmin(dim=1).tolist())) == len(shuffled.points)
    assert not torch.equal(shuffled.points, cloud.points)


def test_gaussian_rows_are_standard_normal(planted: Planted, cloud: geo.TokenCloud) -> None:
    points = torch.cat([draw("gaussian", planted, cloud, seed).points for seed in range(20)])
    n, d = points.shape
    assert float(points.mean()) == pytest.approx(0, abs=4 / np.sqrt(n * d))
    assert float(points.var()) == pytest.approx(1, abs=4 * np.sqrt(2 / (n * d)))
    # The largest singular value of n x d standard normal rows is near √n + √d.
    spread = torch.linalg.matrix_norm(points, ord=2) / np.sqrt(n)
    assert float(spread) == pytest.approx(1 + np.sqrt(d / n), abs=0.05)


def test_random_subsets_have_the_childs_size_and_the_parents_words(planted: Planted, cloud: geo.TokenCloud) -> None:
    subsets = draw("random_subset", planted, cloud)
    real, null = planted.hierarchy, subsets.hierarchy
    assert subsets.points is cloud.points
    assert len(null.edges) == len(real.edges)
    for parent, child in null.edges:
        assert set(null.concepts[child].tokens) < set(null.concepts[parent].tokens)
        assert null.concepts[parent] in real.concepts
    sizes = sorted(len(null.concepts[child]) for _, child in null.edges)
    assert sizes == sorted(len(real.concepts[child]) for _, child in real.edges)


def test_random_subsets_hold_whole_lemmas(smollm2_nouns: geo.ConceptHierarchy, smollm2_space: geo.CausalSpace) -> None:
    cloud = geo.TokenCloud.of(smollm2_space, smollm2_nouns)
    null = geo.NULLS["random_subset"](smollm2_space, cloud, np.random.default_rng(0)).hierarchy
    assert np.array_equal(null.lemmas, smollm2_nouns.lemmas)
    for parent, child in null.edges[::20]:
        inside, around = null.lemmas[null.members[child]], null.lemmas[null.members[parent]]
        cut = sum(np.sum(around == lemma) != np.sum(inside == lemma) for lemma in set(inside))
        assert cut <= 1  # the last lemma drawn may be cut to reach the child's size


def test_nesting_alone_gives_orthogonality(smollm2_space: geo.CausalSpace, smollm2_nouns: geo.ConceptHierarchy) -> None:
    tests = geo.compare_with_nulls(
        smollm2_space,
        smollm2_nouns,
        [geo.parent_orthogonality()],
        nulls={"random_subset": geo.NULLS["random_subset"]},
        draws=2,
        estimator="mean",
    )
    cosine = tests["cosine/whole"]
    # E⟨m_C − m_P, m_P⟩ = 0 for a random subset C of P, so the signed mean vanishes.
    assert abs(cosine.null_mean("random_subset")) < 0.03


@pytest.mark.parametrize("null", geo.NULLS)
def test_seeds_decide(null: str, planted: Planted, cloud: geo.TokenCloud) -> None:
    def vectors(seed: int) -> torch.Tensor:
        return geo.ConceptDirections.fit_cloud(draw(null, planted, cloud, seed)).vectors

    assert torch.equal(vectors(0), vectors(0))
    assert not torch.equal(vectors(0), vectors(1))
