"""Phrases as points of a space: means over contexts, the origin, metrics, and what cannot be measured."""

from typing import Any

import numpy as np
import pytest
import torch

import geometry as geo
from geometry.layers import PhraseActivations, PhraseVectors
from geometry.layers.metrics import Metric

SITES = [geo.Site("output", 3), geo.Site("attention", 1), geo.Site("input", 0)]
PHRASES = ("polar bear", "oak", "Ġoak", "ice cream", "crème brûlée")


@pytest.fixture
def found() -> PhraseActivations:
    generator = torch.Generator().manual_seed(0)
    samples = {site: torch.randn(3, len(PHRASES), 4, generator=generator) for site in SITES}
    return PhraseActivations(PHRASES, ("a {}", "b {}", "c {}"), samples, "tiny", "llama")


def metric(site: geo.Site, width: int = 4) -> Metric:
    root = torch.randn(width, width, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return Metric("mine", root @ root.T, site)


def test_sites_are_in_the_order_of_the_model(found: PhraseActivations) -> None:
    assert [str(site) for site in found.sites] == ["input.0", "attention.1", "output.3"]
    assert found["output.3"] is found[3]


def test_means_are_over_all_contexts_or_some(found: PhraseActivations) -> None:
    rows = found["output.3"].clone()
    torch.testing.assert_close(found.mean("output.3"), rows.mean(dim=0))
    torch.testing.assert_close(found.mean(3, [2]), rows[2])
    torch.testing.assert_close(found.mean(3, [0, 2]), rows[[0, 2]].mean(dim=0))
    assert torch.equal(found["output.3"], rows)


@pytest.mark.parametrize("contexts", [[], [3], [-1], [0, 7]])
def test_contexts_that_are_not_there_are_refused(found: PhraseActivations, contexts: list[int]) -> None:
    with pytest.raises(geo.errors.SteeringError, match="contexts are numbered 0 to 2, and not"):
        found.space("output.3", contexts=contexts)


def test_every_phrase_is_one_entry_of_the_vocabulary(found: PhraseActivations) -> None:
    for number, phrase in enumerate(PHRASES):
        assert found.vocabulary.word_id(phrase) == number
        assert found.vocabulary.text(number) == f" {phrase}"
    assert found.vectors("output.3").rows.tolist() == list(range(len(PHRASES)))


def test_points_lie_about_their_mean_under_the_metric(found: PhraseActivations) -> None:
    given = metric(geo.Site("output", 3))
    space = found.space("output.3", given, dtype=torch.float64)
    rows = found.mean("output.3").double()
    points = space.rows(range(len(PHRASES)))
    torch.testing.assert_close(points.mean(dim=0), torch.zeros(4, dtype=torch.float64), rtol=0, atol=1e-7)
    centred = rows - rows.mean(dim=0)
    torch.testing.assert_close(points @ points.T, centred @ given.matrix @ centred.T, rtol=1e-6, atol=1e-6)
    assert space.metric == "mine"


def test_euclidean_points_are_the_means_themselves(found: PhraseActivations) -> None:
    points = found.space("output.3").rows([0, 3])
    rows = found.mean("output.3")
    torch.testing.assert_close(points, rows[[0, 3]] - rows.mean(dim=0))
    assert points.dtype == torch.float32


@pytest.mark.parametrize("place", [geo.Site("input", 0), geo.Site("output", 2)], ids=str)
def test_a_metric_of_another_site_is_refused(found: PhraseActivations, place: geo.Site) -> None:
    with pytest.raises(geo.errors.SteeringError, match=r"'mine' was measured at .* and not at output\.3, of width 4"):
        found.space("output.3", metric(place))


def test_a_metric_of_another_width_is_refused(found: PhraseActivations) -> None:
    with pytest.raises(geo.errors.SteeringError, match=r"of width 5, and not at output\.3, of width 4"):
        found.space("output.3", metric(geo.Site("output", 3), 5))


@pytest.mark.parametrize("name", ["fisher", "causal", "covariance", ""])
def test_a_name_alone_is_no_metric(found: PhraseActivations, name: Any) -> None:
    with pytest.raises(geo.errors.ArgumentError, match="metric must be Metric or one of 'euclidean'"):
        found.space("output.3", name)


def test_a_site_at_which_nothing_was_read_is_refused(found: PhraseActivations) -> None:
    with pytest.raises(geo.errors.SteeringError, match=r"nothing was read at output\.2; there is input\.0"):
        found.space("output.2")


@pytest.mark.parametrize("size", [1.0, 1e-6, 1e6, 0.0])
def test_phrases_at_one_point_are_refused(size: float) -> None:
    point = size * torch.randn(1, 1, 8, generator=torch.Generator().manual_seed(0))
    # As batches of other sizes are rounded.
    rounding = 1 + 1e-8 * torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(1))
    alike = PhraseActivations(("a", "b", "c"), ("x {}", "y {}"), {geo.Site("input", 0): point * rounding})
    with pytest.raises(geo.errors.SteeringError, match=r"input\.0: all 3 phrases lie at one point there"):
        alike.space("input.0")


def test_the_input_of_block_0_is_the_same_for_phrases_with_one_last_token() -> None:
    from tests.steering import tiny

    options = {"contexts": ["w3 {}"], "sites": ["input.0", "output.0"], "progress": False}
    found = geo.read_phrases(tiny.build("llama"), tiny.tokenizer(), ["w4 w9", "w5 w9"], **options)
    with pytest.raises(geo.errors.SteeringError, match="all 2 phrases lie at one point"):
        found.space("input.0")
    assert found.space("output.0").rows([0, 1]).isfinite().all()


def test_vectors_of_ones_own_are_a_space() -> None:
    rows = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    mine = PhraseVectors(rows, geo.Vocabulary([f" {phrase}" for phrase in PHRASES]), name="mine")
    space = geo.CausalSpace.with_metric(mine, torch.eye(3), metric="euclidean")
    np.testing.assert_allclose(space.rows([1]).numpy()[0], (rows[1] - rows.mean(dim=0)).numpy(), rtol=1e-6, atol=1e-6)
    assert repr(mine) == "PhraseVectors('mine', phrases, 5 x 3 torch.float32)"


def test_it_shows_sizes_not_numbers(found: PhraseActivations) -> None:
    assert repr(found) == "PhraseActivations('tiny', 5 phrases in 3 contexts, input.0, attention.1, output.3)"
    assert found._repr_html_().count("<tr>") == 4
