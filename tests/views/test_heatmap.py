"""Cosines of concept vectors: which, in what order, beside what, and what the headline says of them."""

import numpy as np
import pytest
from matplotlib.figure import Figure

import geometry as geo
from tests.planted import planted_tree
from tests.views.reading import headline, ticks, written


def test_all_concepts_stand_depth_first_and_the_headline_has_the_means(directions: geo.ConceptDirections) -> None:
    figure = geo.views.heatmap(directions)
    assert ticks(figure.axes[0]) == ["thing", "animal", "mammal", "bird", "tree"]
    title, caption = headline(figure)
    cosines, index = directions.cosines(), directions.hierarchy.index
    apart = [("mammal", "bird"), ("mammal", "tree"), ("bird", "tree"), ("animal", "tree")]
    others = [cosines[index(first), index(second)] for first, second in apart]
    nested = (cosines[np.triu_indices(5, 1)].sum() - sum(others)) / 6
    assert f"5 concepts of planted: mean cosine of nested ones {nested:.2f}" in title
    assert f"of other pairs {np.mean(others):.2f}" in title
    assert "30 to 90 words each" in caption


def test_the_caption_counts_the_words_that_were_fitted_to(held_out: geo.ConceptDirections) -> None:
    used = [int(held_out.train[members].sum()) for members in held_out.hierarchy.members]
    assert f"fitted to {min(used)} to {max(used)} words each" in headline(geo.views.heatmap(held_out))[1]
    few = geo.ConceptDirections.fit_cloud(held_out.cloud, max_tokens=10)
    assert "fitted to 10 words each" in headline(geo.views.heatmap(few))[1]


def test_named_concepts_keep_their_order_and_few_are_written_out(directions: geo.ConceptDirections) -> None:
    (axes, _) = geo.views.heatmap(directions, ["bird", "thing"]).axes
    assert ticks(axes) == ["bird", "thing"]
    cosine = directions.cosines()[directions.hierarchy.index("bird"), 0]
    assert written(axes) == ["1.00", f"{cosine:.2f}", f"{cosine:.2f}", "1.00"]


def test_of_a_flat_hierarchy_pairs_are_pairs(flat: geo.ConceptDirections) -> None:
    title, caption = headline(geo.views.heatmap(flat))
    assert title.startswith("3 concepts of planted: mean cosine of two")
    assert "share words" not in caption
    assert headline(geo.views.heatmap(flat, ["bird"]))[0] == "Cosine of 1 concepts of planted"


def test_many_concepts_have_boxed_and_named_subtrees() -> None:
    unembedding, hierarchy = planted_tree((8, 8), 3, 80, 400)
    directions = geo.ConceptDirections.fit(geo.CausalSpace.fit(unembedding), hierarchy)
    axes = geo.views.heatmap(directions).axes[0]
    assert written(axes) == [f"r{letter}" for letter in "abcdefgh"]
    assert len(axes.patches) == 8
    assert ticks(axes) == []


def test_a_null_stands_beside_on_the_same_scale(space: geo.CausalSpace, directions: geo.ConceptDirections) -> None:
    null = geo.views.null_directions(space, directions)
    figure = geo.views.heatmap(directions, beside={"shuffled rows": null})
    assert [axes.get_title(loc="center") for axes in figure.axes[:2]] == ["model", "shuffled rows"]
    assert "(shuffled rows 0." in headline(figure)[0]
    colours = [axes.images[0].get_array()[2, 2] for axes in figure.axes[:2]]
    np.testing.assert_array_equal(*colours)


def test_it_draws_into_given_axes_and_sizes_with_given_texts(directions: geo.ConceptDirections) -> None:
    figure = Figure(figsize=(8, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    assert geo.views.heatmap(directions, ax=right) is figure
    assert not left.images
    assert len(right.images) == 1
    own = geo.views.heatmap(directions, figsize=(5, 5), title="mine", caption="said", cmap="RdBu_r")
    assert own.get_size_inches().tolist() == [5, 5]
    assert headline(own) == ("mine", "said")


@pytest.mark.parametrize(
    ("concepts", "problem"),
    [(["animl"], "did you mean animal"), (["bird", "bird"], "'bird' is named more than once"), ([], "1 to 5 concepts")],
    ids=["unknown", "twice", "none"],
)
def test_concepts_that_are_not_there_are_refused(
    directions: geo.ConceptDirections, concepts: list[str], problem: str
) -> None:
    with pytest.raises(geo.GeometryError, match=problem):
        geo.views.heatmap(directions, concepts)


def test_what_cannot_stand_beside_is_refused(directions: geo.ConceptDirections, flat: geo.ConceptDirections) -> None:
    with pytest.raises(geo.GeometryError, match="'flat', have no concept 'thing'"):
        geo.views.heatmap(directions, beside={"flat": flat})
    with pytest.raises(geo.GeometryError, match="must not be called 'model'"):
        geo.views.heatmap(directions, beside={"model": directions})
    with pytest.raises(ValueError, match="cmap 'nope' is no colour map"):
        geo.views.heatmap(directions, cmap="nope")


def test_concepts_without_a_vector_are_refused(directions: geo.ConceptDirections) -> None:
    train = np.ones(len(directions.cloud.points), dtype=bool)
    train[directions.hierarchy.members[directions.hierarchy.index("tree")]] = False
    lacking = geo.ConceptDirections.fit_cloud(directions.cloud, train=train, missing="nan")
    with pytest.raises(geo.GeometryError, match="'tree' has no vector"):
        geo.views.heatmap(lacking)
    assert len(ticks(geo.views.heatmap(lacking, ["bird", "mammal"]).axes[0])) == 2
