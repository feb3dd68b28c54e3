"""How the public face shows itself: short lines everywhere, small escaped tables in a notebook."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from html.parser import HTMLParser
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

import geometry as geo
from geometry.display import fitted, html_table, in_short, listed, short_repr
from geometry.results import Results
from tests.experiments.test_study import CountStudy
from tests.planted import planted_tree, result

SCREEN = 40  # rows


@pytest.fixture(scope="module")
def shown() -> dict[str, Any]:
    """What a notebook's cells end with."""
    unembedding, hierarchy = planted_tree((3, 2), per_leaf=12, width=32, rows=400)
    space = geo.CausalSpace.fit(unembedding)
    directions = geo.ConceptDirections.fit(space, hierarchy)
    steering = geo.ConceptSteering(space, directions)
    nulls = ("permuted", "random_subset", "shuffled", "gaussian", "random_parent", "euclidean", "mean_estimator")
    results = geo.evaluate_claims(space, hierarchy, n_permutations=2, n_twins=2, nulls=nulls, progress=False)
    named: dict[str, Any] = {
        "unembedding": unembedding,
        "vocabulary": unembedding.vocabulary,
        "space": space,
        "hierarchy": hierarchy,
        "concept": hierarchy["r"],
        "cloud": directions.cloud,
        "permuted cloud": directions.cloud.permuted(np.arange(len(directions.cloud.points))),
        "directions": directions,
        "frame": geo.frames.Frame.spanned_by(directions["ra"], directions["rb"]),
        "vector": steering["ra"] + steering.child("raa", of="ra"),
        "long vector": geo.SteeringVector({f"output.{i}": torch.ones(3) for i in range(60)}, "up and " * 90),
        "twin": geo.evidence.TheoryTwin.of(directions.cloud),
        "strength": geo.evidence.SignalStrength.of(directions.cloud),
        "null": geo.NULLS["permuted"],
        "results": results,
        "no results": Results([]),
        "many": Results([replace(results["existence"], subject=f"hierarchy {i}") for i in range(90)]),
        "long": geo.ConceptHierarchy("long " * 90, hierarchy.concepts, hierarchy.parents),
        **{claim.name: claim for claim in geo.CLAIMS},
        **{f"result of {test.name}": test for test in results},
        "lost": replace(results["existence"], lost=("antidisestablishmentarianism" * 9,) * 9),
        "lost too": replace(results["orthogonality-b"], lost=("antidisestablishmentarianism" * 9,) * 9),
    }
    return named | {f"{name}.{part}": value for name, whole in named.items() for part, value in parts(whole)}


def parts(whole: object) -> Iterator[tuple[str, Any]]:
    """Of our own kind."""
    if is_dataclass(whole):
        for field in fields(whole):
            value = getattr(whole, field.name)
            if type(value).__module__.startswith("geometry.evidence") or isinstance(value, geo.results.NullValues):
                yield field.name, value
        yield from getattr(whole, "nulls", {}).items()


def test_every_repr_is_a_short_line(shown: dict[str, Any]) -> None:
    long = {name: repr(value) for name, value in shown.items() if len(repr(value)) >= 200 or "\n" in repr(value)}
    assert not long
    assert len(shown) > 60


# Rooms of which nothing prints its arrays whole.
ROOMS = (
    "causal",
    "compare",
    "concepts",
    "directions",
    "evidence",
    "experiments",
    "frames",
    "maps",
    "models",
    "probing",
)
ROOMS += ("probing", "results", "steering")
# Where what is not exported is machinery that nobody is given.
OF_ITS_OWN = ("steering",)


def modules(room: str) -> Iterator[ModuleType]:
    module = importlib.import_module(f"geometry.{room}")
    yield module
    for found in pkgutil.walk_packages(getattr(module, "__path__", ()), f"geometry.{room}."):
        yield importlib.import_module(found.name)


@pytest.mark.parametrize("room", ROOMS)
def test_no_dataclass_prints_its_arrays(room: str) -> None:
    for module in modules(room):
        for name, kind in vars(module).items():
            if not is_dataclass(kind) or kind.__module__ != module.__name__ or name.startswith("_"):
                continue
            if room in OF_ITS_OWN and name not in dir(importlib.import_module(f"geometry.{room}")):
                continue
            held = [field.name for field in fields(kind) if re.search("NDArray|Tensor", str(field.type))]
            made_by_dataclass = hasattr(vars(kind).get("__repr__"), "__wrapped__")
            assert not (held and made_by_dataclass), f"{module.__name__}.{name}: {held}"


@pytest.fixture(scope="module")
def measured() -> dict[str, Any]:
    """Results of maps, comparison, probing and steering, and what studies are and give."""
    unembedding, hierarchy = planted_tree((3, 2), per_leaf=12, width=32, rows=400)
    spaces = [geo.CausalSpace.fit(unembedding), geo.CausalSpace.fit(replace(unembedding, name="other"))]
    options: dict[str, Any] = {"n_permutations": 2, "n_twins": 0, "claims": geo.compare.OWN_CLAIMS, "progress": False}
    profiles = [geo.compare.model_profile(space, hierarchy, **options) for space in spaces]
    cloud = geo.directions.TokenCloud.of(spaces[0], hierarchy)
    labelled, lens = geo.maps.LabelledPoints.of_concept(cloud, "r"), geo.maps.projection_lens()
    mapped = geo.maps.compare_mapper(labelled, lens, n_permutations=2, progress=False)
    sweep = geo.maps.stability_sweep(labelled, lens, resamples=2, progress=False)
    classes = np.repeat([f"class {number} of long names" for number in range(5)], 12)
    folds, points = np.tile(list("abcd"), 15), np.random.default_rng(0).standard_normal((60, 8))
    blocks = [geo.probing.classify_held_out(points, classes, folds, n_permutations=5) for _ in range(30)]
    labels = [f"class {number}" for number in range(60)]
    table = geo.experiments.TableSpec(
        "Numbers", ("name", "value"), [(f"row {number}" * 9, "1") for number in range(90)]
    )
    return {
        "profile": profiles[0],
        "pair": geo.compare.compare_pair(*profiles, n_permutations=2),
        "agreement": geo.compare.claim_agreement(*profiles),
        "too small": geo.compare.recovered_tree(np.eye(2), [np.eye(2)], hierarchy.only(["ra", "rb"])),
        "labelled": labelled,
        "mapper": mapped,
        "graph": mapped.graph,
        "kinds": geo.maps.node_concepts(mapped.graph, labelled),
        "stability": sweep,
        "setting": sweep.choice,
        **{f"bridge {number}": bridge for number, bridge in enumerate(geo.maps.bridges(mapped.graph, labelled))},
        "held out": blocks[0],
        "blocks": geo.probing.HeldOutSweep(blocks),
        "probe": geo.probing.Probe.fit(points, classes.tolist()),
        "matching": geo.probing.matched_cosines(points, points, labels=labels, n_permutations=5),
        "placement": geo.models.Placement(),
        "table": table,
        **{name: study(seed=3) for name, study in geo.experiments.STUDIES.items()},
        "asked": geo.experiments.ClaimsStudy(hierarchies=("a hierarchy of a long name",) * 30),
    }


def test_results_of_every_room_are_short_lines_and_tables(measured: dict[str, Any]) -> None:
    long = {name: repr(value) for name, value in measured.items() if len(repr(value)) >= 200 or "\n" in repr(value)}
    assert not long
    with_tables = {name for name, value in measured.items() if hasattr(value, "_repr_html_")}
    tabular = {"profile", "pair", "agreement", "mapper", "stability", "held out", "blocks", "matching", "table"}
    assert tabular <= with_tables
    for name in with_tables:
        text = measured[name]._repr_html_()
        assert 1 < len(Table(text).rows) <= SCREEN, name
        assert Table(text).tags <= TAGS
        assert len(text) < 10_000, name


def test_a_study_says_what_is_not_the_default(measured: dict[str, Any]) -> None:
    assert repr(measured["maps"]) == "MapsStudy(seed=3)"
    assert repr(measured["asked"]).startswith("ClaimsStudy(hierarchies=('a hierarchy of a long name', ")
    assert repr(measured["too small"]).endswith(
        "not measurable (needs at least 3 pairs of concepts without a common word, has 1)"
    )
    rows = Table(measured["stability"]._repr_html_()).rows
    assert [row[-1] for row in rows].count("✓") == 1
    rows = Table(measured["mapper"]._repr_html_()).rows
    assert [row[0] for row in rows[1:3]] == ["nodes", "edges"]


def test_a_result_of_a_study_is_its_findings_and_its_main_table() -> None:
    text = CountStudy(times=2).run()._repr_html_()
    assert "<td>Counted 2.</td>" in text
    assert ["all", "2"] in Table(text).rows
    assert "CountStudy(times=2)" in text


def test_reprs_say_what_a_thing_is(shown: dict[str, Any]) -> None:
    assert repr(shown["space"]) == "CausalSpace('synthetic', width 32, rank 32, 400 rows, float64 on cpu)"
    assert repr(shown["directions"]) == "ConceptDirections('synthetic', 10 × 32, lda: r, ra, rb, … rcb (10))"
    assert repr(shown["cloud"]) == "TokenCloud(hierarchy=synthetic, points=72×32 float64, permutation_of=None)"
    assert repr(shown["results"]).startswith("Results of 14 tests on synthetic; ")
    assert str(shown["results"]).count("\n") == 13
    assert "output.0, output.1, output.2, … output.59 (60)" in repr(shown["long vector"])
    existence = repr(shown["result of existence"])
    assert re.match(r"synthetic, existence: 0\.\d{3} \[.*\] \(n = 9\); permuted [\d.-]+, .*; p = 0.33; ", existence)
    assert repr(shown["lost"]).startswith("synthetic, existence: ")


class Table(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows, self.cells, self.tags = [], [], set()
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002 (as of every parser)
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows:
            self.rows[-1][-1] += data


TAGS = {"table", "caption", "thead", "tbody", "tr", "td", "th"}


def test_tables_fit_a_screen(shown: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)  # tables need none
    with_tables = {name: value for name, value in shown.items() if hasattr(value, "_repr_html_")}
    assert {"space", "directions", "hierarchy", "results", "vector", "result of existence"} <= set(with_tables)
    for name, value in with_tables.items():
        table = Table(value._repr_html_())
        assert 1 <= len(table.rows) <= SCREEN, name
        assert len(table.rows) > 1 or name == "no results", name
        assert table.tags <= TAGS
        assert len(value._repr_html_()) < 10_000, name


def test_tables_hold_the_numbers(shown: dict[str, Any]) -> None:
    directions, results, vector = shown["directions"], shown["results"], shown["vector"]
    rows = Table(directions._repr_html_()).rows
    assert rows[0] == ["concept", "parents", "words", "‖ℓ‖", "shrinkage"]
    assert rows[2] == ["ra", "r", "24", f"{float(directions['ra'].norm()):.3f}", f"{directions.shrinkage[1]:.3f}"]
    row = next(row for row in Table(results._repr_html_()).rows if row[1] == "existence")
    test = results["existence"]
    assert row[2:5] == [f"{number:.3f}" for number in (test.value, *test.interval)]
    assert row[-1] == test.verdict
    assert Table(vector._repr_html_()).rows[1:] == [["after_norm", "32", f"{vector.norm():.3f}"]]
    assert ["rank of Σ", "32"] in Table(shown["space"]._repr_html_()).rows
    assert ["raa", "ra", "12"] in [row[:3] for row in Table(shown["hierarchy"]._repr_html_()).rows]
    assert Table(shown["many"]._repr_html_()).rows[-1] == ["… and 70 more"]


def test_names_of_concepts_are_no_markup() -> None:
    evil = "<script>alert(1)</script>"
    vocabulary = geo.Vocabulary(["Ġ<b>", "Ġcat", "Ġcrow", "Ġdog"])
    concepts = (geo.concepts.Concept.from_words(evil, ["<b>", "cat", "crow"], vocabulary),)
    hierarchy = geo.ConceptHierarchy(evil, concepts, {})
    space = geo.CausalSpace.fit(geo.Unembedding(torch.eye(4), vocabulary, evil))
    test = result(np.ones(2), {evil: np.zeros((3, 2))}, name=evil, title=evil, subject=evil)
    vector = geo.SteeringVector({"output.1": torch.ones(3)}, evil)
    for value in (hierarchy, space, geo.ConceptDirections.fit(space, hierarchy), test, Results([test]), vector):
        text = value._repr_html_()
        assert Table(text).tags <= TAGS
        assert "&lt;script&gt;" in text


def test_what_was_not_measured_is_a_dash() -> None:
    assert Table(html_table(["x"], [[float("nan")], [None], [1e-9], [0.0], [2]], "")).rows[1:] == [
        ["–"], ["–"], ["1e-09"], ["0.000"], ["2"]
    ]  # fmt: skip


@pytest.mark.parametrize("longest", [12, 60])
def test_lines_are_cut_within_their_length(longest: int) -> None:
    assert len(in_short("word\n" * 99, longest)) == longest
    assert "\n" not in in_short("word\n" * 99, longest)
    assert len(fitted("head " * 9, ["piece"] * 9, "tail " * 9, longest=longest)) <= longest
    assert in_short("short") == "short"


def test_a_line_keeps_the_pieces_that_fit() -> None:
    assert fitted("x", ["a", "b"], "; end") == "x; a, b; end"
    assert fitted("x", [], "; end") == "x; end"
    assert fitted("x", ["a" * 9, "b" * 9], "; end", longest=20) == "x; aaaaaaaaa, …; end"
    assert fitted("x", ["a" * 99], "; end", longest=20) == "x; …; end"
    assert listed([]) == ""


def test_fields_of_any_kind_are_brief() -> None:
    from collections import namedtuple

    kinds = namedtuple("Kinds", "array tensor text number nothing many function")
    one = kinds(np.ones((2, 3)), torch.tensor(1.0), "x" * 999, 0.123456, None, {1: 2}, len)
    line = short_repr(one)
    assert line.startswith("Kinds(array=2×3 float64, tensor=scalar float32, text='xxx")
    assert line.endswith("x', number=0.1235, nothing=None, many=dict of 1, function=len)")
