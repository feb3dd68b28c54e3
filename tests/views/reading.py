"""What a figure says: its headline, and the texts of its axes and legends."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure


def headline(figure: Figure) -> tuple[str, str]:
    title, _, caption = str(figure.get_label()).partition("\n")
    return title, caption


def written(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts if text.get_text()]


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def ticks(axes: Axes) -> list[str]:
    return [label.get_text() for label in axes.get_yticklabels()]
