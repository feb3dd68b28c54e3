"""The picture of a benchmark: ratios as rows on a logarithmic axis, a colour a subject."""

from collections.abc import Sequence
from typing import Unpack

import geometry.plots as plots
from geometry.experiments.benchmark.common import Comparison

_PROMISED = "promised at least"


def draw_ratios(comparisons: Sequence[Comparison], **options: Unpack[plots.Options]) -> plots.Figure:
    """A row a comparison, in the order given."""
    rows = [
        plots.ForestRow(
            {each.subject: plots.Estimate(each.ratio, *sorted((each.ratio, each.ratio_of_medians)))},
            {} if each.promised is None else {_PROMISED: plots.NullMark(each.promised)},
            {each.subject: [plots.short(each.ratio), "" if each.promised is None else plots.short(each.promised)]},
            bold=each.kept is False,
        )
        for each in comparisons
    ]
    measure = "the other way over ours (right of 1: ours takes less)"
    panel = plots.ForestPanel(measure, rows, references={1.0: "the same"}, log=True)
    names = [f"{each.measured}\nagainst {each.instead}" for each in comparisons]
    return plots.forest([panel], names, columns=["ratio", "promised"], **options)
