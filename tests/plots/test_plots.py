"""Pictures hold what they were given, and untrusted token text stays text."""

import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from geometry import plots
from geometry.plots.style import headline, literal, spread, style

HOSTILE = ["$x^{", "</script><b>x", "\x00\x1b[31m", "a\nb", "日本", "$\\frac{1}{0}$"]
RNG = np.random.default_rng(0)


def planes() -> Figure:
    rows = np.arange(-3.0, 3.0)
    words = {"one": np.stack([0 * rows + 3, rows], axis=1), "$two$": np.stack([0 * rows - 3, rows], axis=1)}
    plane = plots.Plane(
        "x$", "y", RNG.normal(size=(500, 2)), words, dict.fromkeys(words, HOSTILE), {"<b>": np.array([2.0, 1.0])}, "t$"
    )
    return plots.plot_planes([[plane, plane], [plane, plane]], finding="found $", detail="detail", labels=6)


def existence() -> Figure:
    sizes = list(range(50, 90))
    nulls = {"shuffled": (RNG.normal(0, 0.1, (3, 40)), sizes), "subset": (RNG.normal(0, 0.1, (3, 30)), sizes[:30])}
    curves = {"words": RNG.uniform(0, 1, 40), "lemmas": np.append(RNG.uniform(0, 1, 39), np.nan)}
    return plots.plot_existence(curves, nulls, sizes, finding="-0.00 and -0.31 and x-1", detail="d" * 300)


def heatmap() -> Figure:
    matrix = RNG.uniform(-1, 1, (30, 30))
    return plots.plot_heatmaps(
        abs(matrix), matrix, matrix.T, [("a$b$", 0, 10), ("<i>", 10, 12), ("c", 12, 14)], null_name="null", finding="f"
    )


def distributions() -> Figure:
    panel = plots.Distribution("t", "a", RNG.normal(size=50), {"null": RNG.normal(size=(2, 50))}, 0.0, "v")
    return plots.plot_distributions([panel, panel], finding="f", detail="d")


def simplex() -> Figure:
    names = ["mammal", "bird", "<fish>", "$insect$"]
    vertices = dict(zip(names, np.eye(4)[:, :3] * 4 - 1, strict=True))
    panel = plots.SimplexPanel("t", vertices, {name: RNG.normal(size=(5, 3)) for name in names})
    return plots.plot_simplex([panel, panel], finding="f", detail="d")


def strips() -> Figure:
    rows = [("model $", RNG.normal(size=40), True), ("</b>", RNG.normal(size=(2, 40)).ravel(), False)]
    rows += [("one", np.array([0.3]), False), ("none", np.array([np.nan]), False)]
    panel = plots.Strips("t", "a", rows, {0.0: "theory"})
    return plots.plot_strips([panel, panel, panel], finding="f", detail="d")


def overview() -> Figure:
    inside = plots.Standing(
        0.5, 0.4, 0.6, {"random subset": 0.2, "Gaussian": 0.0, "other": 3.0}, 0.56, 0.0, "supported"
    )
    outside = plots.Standing(-9.0, -10.0, -8.0, {"Euclidean": 7.0}, -0.1, 0.1, "not found")
    claims = [("a long sentence about $x^{ that has to be broken twice to fit", {"nouns": inside, "<b>": outside})]
    return plots.plot_overview([*claims, ("another", {"series": inside})], finding="f", detail="d")


def series() -> Figure:
    scores, errors = {"line": 0.1, "circle": -0.2}, {"line": 0.05, "circle": 0.5}
    panels = [
        plots.SeriesPanel(
            "t", HOSTILE, RNG.normal(size=(6, 2)), scores, errors, dict.fromkeys(scores, (-0.1, 0.1)), *how
        )
        for how in ((True, True), (True, False), (False, False))
    ]
    return plots.plot_series(panels, finding="f", detail="d", columns=2)


def composition() -> Figure:
    table = {
        "days": [(0, "$monday$", 1, 3), (1, "<tuesday>", 2, 3), (2, "wednesday-long-name", 3, 3)],
        "b": [(1, "x", 1, 2)],
    }
    return plots.plot_composition(table, 0.7, RNG.uniform(0, 1, 9), finding="f", detail="d")


def logits() -> Figure:
    panel = plots.LogitPanel("t", RNG.normal(size=30), RNG.normal(size=30), "a -0.02 $")
    null = plots.LogitPanel("t", np.array([np.nan, 1.0]), np.array([0.0, 1.0]), "n", null=True)
    return plots.plot_logits([panel, null, panel], finding="f", detail="d")


def conditions() -> Figure:
    rows = [
        plots.Condition(
            "$x$ steered", {"P(<b>)": RNG.uniform(0, 1, 300), "q": np.array([0.9, 1.0])}, False, ["1", "1e+26"]
        ),
        plots.Condition("control", {"P(<b>)": np.zeros(3)}, True, ["0"]),
    ]
    return plots.plot_conditions(rows, ["P(<b>)", "q"], ["first\nline", "second"], finding="f", detail="d")


def curves() -> Figure:
    x = np.array([0.5, 1.0, 2.0])
    lines = {"$own$": (x, 10 ** (9 * x)), "<control>": (x, np.array([1.0, np.nan, 3.0]))}
    panels = [plots.Curves("t", "x", "y", lines, (2.0, "level"), log) for log in ("", "x", "xy")]
    return plots.plot_curves(panels, controls=["<control>"], finding="f", detail="d")


def sweep() -> Figure:
    values = RNG.uniform(1, 99, (40, 3))
    values[::2] = np.nan
    names = [str(row) for row in range(40)]
    panels = [plots.Sweep("$t$", values, names, ["a", "b", "<c>"], (1.0, 100.0), log, (3, 1)) for log in (True, False)]
    return plots.plot_sweep(panels, row_axis="row", column_axis="column", finding="f", detail="d")


def squares(shared: bool = False) -> Figure:
    names = [["one", "</b>", "$x$"], ["one", "</b>", "$x$"] if shared else ["a", "b"]]
    panels = [
        plots.Square(f"$t{place}$", some, RNG.random((len(some), len(some))), np.eye(len(some), dtype=np.bool_), (0, 1))
        for place, some in enumerate(names)
    ]
    panels[0].values[0, 1] = np.nan
    return plots.plot_squares(panels, finding="found $", detail="detail", row_axis="from", column_axis="to")


VIEWS = [squares, planes, existence, heatmap, distributions, simplex, strips, overview, series, composition, logits]
VIEWS += [conditions, curves, sweep]


@pytest.mark.parametrize("draw", VIEWS)
def test_every_view_writes_a_picture_and_a_well_formed_svg(tmp_path: Path, draw) -> None:
    png, svg = plots.save(draw(), tmp_path / "figure")
    assert png.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    tree = ET.parse(svg)  # noqa: S314 (our own file)
    tags = {element.tag.split("}")[-1] for element in tree.iter()}
    assert not tags & {"script", "img", "i", "b", "foreignObject"}
    assert b"mathdefault" not in svg.read_bytes()


def test_the_same_figure_gives_the_same_bytes(tmp_path: Path) -> None:
    figure = heatmap()
    first = [path.read_bytes() for path in plots.save(figure, tmp_path / "a")]
    assert first == [path.read_bytes() for path in plots.save(figure, tmp_path / "b")]


def test_hostile_words_are_drawn_literally() -> None:
    drawn = [text for text in planes().axes[0].texts if text.get_text()]
    assert {"$x^{", "</script><b>x", "··[31m", "a·b", "$\\frac{1}{0}$", "<b>"} <= {text.get_text() for text in drawn}
    assert not any(text.get_parse_math() for text in drawn)


def test_signs_in_headlines(tmp_path: Path) -> None:
    svg = plots.save(existence(), tmp_path / "figure")[1].read_text(encoding="utf-8")
    assert "0.00 and \N{MINUS SIGN}0.31 and x-1" in svg


def test_labels_are_trimmed_and_printable() -> None:
    assert [literal(text) for text in (" bird", "a\nb", "\x1b[31m", "$x$")] == ["bird", "a·b", "·[31m", "$x$"]


def test_spread_keeps_a_gap_and_the_order() -> None:
    places = spread([0, 1, 2, 50, 51, 90], gap=10)
    assert all(later - earlier >= 10 - 1e-9 for earlier, later in pairwise(places))
    assert spread([0, 20, 40], gap=10) == [0, 20, 40]


def test_the_overview_says_all_in_words_and_numbers() -> None:
    texts = [text.get_text() for text in overview().findobj(lambda artist: hasattr(artist, "get_text"))]
    for expected in ("0.560", "\N{MINUS SIGN}0.100", "supported", "not found", "theory", "noise", "another"):
        assert expected in texts


def test_strips_write_means_and_say_where_nothing_was_measured() -> None:
    figure = strips()
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert "0.300" in texts
    assert "nothing to measure" in texts
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["none", "one", "</b>", "model $"]


def test_squares_write_numbers_and_name_rows_where_names_differ() -> None:
    apart, alike = squares(), squares(shared=True)
    for figure, second in ((apart, ["a  1", "b  2"]), (alike, ["1", "2", "3"])):
        assert [label.get_text() for label in figure.axes[1].get_yticklabels()] == second
        texts = [text.get_text() for text in figure.axes[0].texts]
        assert "–" in texts
        assert sum(text.startswith(("0.", "1.0")) for text in texts) == 8


def test_conditions_write_means_numbers_and_leave_blanks() -> None:
    figure = conditions()
    first, second = ([text.get_text() for text in axes.texts] for axes in figure.axes)
    assert first[0] == "0.00"  # rows are drawn from below
    assert second[0] == "0.95"
    assert {"1", "0", "1e+26", "first\nline"} <= set(second)
    assert len([patch for patch in figure.axes[1].patches if patch.get_height()]) == 1


def test_powers_of_ten_are_plain_numbers_and_the_chosen_cell_is_boxed() -> None:
    figure = curves()
    figure.canvas.draw()
    assert "1e+16" in [label.get_text() for label in figure.axes[2].get_yticklabels()]
    assert [label.get_text() for label in figure.axes[1].get_xticklabels()] == ["0.5", "1", "2"]
    boxes = [patch for patch in sweep().axes[0].patches if patch.get_width() == 1]
    assert [box.get_xy() for box in boxes] == [(0.5, 2.5)]


def test_files_carry_their_finding_and_are_the_same_bytes_each_time(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        with style():
            figure = Figure()
            headline(figure, "-0.31 <b> & $x$\n日本\x1b", "how it\x00 was")
        plots.save(figure, tmp_path / folder / "a")
        plots.save(Figure(), tmp_path / folder / "untold")
    for name in ("a.png", "a.svg", "untold.png", "untold.svg"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    with Image.open(tmp_path / "one" / "a.png") as png:
        assert png.info["Title"] == "−0.31 <b> & $x$ 日本·"
        assert png.info["Description"] == "how it· was"
        assert round(png.info["dpi"][0]) == 300
    svg = ET.parse(tmp_path / "one" / "a.svg")  # noqa: S314 (our own file)
    assert svg.findtext("{http://www.w3.org/2000/svg}title") == "−0.31 <b> & $x$ 日本·"
    assert svg.findtext(".//{http://purl.org/dc/elements/1.1/}description") == "how it· was"
    with Image.open(tmp_path / "one" / "untold.png") as png:
        assert "Title" not in png.info


def test_a_page_of_texts_is_escaped_whole_and_marks_whole_words() -> None:
    columns = [("a & b", "<made>", False), ("control", "", True)]
    rows = [("<script>x", ["The Bird sat\nthere", "birds \x00 </td>"]), ("two", ["bird", ""])]
    tables = [plots.TextTable("", columns, rows), plots.TextTable("second <b>", columns[:1], [("p", ["bird"])])]
    page = plots.texts_page("t <t>", "d", tables, marked=["bird", "There"])
    assert "<script" not in page
    assert "&lt;script&gt;x" in page
    assert "The <mark>Bird</mark> sat<br><mark>there</mark>" in page
    assert '<td class="control">birds · &lt;/td&gt;</td>' in page
    assert "a &amp; b<small>&lt;made&gt;</small>" in page
    assert page.count("<td") == 5
    assert page.count("<h2>") == 1
    assert "<h2>second &lt;b&gt;</h2>" in page
    assert "://" not in page
