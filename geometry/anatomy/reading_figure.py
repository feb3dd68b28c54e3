"""The picture of a reading: words, concepts, what the vector is made of, and its pairs. Imports plots alone."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import geometry.plots as plots
from geometry.concepts import short_name
from geometry.display import in_short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from geometry.anatomy.pair_reading import PairReading
    from geometry.anatomy.reading import VectorReading

_SHOWN = 6  # words and concepts of either sign
_OF_PAIRS = 4


def draw_reading(reading: "VectorReading", **options: Any) -> "Figure":
    """Bars, and what random vectors of the same norm reach as dotted lines; options as of all plots."""
    panels = [_words(reading.promoted, reading.suppressed, _SHOWN, "Words", reading.chance_z)]
    if reading.nearest:
        concepts = dict([*reading.nearest[:_SHOWN], *reading.opposite[:_SHOWN][::-1]])
        short = [short_name(name) for name in concepts]
        # Two synsets of one word are told apart by their names.
        labels = [name if short.count(short_name(name)) > 1 else short_name(name) for name in concepts]
        panels.append(
            plots.StripPanel(
                "cosine with the concept vector",
                [plots.StripRow(name, [at], bar=True) for name, at in zip(labels, concepts.values(), strict=True)],
                title="Concepts", references={reading.chance_cosine: "95% of the null"},
            )
        )  # fmt: skip
    made_of = reading.decomposition
    if made_of is not None:
        rows = [
            plots.StripRow(short_name(name), [gain], bar=True)
            for name, gain in zip(made_of.names, made_of.gains, strict=True)
        ]
        rows.append(plots.StripRow("left over", [made_of.residual_share], bar=True))
        rows.append(plots.StripRow("left over of the null", made_of.random_share, null=True, bar=True))
        panels.append(plots.StripPanel("share of the squared norm", rows, title="Made of", limits=(0, 1)))
    columns = len(panels)
    if reading.pairs is not None:
        panels += _pairs(reading.pairs, reading.chance_z)
        columns = min(columns, 3)
    given = {"title": titled(reading), "caption": captioned(reading)}
    return plots.strip(panels, ncols=columns, **(given | options))


def titled(reading: "VectorReading") -> str:
    """What the vector says first, and whether it is beyond chance."""
    strongest, z = reading.promoted[0]
    beyond = "beyond" if z > reading.chance_z else "within"
    said = (
        f"{reading.provenance[:1].upper()}{reading.provenance[1:]} raises {in_short(repr(strongest), 18)} most,"
        f" {beyond} what {reading.null} do to any word"
    )
    if reading.pairs is not None:
        said += f"; its pairs share {reading.pairs.singular.mean_share:.0%} of their differences"
    return said


def captioned(reading: "VectorReading") -> str:
    """What is drawn."""
    said = (
        f"At {reading.site}. Null, dotted: the largest that 95% of {len(reading.largest_at_random)} {reading.null}"
        " reach with any word, with any concept."
    )
    if reading.path:
        said += f" The nearest concept in the tree: {' › '.join(map(short_name, reading.path))}."
    if reading.pairs is not None:
        low, high = reading.pairs.singular.mean_interval
        said += (
            f" Pairs: share of the squared norm of {len(reading.pairs.singular.scores)} differences; along their mean"
            f" [{low:.0%}, {high:.0%}] (grey: sides exchanged), and by singular direction (grey: random signs)."
        )
    return said


def _words(
    promoted: Sequence[tuple[str, float]],
    suppressed: Sequence[tuple[str, float]],
    count: int,
    title: str,
    chance: float,
) -> "plots.StripPanel":
    words = [*promoted[:count], *suppressed[:count][::-1]]
    rows = [plots.StripRow(in_short(repr(token), 18), [z], bar=True) for token, z in words]
    return plots.StripPanel("z-score of the logit's shift", rows, title, {chance: "95% of the null", -chance: ""})


def _pairs(pairs: "PairReading", chance: float) -> "list[plots.StripPanel]":
    found = pairs.singular
    rows = [
        plots.StripRow("along their mean", [found.mean_share], bar=True),
        plots.StripRow("sides exchanged", [found.null_mean_share], null=True, bar=True),
    ]
    for number in range(min(len(found.shares), _OF_PAIRS)):
        rows.append(plots.StripRow(f"direction {number + 1}", [found.shares[number]], bar=True))
        if np.isfinite(found.null_shares[number]):
            rows.append(plots.StripRow("random signs", [found.null_shares[number]], null=True, bar=True))
    panels = [plots.StripPanel("share of the squared norm", rows, "Within the pairs", limits=(0, 1))]
    firsts = [next(each for each in pairs.readings if each.name.startswith(kind)) for kind in ("singular", "principal")]
    for each in firsts:
        title = f"{each.name.capitalize()}{'' if each.stands_out else ' (within chance)'}"
        panels.append(_words(each.promoted, each.suppressed, _OF_PAIRS, title, chance))
    return panels
