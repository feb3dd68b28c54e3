"""A wheel carries all it needs and works outside the checkout."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

import geometry as geo

ROOT = Path(__file__).parents[1]


def listed(*folders: str) -> list[str]:
    """The files that belong to the project, committed or about to be."""
    done = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *folders],  # noqa: S607
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return [name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    # Built from a copy: setuptools leaves a build folder beside the sources.
    for name in listed():
        if not name.startswith("figures/"):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(source)]
    subprocess.run(command, check=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel alone, installed into a folder of its own."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(folder)]
    subprocess.run([*command, str(wheel)], check=True)
    return folder


def outside(site: Path, tmp_path: Path, *command: str) -> str:
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(site)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_package_is_listed() -> None:
    packages = {
        ".".join(Path(name).parent.parts) for name in listed("geometry") if Path(name).name == "__init__.py"
    } | {"geometry.data"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert set(project["tool"]["setuptools"]["packages"]) == packages
    assert any(requirement.startswith("nltk>") for requirement in project["project"]["dependencies"])


def test_the_version_is_said_once_and_cited() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["dynamic"] == ["version"]
    assert cited["version"] == geo.__version__
    assert cited["title"] == project["name"]
    assert cited["authors"] == project["authors"]
    headings = [line for line in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines() if line[:3] == "## "]
    assert headings[0].removeprefix("## ").split(",")[0] == geo.__version__


def test_all_that_tests_and_docs_need_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {re.sub(r"[-_.]+", "-", pin.split("==")[0]).lower() for pin in pins if "==" in pin}
    wanted = [*project["dependencies"], *extras["dev"], *extras["docs"]]
    assert not [need for need in wanted if re.sub(r"[-_.]+", "-", re.split("[<>=]", need)[0]).lower() not in pinned]


def test_the_wheel_holds_the_library_its_stubs_its_data_and_licences(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = {name if name.startswith("geometry/") else f"geometry/{name}" for name in listed("geometry", "data")}
    # They make the table and the glosses, which is what a wheel needs.
    wanted -= {f"geometry/data/wordnet/build_{made}.py" for made in ("table", "glosses")}
    assert wanted <= names, sorted(wanted - names)
    assert {"geometry/py.typed", "geometry/__init__.pyi", "geometry/data/wordnet/wordnet-3.0.tsv.xz"} <= wanted
    assert {name.split("/")[0] for name in names} == {"geometry", f"concept_geometry-{geo.__version__}.dist-info"}
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_wheel_works_outside_the_checkout(site: Path, tmp_path: Path) -> None:
    code = (
        "import geometry as geo\n"
        f"assert geo.__file__.startswith({str(site)!r}), geo.__file__\n"
        "model = geo.Unembedding.load('smollm2-135m')\n"
        "print(len(geo.concepts.wordnet_hierarchy('noun', model.vocabulary)), geo.concepts.packaged_hierarchies())\n"
    )
    said = outside(site, tmp_path, sys.executable, "-c", code)
    assert said.split()[0] == "403"
    assert "organisms" in said


def test_the_console_command_of_a_wheel_knows_every_study(site: Path, tmp_path: Path) -> None:
    console = str(site / "bin" / "concept-geometry")
    said = outside(site, tmp_path, console, "run", "--help")
    assert all(study in said for study in ("claims", "steering", "maps", "behaviours", "comparison", "calibration"))
    assert "--n-permutations" in outside(site, tmp_path, console, "run", "claims", "--help")
    assert list(tmp_path.iterdir()) == []
