"""Maps of words: which words, which in colour, which are named."""

from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

import geometry as geo
from geometry.views import WordMap
from geometry.views.word_maps import word_labels
from tests.views.reading import headline, legend, written


@pytest.fixture(scope="module")
def mapped(directions: geo.ConceptDirections) -> WordMap:
    return geo.views.word_map(directions, seed=2, progress=False)


def test_it_is_umap_of_the_words_rows(directions: geo.ConceptDirections, mapped: WordMap) -> None:
    expected = geo.umap_embedding(directions.cloud.points, seed=2, progress=False)
    np.testing.assert_allclose(mapped.coordinates, expected, atol=1e-3)
    assert mapped.texts == directions.hierarchy.words
    assert repr(mapped) == "WordMap(90 words of 'planted', UMAP with 15 neighbours)"
    assert mapped.to_frame().index[0] == directions.hierarchy.words[0]
    apart = [mapped.coordinates[mapped.members[name]].mean(axis=0) for name in ("mammal", "tree")]
    spread = mapped.coordinates[mapped.members["tree"]].std()
    assert np.linalg.norm(apart[0] - apart[1]) > 2 * spread


def test_members_come_the_farthest_along_the_vector_first(directions: geo.ConceptDirections, mapped: WordMap) -> None:
    for name, own in mapped.members.items():
        along = (directions.cloud.points[own] @ directions[name]).numpy()
        assert (np.diff(along) <= 0).all()
        assert set(own) == set(directions.hierarchy.members[directions.hierarchy.index(name)])


def test_the_innermost_concepts_are_coloured_and_named_unless_others_are_given(mapped: WordMap) -> None:
    figure = mapped.plot()
    assert legend(figure) == ["mammal", "bird", "tree"]
    assert headline(figure)[0] == "Map of 90 words, those of 3 concepts of planted in colour"
    first = mapped.texts[mapped.members["tree"][0]]
    assert {"mammal", "bird", "tree", first} <= set(written(figure.axes[0]))
    own = mapped.plot(["animal"], words=0, colours={"animal": "#123456"})
    assert legend(own) == ["animal", "other"]
    assert written(own.axes[0]) == ["animal"]
    assert "#123456" in {mark.get_color() for mark in own.legends[0].legend_handles}


def test_a_concept_keeps_its_name_where_a_word_has_the_same() -> None:
    members = {"fish": np.array([0, 1, 2])}
    labels = word_labels(["fish"], members, [" fish", " Fish", " carp"], 1)
    assert labels == {"fish": [0, 1, 2], "carp": [2]}


def test_the_vocabulary_is_mapped_where_a_space_is_given() -> None:
    rng = np.random.default_rng(0)
    words = [f"w{n}" for n in range(40)]
    vocabulary = geo.Vocabulary([f"Ġ{word}" for word in words])
    space = geo.CausalSpace.fit(geo.Unembedding(torch.from_numpy(rng.normal(size=(40, 6))), vocabulary, "small"))
    hierarchy = geo.load_hierarchy({"all": {"some": words[:5], "more": words[5:9]}}, vocabulary, forms="none")
    directions = geo.ConceptDirections.fit(space, hierarchy)
    whole = geo.views.word_map(directions, space=space, progress=False)
    assert len(whole.texts) == len(whole.coordinates) == 40
    assert sorted(whole.texts[index].strip() for index in whole.members["some"]) == words[:5]
    few = geo.views.word_map(directions)
    assert few.method.startswith("two principal axes")
    assert len(few.coordinates) == 9


def test_the_page_names_every_word(mapped: WordMap, tmp_path: Path) -> None:
    html = mapped.page(tmp_path / "words.html").read_text(encoding="utf-8")
    assert all(f'"{word}"' in html for word in mapped.texts)


def test_it_draws_into_given_axes(mapped: WordMap) -> None:
    figure = Figure(figsize=(8, 4))
    left, right = figure.subplots(1, 2)
    assert mapped.plot(ax=left) is figure
    assert left.collections
    assert not right.collections


def test_what_makes_no_map_is_refused(mapped: WordMap, directions: geo.ConceptDirections) -> None:
    for names, problem in (([], "1 to 12 concepts"), (["bird", "bird"], "each once"), (["bid"], "did you mean bird")):
        with pytest.raises(geo.GeometryError, match=problem):
            mapped.plot(names)
    with pytest.raises(geo.GeometryError, match="at least 2 neighbours"):
        geo.views.word_map(directions, neighbours=1)
