"""What is on a device stays there: the whole path from unembedding to verdicts on a device that is not the CPU."""

import numpy as np
import pytest
import torch

import geometry as geo
from geometry.frames import Frame
from tests.elsewhere import DEVICE, Elsewhere, elsewhere
from tests.planted import planted_tree

CLAIMS = {"n_permutations": 9, "n_others": 1, "n_twins": 2, "progress": False}


@pytest.fixture(scope="module")
def spaces() -> tuple[geo.CausalSpace, geo.CausalSpace, geo.ConceptHierarchy]:
    """The same space on the CPU and elsewhere."""
    unembedding, hierarchy = planted_tree((3, 3), 20, 32, 1500)
    here = geo.CausalSpace.fit(unembedding)
    with elsewhere():
        moved = geo.Unembedding(unembedding.matrix.to(DEVICE), unembedding.vocabulary, unembedding.name)
        there = geo.CausalSpace.fit(moved)
    return here, there, hierarchy


def test_that_device_refuses_what_a_gpu_would() -> None:
    with elsewhere():
        there = torch.ones(3, device="cuda:0")
        for wrong in (
            lambda: there + torch.ones(3),
            lambda: there.numpy(),
            lambda: torch.stack([there, torch.ones(3)]),
        ):
            with pytest.raises((RuntimeError, TypeError), match=r"same device|to numpy"):
                wrong()
        assert isinstance(there[torch.tensor([0])] * 2, Elsewhere)
        assert not isinstance(there.cpu(), Elsewhere)


def test_a_space_stays_where_its_matrix_lies(
    spaces: tuple[geo.CausalSpace, geo.CausalSpace, geo.ConceptHierarchy],
) -> None:
    here, there, hierarchy = spaces
    with elsewhere():
        directions = geo.ConceptDirections.fit(there, hierarchy)
        tensors = [there.mean, there.whitener, there.colourer, there.eigenvalues, there.rows([1, 2]), there.unified]
        tensors += [there.scores(directions.vectors), there.unify(there.unembedding.matrix[:2]), directions.vectors]
        tensors += [
            there.unify_hidden(torch.ones(there.width)),
            there.usable(np.arange(3)),
            there.to(torch.float32).mean,
        ]
        assert all(isinstance(tensor, Elsewhere) for tensor in tensors)
        frame = Frame.spanned_by(*directions.vectors[:2])
        views = frame.coordinates(directions.vectors), frame.of_vocabulary(there), directions.cosines()
        labelled = geo.maps.LabelledPoints.of_concept(directions.cloud, hierarchy.names[0])
    same = geo.ConceptDirections.fit(here, hierarchy)
    own = Frame.spanned_by(*same.vectors[:2])
    on_cpu = own.coordinates(same.vectors), own.of_vocabulary(here), same.cosines()
    for view, expected in zip(views, on_cpu, strict=True):
        np.testing.assert_allclose(view, expected, atol=1e-9)
    expected = geo.maps.LabelledPoints.of_concept(same.cloud, hierarchy.names[0]).points
    np.testing.assert_allclose(labelled.points, expected)


def test_claims_are_the_same_elsewhere(spaces: tuple[geo.CausalSpace, geo.CausalSpace, geo.ConceptHierarchy]) -> None:
    here, there, hierarchy = spaces
    expected = geo.evaluate_claims(here, hierarchy, **CLAIMS)
    with elsewhere():
        results = geo.evaluate_claims(there, hierarchy, **CLAIMS)
    assert [result.verdict for result in results] == [result.verdict for result in expected]
    for result, other in zip(results, expected, strict=True):
        np.testing.assert_allclose(result.values, other.values, rtol=1e-6, atol=1e-9)


def test_models_are_profiled_elsewhere(spaces: tuple[geo.CausalSpace, geo.CausalSpace, geo.ConceptHierarchy]) -> None:
    here, there, hierarchy = spaces
    options = {"claims": geo.compare.OWN_CLAIMS, "n_twins": 0, "n_permutations": 3, "seed": 0}
    with elsewhere():
        profile = geo.compare.model_profile(there, hierarchy, **options)
    np.testing.assert_allclose(profile.matrix, geo.compare.model_profile(here, hierarchy, **options).matrix, atol=1e-9)
