"""A browser without a network, for pages that must need none."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND"),
]


# Pixels of a canvas, read from a copy: reading the page's own more than once makes the browser warn.
READ = """(canvas) => {
  const copy = Object.assign(document.createElement("canvas"), { width: canvas.width, height: canvas.height });
  const pen = copy.getContext("2d", { willReadFrequently: true });
  pen.drawImage(canvas, 0, 0);
  return pen.getImageData(0, 0, copy.width, copy.height).data;
}"""


@dataclass
class Opened:
    """A page, and all that it said or asked for on the way."""

    page: Page
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def text(self, selector: str) -> str:
        return self.page.inner_text(selector)

    def texts(self, selector: str) -> list[str]:
        return self.page.locator(selector).all_inner_texts()

    def run(self, script: str) -> Any:
        """Evaluate after the frame that is due, so that what was asked for is drawn."""
        self.page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        return self.page.evaluate(script)

    def hover(self, frame: int, x: float, y: float) -> None:
        """Point at pixels of one panel."""
        box = self.page.locator(".frame").nth(frame).bounding_box()
        assert box is not None
        self.page.mouse.move(box["x"] + x + 1, box["y"] + y + 1)  # the frame's border is one pixel wide


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("Chromium is not installed: install it (Debian: chromium) to test the interactive pages")
    with sync_playwright() as player:
        started = player.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def opened(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Opened]:
    """Opens HTML from a file, offline, and notes messages, errors, dialogs and requests."""

    def open_page(html: str) -> Opened:
        path = tmp_path_factory.mktemp("page") / "page.html"
        path.write_text(html, encoding="utf-8")
        context = browser.new_context(viewport={"width": 1200, "height": 700}, offline=True)
        this = Opened(context.new_page())
        this.page.set_default_timeout(5000)
        this.page.on("console", lambda message: this.said.append(f"{message.type}: {message.text}"))
        this.page.on("pageerror", lambda error: this.said.append(f"error: {error}"))
        this.page.on("dialog", lambda dialog: (this.said.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        this.page.on("request", lambda request: this.asked.append(request.url))
        this.page.goto(path.as_uri())
        assert this.asked.pop(0) == path.as_uri()
        return this

    return open_page


@pytest.fixture(autouse=True)
def _afresh(request: pytest.FixtureRequest) -> None:
    """Each test of a module's page, `shown`, starts from it as it opens."""
    if "shown" in request.fixturenames:
        request.getfixturevalue("shown").page.reload()


# A token that would run, if anything ever took it for markup.
@pytest.fixture(scope="session")
def hostile() -> str:
    return "</script><!--<script><img src=x onerror=alert(1)>"
