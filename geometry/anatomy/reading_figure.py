"""The picture of a reading: words, concepts and what the vector is made of. Imports plots alone."""

from typing import TYPE_CHECKING, Any

import geometry.plots as plots
from geometry.concepts import short_name
from geometry.display import in_short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from geometry.anatomy.reading import VectorReading

_SHOWN = 6  # words and concepts of either sign


def draw_reading(reading: "VectorReading", **options: Any) -> "Figure":
    """Bars, and what random vectors of the same norm reach as dotted lines; options as of all plots."""
    chance = reading.chance_z
    words = [*reading.promoted[:_SHOWN], *reading.suppressed[:_SHOWN][::-1]]
    panels = [
        plots.StripPanel(
            "z-score of the logit's shift",
            [plots.StripRow(in_short(repr(token), 18), [z], bar=True) for token, z in words],
            title="Words", references={chance: "95% of random", -chance: ""},
        )
    ]  # fmt: skip
    if reading.nearest:
        concepts = dict([*reading.nearest[:_SHOWN], *reading.opposite[:_SHOWN][::-1]])
        panels.append(
            plots.StripPanel(
                "cosine with the concept vector",
                [plots.StripRow(short_name(name), [cosine], bar=True) for name, cosine in concepts.items()],
                title="Concepts", references={reading.chance_cosine: "95% of random"},
            )
        )  # fmt: skip
    made_of = reading.decomposition
    if made_of is not None:
        rows = [
            plots.StripRow(short_name(name), [gain], bar=True)
            for name, gain in zip(made_of.names, made_of.gains, strict=True)
        ]
        rows.append(plots.StripRow("left", [made_of.residual_share], bar=True))
        rows.append(plots.StripRow("left of random vectors", made_of.random_share, null=True, bar=True))
        panels.append(plots.StripPanel("share of the squared norm", rows, title="Made of", limits=(0, 1)))
    strongest = reading.promoted[0][0]
    beyond = "beyond" if reading.promoted[0][1] > chance else "within"
    strongest = in_short(repr(strongest), 18)
    title = f"{reading.provenance} raises {strongest} most, {beyond} what random vectors do to any word"
    caption = (
        f"At {reading.site}. Dotted: the largest that 95% of {len(reading.largest_at_random)} random vectors of the"
        " same norm reach with any word, with any concept."
    )
    return plots.strip(panels, ncols=len(panels), **({"title": title, "caption": caption} | options))
