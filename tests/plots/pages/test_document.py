"""A document is a page that loads nothing, runs nothing, and holds every text as text."""

import base64
import io
import re
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from geometry.plots.pages import (
    Block,
    Commands,
    Links,
    Paragraph,
    Picture,
    Table,
    document_page,
    downsampled,
)
from tests.plots.pages.conftest import Opened


def png(pixels: np.ndarray, dpi: int | None = 300) -> bytes:
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, "PNG", **({"dpi": (dpi, dpi)} if dpi else {}))
    return held.getvalue()


def flat(height: int = 300, width: int = 600) -> np.ndarray:
    """Two colours, as a plot."""
    pixels = np.full((height, width, 3), 255, dtype=np.uint8)
    pixels[height // 3 : height // 2] = (0, 114, 178)
    return pixels


def test_every_block_opens_in_a_browser_as_text_without_script_or_network(
    opened: Callable[[str], Opened], hostile: str
) -> None:
    blocks: list[Block] = [
        Paragraph(f"{hostile}\nsecond"),
        Table([hostile, "value"], [[hostile, "-0.5"], ["b", "1e-3"]], hostile),
        Picture(png(flat()), hostile, [("PNG", "a/b%20c.png")], f"{hostile}\n{hostile}"),
        Links([(hostile, "a/results.json", hostile)]),
        Commands(f"{hostile}\nsecond"),
    ]
    shown = opened(document_page(hostile, hostile, [("One", blocks), (hostile, [Paragraph("end")])]))
    assert (shown.said, shown.asked) == ([], [])
    assert shown.run("document.scripts.length") == 0
    assert shown.page.title() == shown.text("h1") == hostile
    assert shown.texts("h2")[1] == hostile
    for selector in (".detail", "p:nth-of-type(1)", "thead th", "tbody th", ".table figcaption", "pre", ".links a"):
        assert hostile in shown.texts(selector)[0]
    assert shown.text("pre").split("\n")[1] == "second"
    assert shown.texts("td") == ["−0.5", "1e-3"]
    assert shown.run("document.querySelector('img').alt") == f"{hostile} {hostile}"
    # 600 pixels at 300 dpi are two inches.
    assert shown.run("[document.images[0].complete, document.images[0].width]") == [True, 192]
    assert shown.run("[...document.querySelectorAll('nav a')].every(a => document.querySelector(a.hash))") is True
    assert shown.run("document.querySelector('figure a').getAttribute('href')") == "a/b%20c.png"


def test_the_page_fits_a_phone_and_does_not_run_what_slips_in(opened: Callable[[str], Opened]) -> None:
    wide = Table([f"column {n}" for n in range(12)], [["x" * 64] * 12])
    page = document_page("t", "d", [("s", [wide, Picture(png(flat(300, 3000)), "c")])])
    shown = opened(page.replace("<main>", "<main><script>document.title = 'ran'</script>"))
    shown.page.set_viewport_size({"width": 375, "height": 700})
    assert shown.run("document.documentElement.scrollWidth") == 375
    assert shown.page.title() == "t"
    assert "nav" not in page.split("</style>")[1]


@pytest.mark.parametrize(
    "href",
    ["javascript:alert(1)", "https://x.org", "//x.org", "/etc", "\\\\x", "", "a b", 'a"b', "data:,", " a", "a\n"],
)
def test_only_relative_addresses_are_linked(href: str) -> None:
    for block in (Links([("a", href, "")]), Picture(png(flat()), "c", [("PNG", href)])):
        with pytest.raises(ValueError, match="relative"):
            document_page("t", "d", [("s", [block])])


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="1 cells, its head 2"):
        document_page("t", "d", [("s", [Table(["a", "b"], [["1"]])])])
    for broken in (b"", b"GIF89a", png(flat())[:-40]):
        with pytest.raises(ValueError, match="PNG"):
            document_page("t", "d", [("s", [Picture(broken, "c")])])
        with pytest.raises(ValueError, match="PNG"):
            downsampled(broken)


def test_columns_of_numbers_are_marked_and_long_words_can_break() -> None:
    page = document_page("t", "d", [("s", [Table(["n", "a", "b"], [["x", "-1.5", "12"], ["y", "–", "f" * 40]])])])
    assert '<th scope="col" class="number">a</th><th scope="col">b</th>' in page
    assert '<td class="number">−1.5</td>' in page
    assert f"<td>{'f' * 16}<wbr>{'f' * 16}<wbr>{'f' * 8}</td>" in page


def test_downsampling_halves_300_dpi_and_keeps_what_has_fewer() -> None:
    for dpi, size in ((300, (300, 150)), (100, (600, 300)), (None, (600, 300))):
        with Image.open(io.BytesIO(downsampled(png(flat(), dpi)))) as small:
            assert small.size == size
            assert small.mode == "P"
            assert np.asarray(small.convert("RGB"))[-1, -1].tolist() == [255] * 3
            assert np.asarray(small.convert("RGB"))[round(size[1] * 0.4), 5].tolist() == [0, 114, 178]
            assert round(small.info["dpi"][0]) == {300: 150, 100: 100, None: 96}[dpi]


def test_a_palette_is_taken_only_where_it_looks_the_same() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    with Image.open(io.BytesIO(downsampled(png(noise, 150)))) as kept:
        assert kept.mode == "RGB"
        assert (np.asarray(kept) == noise).all()


def test_transparency_becomes_white() -> None:
    clear = np.zeros((20, 20, 4), dtype=np.uint8)
    with Image.open(io.BytesIO(downsampled(png(clear)))) as solid:
        assert (np.asarray(solid.convert("RGB")) == 255).all()


def test_the_picture_is_embedded_as_it_was_given() -> None:
    content = png(flat())
    page = document_page("t", "d", [("s", [Picture(content, "c")])])
    source = re.search(r'src="data:image/png;base64,([^"]+)"', page)
    assert source is not None
    assert base64.b64decode(source[1]) == content
    assert document_page("t", "d", [("s", [Picture(content, "c")])]) == page
