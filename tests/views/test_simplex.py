"""Simplices of three or four concepts: their words, what the headline says, and what spans none."""

import numpy as np
import pytest
from matplotlib.figure import Figure

import geometry as geo
from geometry.views.concept_simplex import simplex_panel
from tests.views.reading import headline, legend, written


def test_vertices_keep_the_distances_of_the_vectors(directions: geo.ConceptDirections) -> None:
    names = ["mammal", "bird", "tree"]
    panel = simplex_panel(directions, {name: np.arange(2) for name in names}, "")
    for first, second in (("mammal", "bird"), ("bird", "tree")):
        distance = float((directions[first] - directions[second]).norm())
        assert np.linalg.norm(panel.vertices[first] - panel.vertices[second]) == pytest.approx(distance)
    figure = geo.views.simplex(directions, names)
    assert written(figure.axes[0]) == names
    assert legend(figure) == ["concept vectors", *(f"{name} words" for name in names)]


def test_the_headline_has_the_accuracy_on_held_out_words_alone(
    space: geo.CausalSpace, directions: geo.ConceptDirections, held_out: geo.ConceptDirections
) -> None:
    names = ["mammal", "bird", "tree"]
    title, caption = headline(geo.views.simplex(directions, names))
    assert title == "Concept vectors of mammal, bird and tree, and 90 words that they were fitted to"
    assert "in noise too" in caption
    null = geo.views.null_directions(space, held_out)
    title, caption = headline(geo.views.simplex(held_out, names, beside={"shuffled rows": null}))
    confusion = geo.evidence.nearest_vertices(held_out, [held_out.hierarchy.index(name) for name in names])
    accuracy = (confusion.diagonal() / confusion.sum(axis=1)).mean()
    assert accuracy > 0.9
    assert f"among mammal, bird and tree, chance-corrected: {(accuracy - 1 / 3) * 1.5:.2f} (shuffled rows" in title
    assert f"{confusion.sum()} held-out words" in caption


def test_it_draws_into_given_axes_in_given_colours(directions: geo.ConceptDirections) -> None:
    figure = Figure(figsize=(8, 4))
    left, right = figure.subplots(1, 2)
    names = ["mammal", "bird", "tree", "animal"]
    assert geo.views.simplex(directions, names, ax=left, colours={"bird": "#123456"}) is figure
    assert left.lines
    assert not right.lines
    assert "#123456" in {mark.get_color() for mark in left.get_legend().legend_handles}


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (["bird", "tree"], "give 3 or 4 concepts, not 2"),
        (["bird", "tree", "bird"], "'bird' is named more than once"),
        (["bird", "tree", "unicorn"], "no concept 'unicorn'"),
    ],
    ids=["two", "twice", "unknown"],
)
def test_what_is_no_simplex_is_refused(directions: geo.ConceptDirections, names: list[str], problem: str) -> None:
    with pytest.raises(geo.GeometryError, match=problem):
        geo.views.simplex(directions, names)


def test_vertices_on_a_line_are_refused(directions: geo.ConceptDirections) -> None:
    # The mean of two classes of one size lies between theirs.
    means = geo.ConceptDirections.fit_cloud(directions.cloud, estimator="mean")
    with pytest.raises(geo.GeometryError, match="the vectors of animal, mammal and bird span no triangle"):
        geo.views.simplex(means, ["animal", "mammal", "bird"])
