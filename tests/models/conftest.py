"""A pretended npm and what it fetches, and a pretended hub."""

import hashlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from geometry.models.catalogue import CATALOGUE, Part, Resource
from tests.models.fake_hub import FakeHub, serving
from tests.models.packaged import CONTENT, NPM


@pytest.fixture
def npm_resource(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Resource:
    """A resource cut into two packages of npm, one of them scoped."""
    monkeypatch.setenv("CONCEPT_GEOMETRY_CACHE", str(tmp_path / "cache"))
    sha256 = hashlib.sha256(b"".join(CONTENT)).hexdigest()
    parts = tuple(
        Part(package, "1.0.0", hashlib.sha256(archive).hexdigest(), len(content), "package/data/half.bin", "npm")
        for (package, archive), content in zip(NPM.items(), CONTENT, strict=True)
    )
    resource = Resource("toy", "model", "two halves", "MIT", 1, sha256, "toy.bin", parts)
    monkeypatch.setitem(CATALOGUE, "toy", resource)
    return resource


# Writes what lies beside it under the name that npm gives it, and knows no other package.
FAKE_NPM = """#!{python}
import json, pathlib, shutil, sys
here = pathlib.Path(__file__).parent
with (here / "calls.jsonl").open("a") as calls:
    print(json.dumps([*sys.argv[1:], str(pathlib.Path.cwd())]), file=calls)
package, _, version = sys.argv[-1].rpartition("@")
name = package.lstrip("@").replace("/", "-") + "-" + version + ".tgz"
if not (here / name).exists():
    sys.exit((here / "failure").read_text())
shutil.copy(here / name, pathlib.Path(sys.argv[sys.argv.index("--pack-destination") + 1]) / name)
print(name)
"""


@pytest.fixture
def fake_npm(tmp_path: Path, npm_resource: Resource, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the only npm on the path."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "npm").write_text(FAKE_NPM.format(python=sys.executable))
    (folder / "npm").chmod(0o755)
    (folder / "failure").write_text("")
    for name, content in zip(("toy-half0-1.0.0.tgz", "half1-1.0.0.tgz"), NPM.values(), strict=True):
        (folder / name).write_bytes(content)
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """The only hub that there is."""
    with serving(FakeHub(tmp_path)) as served:
        point_to(served.endpoint, monkeypatch)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", served.environment["HF_HUB_CACHE"])
        monkeypatch.setenv("CONCEPT_GEOMETRY_CACHE", served.environment["CONCEPT_GEOMETRY_CACHE"])
        yield served


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Called, it makes that no hub can be reached from then on."""
    return lambda: point_to("http://127.0.0.1:9", monkeypatch)


def point_to(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("huggingface_hub.constants", "huggingface_hub.hf_api", "huggingface_hub.file_download"):
        monkeypatch.setattr(f"{module}.ENDPOINT", endpoint, raising=False)
    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
