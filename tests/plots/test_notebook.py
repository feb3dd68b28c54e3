"""New figures show themselves in a notebook, whether or not pyplot was imported there."""

from io import BytesIO

from PIL import Image

from geometry import plots


def test_a_new_figure_is_a_picture_of_its_own_size() -> None:
    figure = plots.heatmap([plots.HeatmapPanel([[0.1, 0.9]])], figsize=(4, 3), title="Found")
    png, shown = figure._repr_png_()
    assert shown == {"width": 400, "height": 300}
    assert Image.open(BytesIO(png)).size == (800, 600)
    assert repr(figure) == "<Figure size 400x300 with 1 Axes>"
    assert figure._repr_png_()[0] == png
