"""Planes: what the axes are, which words are shown, and what cannot span one."""

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

import geometry as geo
from geometry.views.concept_plane import plane_panel
from geometry.views.selection import projection, shown_words
from tests.planted import Planted
from tests.views.reading import headline, legend, written


def axes_of(figure: Figure) -> tuple[str, str]:
    return figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()


@pytest.mark.parametrize(
    ("concepts", "labels"),
    [
        (["bird"], ("ℓ(bird)", "first principal axis of the words")),
        (["animal", "bird"], ("ℓ(animal)", "ℓ(bird), orthogonal part")),
        (["animal", "mammal", "bird"], ("ℓ(animal)", "ℓ(bird) − ℓ(mammal)")),
        (["animal", "mammal", "bird", "tree"], ("ℓ(animal)", "first principal axis of the concept vectors")),
    ],
    ids=lambda given: str(len(given)),
)
def test_the_axes_that_nobody_gave(
    directions: geo.ConceptDirections, concepts: list[str], labels: tuple[str, str]
) -> None:
    figure = geo.views.plane(directions, concepts)
    assert axes_of(figure) == labels
    assert set(concepts) <= set(written(figure.axes[0]))


def test_a_word_alone_gives_no_second_axis(planted: Planted) -> None:
    vocabulary = planted.unembedding.vocabulary
    one = geo.load_hierarchy({"alone": ["birdx0"]}, vocabulary, forms="none")
    directions = geo.ConceptDirections.fit(geo.CausalSpace.fit(planted.unembedding), one)
    with pytest.raises(geo.GeometryError, match="the 1 words differ along x alone"):
        geo.views.plane(directions, ["alone"])
    assert geo.views.plane(directions, ["alone"], y=np.eye(48)[0]).axes


def test_axes_of_ones_own_are_concepts_contrasts_or_vectors(directions: geo.ConceptDirections) -> None:
    vector = directions["tree"].numpy()
    figure = geo.views.plane(directions, ["mammal", "bird"], x=("animal", "tree"), y=vector)
    assert axes_of(figure) == ("ℓ(animal) − ℓ(tree)", "vector given as y, orthogonal part")
    panel = plane_panel(directions, ("animal", "tree"), vector, {}, ["bird"])
    first = directions["animal"] - directions["tree"]
    x = first / first.norm()
    rest = directions["tree"] - (directions["tree"] @ x) * x
    y = rest / rest.norm()
    expected = torch.stack([directions["bird"] @ x, directions["bird"] @ y])
    np.testing.assert_allclose(panel.arrows["bird"], expected, atol=1e-9)


def test_each_word_is_shown_once_in_its_smallest_concept(directions: geo.ConceptDirections) -> None:
    words = shown_words(directions, ["thing", "animal", "bird"])
    members = {name: set(directions.hierarchy.members[directions.hierarchy.index(name)]) for name in directions}
    assert set(words["thing"]) == members["tree"]
    assert set(words["animal"]) == members["mammal"]
    assert set(words["bird"]) == members["bird"]
    figure = geo.views.plane(directions, ["animal", "bird"], colours={"animal": "#123456"})
    assert legend(figure) == ["other animal", "bird", "other words of planted"]
    assert "#123456" in {mark.get_color() for mark in figure.legends[0].legend_handles}


def test_held_out_words_are_shown_where_there_are_some_and_the_caption_says_which(
    space: geo.CausalSpace, directions: geo.ConceptDirections, held_out: geo.ConceptDirections
) -> None:
    title, caption = headline(geo.views.plane(directions, ["bird", "tree"]))
    assert title.startswith("Words of bird and tree in the plane")
    assert "60 words that the vectors were fitted to" in caption
    null = geo.views.null_directions(space, held_out)
    figure = geo.views.plane(held_out, ["bird", "tree"], beside={"shuffled rows": null})
    shown = sum(map(len, shown_words(held_out, ["bird", "tree"]).values()))
    assert 0 < shown < 30
    title, caption = headline(figure)
    values = [projection(each, ["bird", "tree"]) for each in (held_out, null)]
    assert values[0] > 0.8 > 0.3 > abs(values[1])
    assert f"{values[0]:.2f} (shuffled rows {values[1]:.2f})" in title.replace("\N{MINUS SIGN}", "-")
    assert f"{shown} held-out words" in caption


def test_the_backdrop_is_the_vocabulary_where_a_space_is_given(
    space: geo.CausalSpace, directions: geo.ConceptDirections
) -> None:
    figure = geo.views.plane(directions, ["mammal", "bird"], space=space)
    assert len(figure.axes[0].collections[0].get_offsets()) == len(space.unembedding.rows)
    assert "all other tokens" in legend(figure)
    others = geo.views.plane(directions, ["mammal", "bird"])
    assert len(others.axes[0].collections[0].get_offsets()) == 30
    nothing = geo.views.plane(directions, ["thing", "animal", "bird"])
    assert not any("other words" in name for name in legend(nothing))
    assert "Grey" not in headline(nothing)[1]


def test_it_draws_into_given_axes(directions: geo.ConceptDirections) -> None:
    figure = Figure(figsize=(8, 4))
    left, right = figure.subplots(1, 2)
    assert geo.views.plane(directions, ["bird", "tree"], ax=right, labels=0) is figure
    assert not left.collections
    assert sorted(written(right)) == ["bird", "tree"]
    with pytest.raises(ValueError, match="1 panels need as many axes, not 2"):
        geo.views.plane(directions, ["bird", "tree"], ax=[left, right])


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"concepts": []}, "1 to 6 concepts, not 0"),
        ({"concepts": ["bird", "bird"]}, "more than once"),
        ({"x": "bid"}, "did you mean bird"),
        ({"x": ("bird", "tree", "animal")}, "contrast of two concepts, not of 3"),
        ({"x": ("bird", "bird"), "y": "bird"}, "are linearly dependent, so they span no plane"),
        ({"y": "bird"}, r"ℓ\(bird\) and ℓ\(bird\) are linearly dependent"),
        ({"y": np.ones(3)}, "y must be a concept, two of them, or 48 finite numbers"),
        ({"y": np.full(48, np.nan)}, "48 finite numbers"),
        ({"y": np.zeros(48)}, "linearly dependent"),
        ({"x": 3}, "x must be"),
        ({"labels": -1}, "labels must be 0 or more"),
    ],
    ids=lambda given: next(iter(given)) if isinstance(given, dict) else "",
)
def test_what_spans_no_plane_is_one_line(directions: geo.ConceptDirections, change: dict, problem: str) -> None:
    with pytest.raises(geo.GeometryError, match=problem):
        geo.views.plane(directions, **({"concepts": ["bird"]} | change))


def test_a_space_of_another_width_is_refused(directions: geo.ConceptDirections) -> None:
    rows = torch.randn(20, 7)
    other = geo.CausalSpace.fit(geo.Unembedding(rows, geo.Vocabulary([f"Ġ{n}" for n in range(20)]), "other"))
    with pytest.raises(geo.GeometryError, match="the space has width 7, the vectors 48"):
        geo.views.plane(directions, ["bird", "tree"], space=other)
