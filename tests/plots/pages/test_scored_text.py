"""A text with a number at every token: escaped, coloured by class, its number beside it."""

import re

import pytest

from geometry.plots.pages import ScoredText, document_page


def page(tokens: list[str], values: list[float], largest: float = 1.0) -> str:
    return document_page("T", "d", [("S", [ScoredText(tokens, values, largest, "nats", "caption")])])


def test_every_token_is_a_text_with_its_shade_and_number(hostile: str) -> None:
    html = page([hostile, " bride", " and", " so", "."], [float("nan"), 0.9, -0.35, 0.02, -7.0])
    assert hostile not in html
    spans = re.findall(r'<span class="(\w+)" title="([^"]*)">', html)
    assert [shade for shade, _ in spans] == ["none", "up4", "down2", "level", "down5"]
    assert [said for _, said in spans] == ["not measured", "+0.900 nats", "−0.350 nats", "+0.020 nats", "−7.000 nats"]
    assert "</span><span" in html  # no space that the text has not
    style = html.split("<style>")[1].split("</style>")[0]
    assert all(f".{way}{step} " in style for way in ("up", "down") for step in range(1, 6))


@pytest.mark.parametrize(("values", "largest"), [([1.0], 1.0), ([1.0, 2.0], 0.0)])
def test_what_does_not_fit_is_refused(values: list[float], largest: float) -> None:
    with pytest.raises(ValueError, match="'caption': "):
        page(["a", "b"], values, largest)
