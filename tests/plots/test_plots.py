"""Pictures hold what they were given where it can be read, and untrusted text stays text."""

import xml.etree.ElementTree as ET
from collections.abc import Callable
from functools import cache
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from geometry import plots
from geometry.plots.canvas import limits_of
from geometry.plots.style import extent, headline, literal, palette, readable, short, spread, style, wrapped

HOSTILE = ["$x^{", "</script><b>x", "\x00\x1b[31m", "日本", "$\\frac{1}{0}$", "a\nb"]
SAYS = [
    "held-out words of a concept share its direction (existence)",
    "a parent's vector is orthogonal to its child's contrast",
    "held-out words are discriminated from the rest of their parent",
    "rank correlation of cosine with tree proximity",
    "quartet topology agreement",
]
VERDICTS = ["supported", "not significant", "explained by nesting", "inconclusive"]
RNG = np.random.default_rng(0)


def forest(names: list[str] = SAYS * 2, **how: Any) -> Figure:
    rows = []
    for place in range(len(names)):
        estimates, texts = {}, {}
        for group, value in (("wordnet-noun", RNG.uniform(-0.2, 1)), ("$organisms$ </b>", RNG.uniform(-0.2, 1))):
            estimates[group] = plots.Estimate(value, value - 0.2, 1.5)
            texts[group] = [f"{value:.3f}", "-0.031", VERDICTS[place % 4]]
        nulls = {"shuffled rows": plots.NullMark(0.0), "random subset of the parent": plots.NullMark(0.3, "d")}
        nulls["own null"] = plots.NullMark(0.1, "x")
        rows.append(plots.ForestRow(estimates, nulls, texts, bold=not place))
    references = {0.0: "null mean", 1.0: "prediction"}
    panel = plots.ForestPanel("from the null mean to the prediction", rows, "$t$", references, (-1.25, 1.2))
    return plots.forest([panel], names, columns=["value", "null\nmean", "verdict"], **how)


def forests(**how: Any) -> Figure:
    series = ("class difference", "contrast-pair direction", "PCA", "prompting")
    panels = []
    for measure, log in (("steering success rate (sentences)", False), ("… of texts", False), ("perplexity", True)):
        rows = [
            plots.ForestRow(
                {name: plots.Estimate(v := RNG.uniform(0.2, 0.8), v - 0.1, v + 0.1) for name in series},
                {"random direction": plots.NullMark(0.3, low=0.2, high=0.45)},
            )
            for _ in range(4)
        ]
        rows[1] = plots.ForestRow({"PCA": plots.Estimate(np.nan)})
        panels.append(plots.ForestPanel(measure, rows, references={0.25: "chance", 0.27: "bound"}, log=log))
    names = [f"{name}\nblock 12, 0.5× residual norm" for name in ("aggression", "formality", "voice", "<b>")]
    return plots.forest(panels, names, **how)


def strip(rows: int = 6, **how: Any) -> Figure:
    labels = ["unsteered", "$animal$ + (bird − animal)", "random, norm-matched in the residual stream"] * rows
    panels = [
        plots.StripPanel(
            "probability",
            [
                plots.StripRow(label, RNG.beta(1, 3, 60), label[0] in "ur", ["71%", plots.short(10.0**place)], bar=True)
                for place, label in enumerate(labels[:rows])
            ],
            title,
            {0.5: "chance"},
            (0, 1),
        )
        for title in ("P(animal)", "P(<b>)", "P(mammal)")
    ]
    return plots.strip(panels, columns=["top-1\nrate", "perplexity"], ncols=3, **how)


def strips(**how: Any) -> Figure:
    rows = [plots.StripRow("model $", RNG.normal(size=(4, 40))), plots.StripRow("</b>", RNG.normal(size=40), null=True)]
    rows += [plots.StripRow("one", [0.3]), plots.StripRow("none", [np.nan]), plots.StripRow("empty", None)]
    panel = plots.StripPanel("cosine", rows, "wordnet-noun: contradicted", {0.0: "null", 0.1: "chance", 9: "theory"})
    return plots.strip([panel, panel, panel], **how)


def heatmap(**how: Any) -> Figure:
    values = RNG.uniform(-1, 1, (30, 30))
    blocks = [("a$b$", 0, 10), ("<i>", 10, 12), ("c", 12, 13), ("inside", 2, 8)]
    shared: dict[str, Any] = {"blocks": blocks, "limits": (-0.5, 0.5), "cmap": "RdBu_r", "colourbar": "cosine"}
    panels = [plots.HeatmapPanel(values, title=title, **shared) for title in ("model: cosine", "shuffled rows: cosine")]
    return plots.heatmap([plots.HeatmapPanel(abs(values), title="hierarchy", blocks=blocks), *panels], **how)


def sweep(**how: Any) -> Figure:
    rows, columns = [str(row) for row in range(40)], ["0.0625", "0.125", "<c>", "8"]
    values = RNG.uniform(1, 99, (40, 4))
    values[::2] = np.nan
    axes: dict[str, Any] = {"row_axis": "output of block", "column_axis": "× residual norm", "origin": "lower"}
    panels = [
        plots.HeatmapPanel(
            values, rows, columns, "$P(bird)$, random", (1, 1e6), log=log, colourbar="perplexity", chosen=(3, 1), **axes
        )
        for log in (True, False, True)
    ]
    return plots.heatmap(panels, **how)


def table(models: int = 4, **how: Any) -> Figure:
    columns = [f"model-{place}-135m\n{what}" for place in range(models) for what in ("common: 56", "own: 403")]
    values = RNG.uniform(0, 1, (len(SAYS), len(columns)))
    texts = [[f"{value:.2f} (-0.02)\n{VERDICTS[place % 4]}" for place, value in enumerate(row)] for row in values]
    null = np.array([["not" in text for text in row] for row in texts])
    values[0, 0], texts[0][0] = np.nan, ""
    panel = plots.HeatmapPanel(values, SAYS, columns, texts=texts, null=null, colourbar="null to prediction")
    return plots.heatmap([panel], **how)


def squares(shared: bool = False, **how: Any) -> Figure:
    first = ["calm", "</b>", "hostile but $polite$"]
    names = [first, first if shared else ["a", "b"]]
    panels = []
    for some in names:
        values = RNG.random((len(some), len(some)))
        values[0, 1] = np.nan
        texts, null = plots.numbers(values), np.eye(len(some), dtype=np.bool_)
        panels.append(
            plots.HeatmapPanel(values, some, some, "$t$", texts=texts, null=null, row_axis="from", column_axis="to")
        )
    return plots.heatmap(panels, **how)


def curves(**how: Any) -> Figure:
    x = np.array([0.5, 1.0, 2.0, 4.0])
    lines = {"$own$": plots.Curve(x, 10.0 ** (4 * x)), "same": plots.Curve(x, 10.0 ** (4 * x))}
    lines["<control>"] = plots.Curve(x, [1.0, np.nan, 3.0, 4.0], null=True, low=[0, 1, 2, 3], high=[2, 3, 4, 5])
    return plots.curves(
        [
            plots.CurvePanel("coefficient", "perplexity", lines, "$t$", {2.0: "unsteered", 2.1: "chance"}, log)
            for log in ("", "x", "xy")
        ],
        **how,
    )


def scatter(**how: Any) -> Figure:
    lines = [(0, 0, "prediction"), (1, 0, "as far"), (-1, 0, "as far"), (np.inf, 1, "$bound$")]
    points = {"pairs": RNG.normal(size=(900, 2)), "<few>": [[0.0, np.nan], [1.0, 1.0]]}
    panels = [plots.ScatterPanel("parents", "children", points, "$t$", lines=lines, note="parents -0.02 ± 1 $")]
    panels.append(plots.ScatterPanel("parents", "children", {}, "null", {"shuffled rows": RNG.normal(size=(50, 2))}))
    panels.append(plots.ScatterPanel("tokens", "y", {"pairs": 10 ** RNG.normal(size=(9, 2))}, log="xy"))
    return plots.scatter(panels, share=False, **how)


def existence(**how: Any) -> Figure:
    figure, (left, right) = plots.grid(1, 2, figsize=(7.2, 3.6), **how)
    percent = np.linspace(0, 100, 403)
    lines = {"held-out lemmas": plots.Curve(percent, np.sort(RNG.beta(4, 3, 403))[::-1])}
    lines["shuffled rows"] = plots.Curve(percent, np.sort(RNG.normal(0, 0.1, 403))[::-1], null=True)
    panel = plots.CurvePanel("concepts (%)", "normalised projection", lines, "all", {1: "words fitted"}, marked=False)
    plots.curves([panel], ax=left)
    by_size = np.stack([RNG.integers(50, 3000, 403), RNG.beta(4, 3, 403)], axis=1)
    plots.scatter([plots.ScatterPanel("tokens", "projection", {"lemmas": by_size}, "by size", log="x")], ax=right)
    return figure


KINDS = [forest, forests, strip, strips, heatmap, sweep, table, squares, curves, scatter, existence]


def drawn_texts(figure: Figure) -> dict[Text, Axes | None]:
    """Every text that is drawn, with the axes that it belongs to."""
    with style():
        FigureCanvasAgg(figure).draw()
    texts: dict[Text, Axes | None] = dict.fromkeys(figure.texts)
    texts |= {text: None for legend in figure.legends for text in legend.get_texts()}
    for axes in figure.axes:
        own = [axes.title, axes._left_title, axes._right_title, axes.xaxis.label, axes.yaxis.label, *axes.texts]
        own += axes.legend_.get_texts() if axes.legend_ else []
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
            own += [label for tick in ticks for label in (tick.label1, tick.label2)] + [axis.get_offset_text()]
        texts |= dict.fromkeys(own, axes)
    return {text: axes for text, axes in texts.items() if text.get_visible() and text.get_text().strip()}


@cache
def picture(draw: Callable[..., Figure]) -> Figure:
    """A kind under a long title, drawn once."""
    return draw(title="What was found $x$, in a sentence that takes more than one line " * 2, caption="How. " * 40)


@pytest.mark.parametrize("draw", KINDS)
def test_no_text_leaves_the_figure_nor_lies_on_another_or_on_other_axes(draw: Callable[..., Figure]) -> None:
    figure = picture(draw)
    texts = drawn_texts(figure)
    boxes = {text: text.get_window_extent().padded(-0.7) for text in texts}
    paper = figure.bbox
    for text, box in boxes.items():
        assert paper.x0 <= box.x0 < box.x1 <= paper.x1, text
        assert paper.y0 <= box.y0 < box.y1 <= paper.y1, text
        for axes in figure.axes:
            inside = axes is texts[text] and axes.get_window_extent().containsx(box.x0 + box.width / 2)
            assert inside or not box.overlaps(axes.get_window_extent().padded(-1)), (text, axes)
    overlapping = [(one, other) for one, other in combinations(boxes, 2) if boxes[one].overlaps(boxes[other])]
    assert not overlapping


@pytest.mark.parametrize("draw", KINDS)
def test_every_kind_writes_a_picture_and_a_well_formed_svg_with_the_same_bytes_each_time(
    tmp_path: Path, draw: Callable[..., Figure]
) -> None:
    figure = picture(draw)
    png, svg = plots.save(figure, tmp_path / "figure")
    first = [png.read_bytes(), svg.read_bytes()]
    assert first == [path.read_bytes() for path in plots.save(figure, tmp_path / "again")]
    assert png.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    tree = ET.parse(svg)  # noqa: S314 (our own file)
    tags = {element.tag.split("}")[-1] for element in tree.iter()}
    assert not tags & {"script", "img", "i", "b", "foreignObject"}
    assert b"mathdefault" not in svg.read_bytes()
    with Image.open(png) as image:
        assert image.info["Title"].startswith("What was found $x$, in")
        assert image.size[0] == round(300 * figure.get_figwidth())


@pytest.mark.parametrize("draw", [forest, forests, strip, strips, heatmap, sweep, table, squares, curves, scatter])
def test_given_axes_are_drawn_into_and_no_headline_is_painted(draw: Callable[..., Figure]) -> None:
    count = sum(axes.get_label() != "<colorbar>" for axes in picture(draw).axes)
    figure = Figure(figsize=(14, 6))
    given = list(figure.subplots(1, count, squeeze=False)[0])
    assert draw(ax=given if count > 1 else given[0], title="not painted") is figure
    assert all(axes.has_data() for axes in given)
    assert figure.get_label() == ""
    assert not any("not painted" in text.get_text() for text in figure.findobj(Text))
    assert tuple(figure.get_size_inches()) == (14, 6)
    with pytest.raises(ValueError, match=f"{count} panels need as many axes, not {count + 1}"):
        draw(ax=[*given, given[0]])


@pytest.mark.parametrize("draw", [forest, strip, table, curves, scatter])
def test_a_given_size_is_kept(draw: Callable[..., Figure]) -> None:
    figure = draw(figsize=(9, 4), title="t", caption="c")
    assert tuple(figure.get_size_inches()) == (9, 4)


def test_given_colours_are_used() -> None:
    def inks(figure: Figure) -> set[str]:
        return {to_hex(line.get_color()) for line in figure.axes[0].lines}

    assert {"#123456", "#654321"} <= inks(forest(colours=["#123456", "#654321"]))
    assert {"#123456", plots.COLOURS[0].lower()} <= inks(forest(colours={"$organisms$ </b>": "#123456"}))
    assert "#123456" in inks(curves(colours={"same": "#123456"}))
    points = [c for c in scatter(colours=["#123456"]).axes[0].collections if isinstance(c, PathCollection)]
    assert to_hex(points[0].get_facecolor()[0]) == "#123456"
    figure = strip(colours=["#123456", "#654321", "#aabbcc"])
    assert [to_hex(axes.patches[1].get_facecolor()) for axes in figure.axes] == ["#123456", "#654321", "#aabbcc"]
    box = sweep(colours=["#123456"]).axes[0].patches[0]
    assert to_hex(box.get_edgecolor()) == "#123456"


@pytest.mark.parametrize("count", [1, 3, 150])
def test_one_row_or_hundreds(count: int) -> None:
    names = [f"concept.n.{place:03d}" for place in range(count)]
    rows = [plots.ForestRow({"model": plots.Estimate(0.5, 0.4, 0.6)}, {"null": plots.NullMark(0.1)}) for _ in names]
    figures = [
        plots.forest([plots.ForestPanel("x", rows)], names),
        plots.heatmap([plots.HeatmapPanel(np.eye(count), names, names)]),
    ]
    figures.append(plots.strip([plots.StripPanel("x", [plots.StripRow(name, [0.1, 0.2]) for name in names])]))
    for figure in figures:
        texts = [text for text in drawn_texts(figure) if text.get_text() in names]
        assert texts
        for one, other in pairwise(text.get_window_extent() for text in texts):
            assert not one.padded(-0.7).overlaps(other.padded(-0.7))


def test_names_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="2 names need as many rows"):
        plots.forest([plots.ForestPanel("x", [plots.ForestRow({})])], ["a", "b"])
    with pytest.raises(ValueError, match="'title': values of shape"):
        plots.heatmap([plots.HeatmapPanel(np.eye(2), ["a"], title="title")])
    with pytest.raises(ValueError, match="at least one panel"):
        plots.curves([])


def test_hostile_names_are_drawn_literally() -> None:
    shown = {text.get_text(): text for text in drawn_texts(forest(HOSTILE))}
    assert {"$x^{", "</script><b>x", "··[31m", "a\nb", "$\\frac{1}{0}$", "日本"} <= set(shown)
    assert not any(text.get_parse_math() for text in shown.values())
    for draw in KINDS:
        assert not any(text.get_parse_math() for text in drawn_texts(picture(draw)))


def test_a_forest_says_all_in_numbers_and_words_and_keeps_its_bars_in_their_panel() -> None:
    figure = forest(SAYS[:1])
    (axes,) = figure.axes
    texts = [text.get_text() for text in drawn_texts(figure)]
    assert {"\N{MINUS SIGN}0.031", "supported", "prediction", "null mean", "shuffled rows", "own null"} <= set(texts)
    weights = {text.get_text(): text.get_fontweight() for text in axes.texts}
    assert weights["supported"] == "bold"
    bars = [line for line in axes.lines if len(set(line.get_ydata())) == 1 and len(line.get_ydata()) == 2]
    assert max(max(bar.get_xdata()) for bar in bars) > axes.get_xlim()[1]
    assert all(bar.get_clip_on() for bar in bars)
    panel = plots.ForestPanel("x", [plots.ForestRow({"a": plots.Estimate(-9), "b": plots.Estimate(9)})], limits=(0, 1))
    marks = {line.get_marker(): line.get_xdata()[0] for line in plots.forest([panel], ["n"]).axes[0].lines}
    assert (marks["<"], marks[">"]) == (0, 1)


def test_nulls_of_a_forest_are_grey_behind_their_row_or_apart_below_it() -> None:
    def heights(*nulls: plots.NullMark) -> list[tuple[float, float]]:
        named = {f"null {place}": null for place, null in enumerate(nulls)}
        panel = plots.ForestPanel("x", [plots.ForestRow({"model": plots.Estimate(0.5)}, named)])
        lines = plots.forest([panel], ["n"]).axes[0].lines
        assert all(to_hex(line.get_color()) in (*plots.NULL_GREYS, plots.INK) for line in lines[:-2])
        return [(min(line.get_ydata()), max(line.get_ydata())) for line in lines[:-1]]

    (low, high), (model, _) = heights(plots.NullMark(0.1))
    assert low < model < high
    (low, high), (model, _) = heights(plots.NullMark(0.1, low=0, high=0.2))
    assert low < model < high
    (first, _), (middle, _), (second, _), _, (model, _) = heights(*[plots.NullMark(0.1, low=0, high=0.2)] * 2)
    assert model < first == middle < second


def test_strips_write_means_and_say_where_nothing_was_measured() -> None:
    figure = strips()
    first, second = figure.axes[:2]
    texts = [text.get_text() for text in first.texts]
    assert {"0.3", "not measurable", "–", "mean", "null", "chance", "theory"} <= set(texts)
    assert [label.get_text() for label in first.get_yticklabels()] == ["model $", "</b>", "one", "none", "empty"]
    assert {label.get_text() for label in second.get_yticklabels()} == {""}
    shapes = [part for part in first.collections if isinstance(part, PolyCollection)]
    assert len(shapes) == 2  # one value makes no density


def test_bars_of_strips_have_their_numbers_beside_the_panel() -> None:
    figure = strip(2)
    FigureCanvasAgg(figure).draw()
    axes = figure.axes[-1]
    assert [round(patch.get_width(), 2) for patch in axes.patches] == [
        float(text.get_text()) for text in axes.texts[1:3]
    ]
    written = [text for text in axes.texts if text.get_text() not in ("chance",)]
    assert all(text.get_window_extent().x0 > axes.get_window_extent().x1 for text in written)
    assert {"71%", "1", "10", "top-1\nrate"} <= {text.get_text() for text in axes.texts}


def test_heatmaps_name_rows_where_they_differ_and_write_what_was_given() -> None:
    for shared, expected in ((False, ["a", "b"]), (True, [])):
        figure = squares(shared)
        assert [label.get_text() for label in figure.axes[1].get_yticklabels()] == expected
        texts = [text.get_text() for text in figure.axes[0].texts]
        assert texts.count("–") == 1
        assert sum(text.startswith(("0.", "1.0")) for text in texts) == 8


def test_cells_have_their_colours_null_and_blank_ones_none() -> None:
    values = [[0.0, 1.0], [np.nan, 0.5]]
    panel = plots.HeatmapPanel(values, null=[[False, False], [False, True]], chosen=(0, 1))
    (axes,) = plots.heatmap([panel]).axes
    painted = np.asarray(axes.images[0].get_array())
    assert [to_hex(painted[place]) for place in ((0, 0), (0, 1))] == ["#440154", "#fde725"]
    assert [to_hex(painted[place]) for place in ((1, 0), (1, 1))] == ["#ededed", "#ffffff"]
    assert [patch.get_xy() for patch in axes.patches] == [(0.5, -0.5)]


def test_panels_of_heatmaps_have_scales_of_their_own() -> None:
    panels = [
        plots.HeatmapPanel([[0.5]], colourbar="probability"),
        plots.HeatmapPanel([[9.0]], limits=(0, 8), cmap="magma", colourbar="nats"),
    ]
    figure = plots.heatmap(panels)
    bars = {axes.get_xlabel(): axes.get_xlim() for axes in figure.axes[2:]}
    assert bars == {"probability": (0, 1), "nats": (0, 8)}


def test_heads_of_columns_stand_once_above_their_group() -> None:
    texts = [text.get_text() for text in drawn_texts(picture(table))]
    assert texts.count("model-1-135m") == 1
    assert texts.count("own: 403") == 4


def test_overlapping_curves_differ_in_dash_and_marker() -> None:
    own, same, control = picture(curves).axes[0].lines[:3]
    assert own.get_color() != same.get_color()
    assert own.get_marker() != same.get_marker()
    assert (own.get_linestyle(), same.get_linestyle()) == ("-", "--")
    assert own.get_linewidth() > same.get_linewidth()
    assert to_hex(control.get_color()) in plots.NULL_GREYS


def test_powers_of_ten_are_short_and_points_have_their_ticks() -> None:
    figure = picture(curves)
    FigureCanvasAgg(figure).draw()
    labels = [label.get_text() for label in figure.axes[2].get_yticklabels()]
    assert "10¹⁶" in labels or "10¹⁵" in labels
    assert [label.get_text() for label in figure.axes[1].get_xticklabels()] == ["0.5", "1", "2", "4"]
    assert not any("e+" in text.get_text() for text in drawn_texts(figure))


def test_lines_of_a_scatter_go_where_they_should() -> None:
    axes = picture(scatter).axes[0]
    flat, up, down, wall = axes.lines
    assert np.ptp(flat.get_ydata()) == 0
    assert np.allclose(up.get_xdata(), up.get_ydata())
    assert np.allclose(down.get_xdata(), -np.asarray(down.get_ydata()))
    assert set(wall.get_xdata()) == {1}
    points = [part for part in axes.collections if isinstance(part, PathCollection)]
    assert [len(part.get_offsets()) for part in points] == [900, 1]


def test_panels_that_share_have_common_limits() -> None:
    panels = [plots.ScatterPanel("x", "y", {"a": [[0, 0], [top, top]]}) for top in (1.0, 100.0)]
    first, second = plots.scatter(panels).axes
    assert first.get_xlim() == second.get_xlim()
    assert (first.get_ylabel(), second.get_ylabel()) == ("y", "")


def test_numbers_are_short_and_signed() -> None:
    assert [short(value) for value in (0.0, -0.25, 999.96, 12345.6, 1.14e7, -1e26, 2e-7, np.inf)] == [
        "0", "−0.25", "1,000", "12,346", "1.1×10⁷", "−1×10²⁶", "2×10⁻⁷", "–",
    ]  # fmt: skip
    assert plots.numbers([[0.256, -0.001, np.nan, 1e26]]) == [["0.26", "0.00", "–", "10²⁶"]]


def test_limits_hold_every_finite_value() -> None:
    low, high = limits_of([[1.0, np.nan], [5.0]])
    assert low < 1 < 5 < high
    low, high = limits_of([[1.0, -3.0, 100.0]], log=True)
    assert 0 < low < 1 < 100 < high
    assert limits_of([[np.nan]])[0] < limits_of([])[1]
    assert np.ptp(limits_of([[2.0, 2.0]])) > 0


def test_lines_are_wrapped_to_the_inch() -> None:
    lines = wrapped("near-orthogonal words that go on\nand Donaudampfschifffahrtsgesellschaft", 0.6, 7)
    assert all(extent(line, 7) <= 0.6 for line in lines)
    assert lines[:2] == ["near-", "orthogonal"]
    assert "".join(lines).replace(" ", "") == "near-orthogonalwordsthatgoonandDonaudampfschifffahrtsgesellschaft"
    assert wrapped("", 1, 7) == [""]


def test_labels_are_trimmed_and_printable() -> None:
    assert [literal(text) for text in (" bird", "a\nb", "\x1b[31m", "$x$")] == ["bird", "a·b", "·[31m", "$x$"]


def test_colours_by_order_and_by_name_are_dark_enough_to_read() -> None:
    assert palette(["a", "b", "a"]) == dict(zip("ab", plots.COLOURS, strict=False))
    assert palette(["a", "b"], {"b": "red"}) == {"a": plots.COLOURS[0], "b": "red"}
    assert palette(["a", "b", "c"], ["red", "blue"])["c"] == "red"
    for colour in plots.COLOURS:
        red, green, blue = (int(to_hex(readable(colour))[place : place + 2], 16) for place in (1, 3, 5))
        assert 0.299 * red + 0.587 * green + 0.114 * blue < 120


def test_spread_keeps_a_gap_and_the_order() -> None:
    places = spread([0, 1, 2, 50, 51, 90], gap=10)
    assert all(later - earlier >= 10 - 1e-9 for earlier, later in pairwise(places))
    assert spread([0, 20, 40], gap=10) == [0, 20, 40]


def test_files_carry_their_finding_and_are_the_same_bytes_each_time(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        with style():
            figure = Figure()
            headline(figure, "-0.31 and -0.00 and x-1 <b> & $x$\n日本\x1b", "how it\x00 was")
        plots.save(figure, tmp_path / folder / "a")
        plots.save(Figure(), tmp_path / folder / "untold")
    for name in ("a.png", "a.svg", "untold.png", "untold.svg"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    said = "−0.31 and 0.00 and x-1 <b> & $x$ 日本·"
    with Image.open(tmp_path / "one" / "a.png") as png:
        assert png.info["Title"] == said
        assert png.info["Description"] == "how it· was"
        assert round(png.info["dpi"][0]) == 300
    svg = ET.parse(tmp_path / "one" / "a.svg")  # noqa: S314 (our own file)
    assert svg.findtext("{http://www.w3.org/2000/svg}title") == said
    assert svg.findtext(".//{http://purl.org/dc/elements/1.1/}description") == "how it· was"
    with Image.open(tmp_path / "one" / "untold.png") as png:
        assert "Title" not in png.info


def test_functions_stay_functions_when_their_modules_are_imported() -> None:
    import geometry.plots.heatmap  # noqa: F401

    assert plots.HeatmapPanel.__module__ == "geometry.plots.heatmap"
    assert callable(plots.heatmap)
