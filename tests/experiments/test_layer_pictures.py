"""Pictures of layers: structure is shown where it was planted and not in noise, and what cannot be drawn says why."""

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import geometry.evidence as evidence
from geometry.concepts import Concept, ConceptHierarchy
from geometry.experiments.layers.by_block import ClaimByBlock, claims_by_block
from geometry.experiments.layers.families import animals, siblings
from geometry.experiments.layers.pictures import Pictures, measure_pictures, sharpest_site, three_sites
from geometry.experiments.layers.pictures_figures import picture_figures, picture_pages
from geometry.layers import PhraseActivations
from geometry.steering import Site

HOSTILE = "</script><img src=x onerror=alert(1)>"
SITES = (Site("input", 0), *(Site("output", block) for block in range(4)))
PLANTED = Site("output", 2)
KINDS = {"mammal": 20, "bird": 20, "fish": 20, "oak": 15, "rose": 15}
WIDTH = 24


def hierarchy_of(kinds: dict[str, int], above: dict[str, str]) -> tuple[ConceptHierarchy, list[str]]:
    """Kinds of so many phrases under what is above them, and the phrases."""
    # In no order, since neighbours in order of frequency are exchanged first.
    kind_of = np.random.default_rng(1).permutation([kind for kind, count in kinds.items() for _ in range(count)])
    words = [HOSTILE, *(f"{kind} {number}" for number, kind in enumerate(kind_of[1:]))]
    vocabulary = PhraseActivations(tuple(words), ("a",), {SITES[0]: torch.zeros(1, len(words), 1)}).vocabulary

    def lies_below(kind: str, name: str) -> bool:
        return kind == name or (kind in above and lies_below(above[kind], name))

    names = dict.fromkeys([*above.values(), *kinds])
    held = {name: [word for word, kind in zip(words, kind_of, strict=True) if lies_below(kind, name)] for name in names}
    concepts = tuple(Concept.from_words(name, own, vocabulary) for name, own in held.items())
    return ConceptHierarchy("toy", concepts, {kind: (parent,) for kind, parent in above.items()}), words


def setup_of(kinds: dict[str, int], above: dict[str, str], *, permutations: int = 19) -> Any:
    """What `measure_pictures` reads of a setup: noise, but at one site kinds lie apart."""
    hierarchy, words = hierarchy_of(kinds, above)
    rng = np.random.default_rng(0)
    samples = {}
    for site in SITES:
        points = rng.normal(size=(len(words), WIDTH))
        if site == PLANTED:
            way = {name: 4 * rng.normal(size=WIDTH) / np.sqrt(WIDTH) for name in hierarchy.names}
            points += [sum(way[name] for name in hierarchy.names if word in hierarchy[name].words) for word in words]
        samples[site] = torch.from_numpy(points).float()[None]
    activations = PhraseActivations(tuple(words), ("a",), samples, "toy model")
    return SimpleNamespace(
        hierarchy=hierarchy,
        sites=SITES,
        space=activations.space,
        causal=SimpleNamespace(unembedding=SimpleNamespace(name="toy")),
        study=SimpleNamespace(seed=0, n_permutations=permutations, metric="euclidean"),
    )


def plain(text: str) -> str:
    return text.replace("\N{MINUS SIGN}", "-")


def claims_of(setup: Any) -> dict[str, ClaimByBlock]:
    how: Any = {"nulls": ["permuted"], "n_permutations": 3, "progress": False}
    tests = {
        site: evidence.test_against_nulls(setup.space(site), setup.hierarchy, [evidence.projection()], **how)
        for site in SITES[1:]
    }
    return claims_by_block(tests, None)


ABOVE = {**dict.fromkeys(["mammal", "bird", "fish"], "animal"), **dict.fromkeys(["oak", "rose"], "plant")}


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    setup, said = setup_of(KINDS, ABOVE | {"animal": "thing", "plant": "thing"}), []
    found = measure_pictures(setup, claims_of(setup), said.append)
    assert said == ["drawing planes and simplices", "mapping 90 phrases at 5 sites", "Mapper of the phrases of animal"]
    return found


def test_the_sites_are_an_early_one_the_sharpest_and_a_late_one(pictures: Pictures) -> None:
    assert pictures.sharpest == PLANTED
    assert pictures.claim == "projection"
    assert pictures.sites == (SITES[1], PLANTED, SITES[-1])
    assert three_sites(SITES, SITES[-1]) == (SITES[1], SITES[3], SITES[-1])
    assert three_sites(SITES[1:2], SITES[1]) == SITES[1:2]
    assert sharpest_site(SITES, {}) == ("", SITES[2])


def test_numbers_tell_the_planted_site_from_noise(pictures: Pictures) -> None:
    assert pictures.left_out == {}
    assert pictures.planes is not None
    assert pictures.simplex is not None
    assert pictures.planes.names == ("animal", "mammal", "bird")
    assert pictures.simplex.names == ("animal", "mammal", "bird", "fish")
    for family in (pictures.planes, pictures.simplex):
        planted, noise = family.tests[PLANTED][0], family.tests[SITES[1]][0]
        assert planted.value > 0.8
        assert planted.p_value == 1 / 20
        assert noise.value < 0.4
        assert noise.p_value > 0.05
        assert planted.nulls["permuted"].mean < 0.3
    assert pictures.planes.tests[PLANTED][0].labels == ("animal", "mammal", "bird")
    assert pictures.simplex.tests[PLANTED][0].labels == ("animal (3)",)
    purity = pictures.purity[PLANTED]["on the map"]
    assert purity.value > 0.1 + purity.nulls["shuffled"].mean
    assert pictures.mapper is not None
    assert pictures.mapper.concept == "animal"
    assert len(pictures.mapper.labelled) == 60


def test_only_phrases_that_vectors_were_not_fitted_to_are_shown(pictures: Pictures) -> None:
    assert pictures.planes is not None
    held, fits = pictures.planes.held_out(), pictures.planes.fits[PLANTED]
    directions = fits[0]
    for name, positions in held.items():
        assert len(positions) >= 3
        assert not directions.train[positions].any()
        assert set(positions) <= set(directions.hierarchy.members[directions.hierarchy.index(name)])
    assert len(np.unique(np.concatenate([*held.values()]))) == sum(map(len, held.values()))
    assert not torch.equal(fits[0].cloud.points, fits[1].cloud.points)


def test_figures_say_their_numbers_and_are_drawn(pictures: Pictures) -> None:
    figures = {spec.name: spec for spec in picture_figures(pictures)}
    assert list(figures) == ["planes", "simplex", "maps", "mapper"]
    for name, family in (("planes", pictures.planes), ("simplex", pictures.simplex)):
        assert family is not None
        test = family.tests[PLANTED][0]
        assert f": {test.value:.2f}, permuted phrases {test.nulls['permuted'].mean:.2f}" in plain(figures[name].title)
        assert "after 3 blocks" in figures[name].title
        panels = figures[name].figure().axes
        assert len(panels) == 6
        assert sum("permuted phrases" in axes.get_title("center") for axes in panels) == 3
    assert "no more" not in figures["planes"].title
    for spec in figures.values():
        assert len(spec.title) <= 140
        assert len(spec.caption) <= 380
    assert len(figures["maps"].figure().axes) == 3


def test_a_number_that_is_no_more_than_its_null_is_said_so() -> None:
    setup = setup_of(KINDS, ABOVE)
    noise = setup.space(SITES[1])
    setup.space = lambda _: noise
    figures = picture_figures(measure_pictures(setup, {}, lambda _: None))
    assert figures[0].name == "planes"
    assert figures[0].title.endswith(", which is no more")
    few = setup_of(KINDS, ABOVE, permutations=3)
    first = picture_figures(measure_pictures(few, claims_of(few), lambda _: None))[0]
    assert first.title.endswith(", too few permutations to decide")


def test_pages_hold_every_layer_and_take_no_phrase_for_markup(pictures: Pictures) -> None:
    pages = picture_pages(pictures)
    assert list(pages) == ["layers.html", "mapper.html"]
    page = pages["layers.html"][1]
    assert HOSTILE not in page
    assert page.count("<script") == 2
    data = json.loads(page.split('id="data">')[1].split("</script>")[0])
    assert data["texts"][0] == HOSTILE
    assert [panel["title"] for panel in data["panels"]][:2] == ["before the first block", "after 1 block"]
    assert data["moving"] == SITES.index(PLANTED)
    assert all("neighbours preserved (permuted map" in panel["caption"] for panel in data["panels"])


def test_results_are_plain_numbers_and_places(pictures: Pictures) -> None:
    numbers = json.loads(json.dumps(pictures.to_dict()))
    assert numbers["sharpest"] == {"site": "output.2", "claim": "projection"}
    assert set(numbers["simplex"]["sites"]["output.2"]) == {"membership", "simplex_angles"}
    assert set(numbers["maps"]["trustworthiness"]) == set(map(str, SITES))
    assert {name: np.shape(array) for name, array in pictures.arrays().items()} == {
        f"map:{site}": (90, 2) for site in SITES
    }


def test_a_flat_or_small_hierarchy_leaves_pictures_out_with_their_reasons() -> None:
    setup = setup_of({"mammal": 8, "bird": 8, "fish": 8, "oak": 4}, {})
    found = measure_pictures(setup, {}, lambda _: None)
    assert found.left_out["planes"].startswith("no concept of 'toy' has 2 children of 10 phrases")
    assert "3 children" in found.left_out["simplex"]
    assert found.left_out["mapper"] == found.left_out["simplex"]
    assert found.left_out["maps"] == "28 phrases are too few to map; at least 31 are needed"
    assert picture_figures(found) == []
    assert picture_pages(found) == {}
    assert found.arrays() == {}
    assert set(found.to_dict()) == {"sites", "sharpest", "left_out"}


def test_families_are_large_apart_and_not_of_everything() -> None:
    everything = dict.fromkeys(KINDS, "thing")
    assert siblings(hierarchy_of(KINDS, everything)[0], 3, 4) == ("thing", "mammal", "bird", "fish", "oak")
    below = ABOVE | {"animal": "thing", "plant": "thing"}
    assert siblings(hierarchy_of(KINDS | {"stone": 70}, below | {"stone": "thing"})[0], 2, 2)[0] == "animal"
    assert animals(hierarchy_of(KINDS, ABOVE)[0]) == ("animal", "mammal", "bird")
    assert animals(hierarchy_of({"oak": 12, "rose": 11, "moss": 4}, {"oak": "plant", "rose": "plant"})[0]) == (
        "plant",
        "oak",
        "rose",
    )
    words = [f"w{number}" for number in range(40)]
    vocabulary = PhraseActivations(tuple(words), ("a",), {SITES[0]: torch.zeros(1, 40, 1)}).vocabulary
    spans = {"all": (0, 40), "first": (0, 20), "nearly first": (1, 19), "rest": (20, 40)}
    concepts = tuple(Concept.from_words(name, words[start:end], vocabulary) for name, (start, end) in spans.items())
    shared = ConceptHierarchy("shared", concepts, dict.fromkeys(list(spans)[1:], ("all",)))
    assert siblings(shared, 2, 4) == ("all", "first", "rest")
