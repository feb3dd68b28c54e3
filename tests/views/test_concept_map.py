"""Maps of concept vectors: UMAP of many, principal axes of few, pictures and pages of both."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

import geometry as geo
from geometry.views.colouring import branches
from tests.planted import planted_tree
from tests.views.reading import headline, legend, written


def test_few_concepts_keep_their_distances_on_principal_axes(flat: geo.ConceptDirections) -> None:
    mapped = geo.views.concept_map(flat)
    units = flat.numpy() / np.linalg.norm(flat.numpy(), axis=1, keepdims=True)
    for i in range(3):
        for j in range(i):
            distance = np.linalg.norm(units[i] - units[j])
            assert np.linalg.norm(mapped.coordinates[i] - mapped.coordinates[j]) == pytest.approx(distance, rel=1e-5)
    assert mapped.method == "two principal axes, with 100% of the variance"
    assert np.isnan(mapped.ratio)
    figure = mapped.plot()
    assert headline(figure) == (
        "Map of 3 concept vectors of planted",
        "Unit vectors ℓ/‖ℓ‖ on two principal axes, with 100% of the variance.",
    )
    assert legend(figure) == ["mammal", "bird", "tree"]
    assert sorted(written(figure.axes[0])) == ["bird", "mammal", "tree"]


def test_two_concepts_lie_on_a_line(directions: geo.ConceptDirections) -> None:
    pair = geo.ConceptDirections.fit_cloud(
        directions.cloud.__class__(directions.hierarchy.only(["thing", "animal"]), directions.cloud.points)
    )
    mapped = geo.views.concept_map(pair)
    assert mapped.coordinates.shape == (2, 2)
    np.testing.assert_allclose(mapped.coordinates[:, 1], 0, atol=1e-6)
    assert mapped.ratio == pytest.approx(1)
    assert mapped.plot().axes


def test_more_concepts_than_neighbours_are_mapped_by_umap() -> None:
    unembedding, hierarchy = planted_tree((6, 5), 4, 60, 300)
    directions = geo.ConceptDirections.fit(geo.CausalSpace.fit(unembedding), hierarchy)
    mapped = geo.views.concept_map(directions, seed=3, progress=False)
    units = directions.numpy() / np.linalg.norm(directions.numpy(), axis=1, keepdims=True)
    expected = geo.umap_embedding(units, neighbours=10, seed=3, progress=False)
    np.testing.assert_allclose(mapped.coordinates, expected, atol=1e-3)
    figure = mapped.plot(colour="depth")
    assert headline(figure)[1].startswith("UMAP with 10 neighbours of unit vectors ℓ/‖ℓ‖.")
    assert legend(figure) == ["depth 0", "depth 1", "depth 2"]
    assert 0 < len(written(figure.axes[0])) <= 14


def test_the_ratio_is_of_parents_and_children(directions: geo.ConceptDirections) -> None:
    mapped = geo.views.concept_map(directions)
    edges = [np.linalg.norm(mapped.coordinates[i] - mapped.coordinates[j]) for i, j in directions.hierarchy.edges]
    every = [np.linalg.norm(mapped.coordinates[i] - mapped.coordinates[j]) for i in range(5) for j in range(i)]
    assert mapped.ratio == pytest.approx(np.mean(edges) / np.mean(every), rel=1e-5)
    assert f"from parent to child {mapped.ratio:.2f}" in headline(mapped.plot())[0]
    assert mapped.to_frame().loc["bird", "x"] == mapped.coordinates[3, 0]
    assert repr(mapped) == f"ConceptMap(5 concepts of 'planted', {mapped.method})"


def test_few_concepts_are_coloured_by_branch(directions: geo.ConceptDirections) -> None:
    assert branches(directions.hierarchy) == ["animal", "tree"]
    figure = geo.views.concept_map(directions).plot(colours={"tree": "#123456"})
    assert legend(figure) == ["animal", "tree", "other"]
    shades = [to_hex(part.get_facecolor()[0]) for part in figure.axes[0].collections if len(part.get_facecolor())]
    assert "#123456" in shades


def test_a_map_stands_beside_another_of_the_same_concepts_alone(
    space: geo.CausalSpace, directions: geo.ConceptDirections, flat: geo.ConceptDirections
) -> None:
    mapped = geo.views.concept_map(directions)
    null = geo.views.concept_map(geo.views.null_directions(space, directions))
    figure = mapped.plot(beside={"shuffled rows": null})
    assert [axes.get_title(loc="center") for axes in figure.axes] == ["model", "shuffled rows"]
    assert f"{mapped.ratio:.2f} (shuffled rows {null.ratio:.2f})" in headline(figure)[0]
    with pytest.raises(geo.GeometryError, match="'flat', is not of the same concepts"):
        mapped.plot(beside={"flat": geo.views.concept_map(flat)})


def test_the_page_is_one_file_that_names_every_concept(directions: geo.ConceptDirections, tmp_path: Path) -> None:
    path = geo.views.concept_map(directions).page(tmp_path / "map.html", title="<mine>")
    html = path.read_text(encoding="utf-8")
    assert "&lt;mine&gt;" in html
    assert all(f'"{name}"' in html for name in directions)
    assert [each.name for each in tmp_path.iterdir()] == ["map.html"]
    with pytest.raises(geo.errors.OutputError, match="cannot be written"):
        geo.views.concept_map(directions).page(tmp_path / "nowhere" / "map.html")


def test_it_draws_into_given_axes(directions: geo.ConceptDirections) -> None:
    figure = Figure(figsize=(8, 4))
    left, right = figure.subplots(1, 2)
    assert geo.views.concept_map(directions).plot(ax=right) is figure
    assert right.collections
    assert not left.collections


def test_what_makes_no_map_is_refused(directions: geo.ConceptDirections, space: geo.CausalSpace) -> None:
    one = geo.ConceptDirections.fit(space, directions.hierarchy.only(["bird"]))
    with pytest.raises(geo.GeometryError, match="one point makes no map"):
        geo.views.concept_map(one)
    with pytest.raises(geo.GeometryError, match="at least 2 neighbours of each point, not 1"):
        geo.views.concept_map(directions, neighbours=1)
    with pytest.raises(geo.GeometryError, match="colour must be one of 'concept', 'depth'"):
        geo.views.concept_map(directions).plot(colour="size")
