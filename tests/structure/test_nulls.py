import numpy as np
import pytest
import torch

import geometry as geo
from geometry.structure.nulls import NULLS
from tests.conftest import Planted


@pytest.fixture
def cloud(planted: Planted) -> geo.TokenCloud:
    return geo.TokenCloud.of(geo.CausalSpace.fit(planted.unembedding), planted.hierarchy)


def draw(null: str, planted: Planted, cloud: geo.TokenCloud, seed: int = 0) -> geo.TokenCloud:
    return NULLS[null](geo.CausalSpace.fit(planted.unembedding), cloud, np.random.default_rng(seed))


def test_shuffled_rows_are_other_rows_of_the_model(planted: Planted, cloud: geo.TokenCloud) -> None:
    shuffled = draw("shuffled", planted, cloud)
    space = geo.CausalSpace.fit(planted.unembedding)
    distances = torch.cdist(shuffled.points, space.rows(planted.unembedding.rows))
    assert float(distances.min(dim=1).values.max()) < 1e-6
    assert len(set(distances.argmin(dim=1).tolist())) == len(shuffled.points)
    assert not torch.equal(shuffled.points, cloud.points)


def test_gaussian_rows_are_standard_normal(planted: Planted, cloud: geo.TokenCloud) -> None:
    points = torch.cat([draw("gaussian", planted, cloud, seed).points for seed in range(20)])
    assert float(points.mean()) == pytest.approx(0, abs=0.02)
    assert torch.linalg.matrix_norm(torch.cov(points.T) - torch.eye(points.shape[1])) < 2


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


@pytest.mark.parametrize("null", NULLS)
def test_seeds_decide(null: str, planted: Planted, cloud: geo.TokenCloud) -> None:
    def vectors(seed: int) -> torch.Tensor:
        return geo.ConceptDirections.fit(draw(null, planted, cloud, seed)).vectors

    assert torch.equal(vectors(0), vectors(0))
    assert not torch.equal(vectors(0), vectors(1))
