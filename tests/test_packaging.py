"""A wheel carries all it needs and works outside the checkout; the README's example runs."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    # Built from a copy: setuptools leaves a build folder beside the sources.
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file() and not name.startswith("figures/"):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(source)]
    subprocess.run(command, check=True)
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_the_library_its_data_and_licences(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "geometry/py.typed",
        "geometry/plots/pages/explorer.js",
        "geometry/plots/pages/interactive.css",
        "geometry/data/wordnet/wordnet-3.0.tsv.xz",
        "geometry/data/wordnet/LICENSE",
        "geometry/data/hierarchies/organisms.yaml",
    } <= names
    tops = {name.split("/")[0] for name in names}
    assert tops == {"geometry", "concept_geometry-0.1.0.dist-info"}
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_wheel_works_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    code = (
        "import geometry as geo\n"
        f"assert geo.__file__.startswith({str(site)!r}), geo.__file__\n"
        "model = geo.Unembedding.load('smollm2-135m')\n"
        "print(len(geo.concepts.wordnet_hierarchy('noun', model.vocabulary)), geo.concepts.packaged_hierarchies())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(site)}, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.split()[0] == "403"
    assert "organisms" in done.stdout


def test_the_readmes_example_runs_and_is_short(tmp_path: Path) -> None:
    example = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert example is not None
    assert len([line for line in example[1].splitlines() if line.strip()]) <= 12
    done = subprocess.run([sys.executable, "-c", example[1]], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "projection/lemma" in done.stdout
    assert list(tmp_path.iterdir()) == []
