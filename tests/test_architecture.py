"""Imports go down the floors, never up or in a circle."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = [
    {"errors", "memory", "views"},
    {"output"},
    {"models"},
    {"concepts", "causal", "estimators"},
    {"directions", "frames"},
    {"structure", "steering"},
    {"structure", "steering"},
    {"maps", "compare", "report"},
    {"cli"},
]
FLOOR = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}


def imports(path: Path) -> set[str]:
    """The modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module)
    return found


def room(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "geometry" and len(parts) > 1 else None


FILES = [
    path
    for path in sorted((ROOT / "geometry").rglob("*.py"))
    if path.parent != ROOT / "geometry" or path.stem != "__init__"
]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down(path: Path) -> None:
    own = path.relative_to(ROOT / "geometry").parts[0].removesuffix(".py")
    for module in imports(path):
        assert module != "geometry", f"{path} imports the public face from inside"
        other = room(module)
        if other not in (None, own):
            assert FLOOR[other] < FLOOR[own], f"{own} must not import {other}"


def test_views_import_nothing_of_ours() -> None:
    for path in (ROOT / "geometry" / "views").glob("*.py"):
        assert {room(module) for module in imports(path)} <= {None, "views"}


def test_numbers_do_not_depend_on_matplotlib() -> None:
    code = "import sys; sys.modules['matplotlib'] = None; import geometry; print(len(geometry.__all__))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_no_file_is_long() -> None:
    for path in [*FILES, *(ROOT / "analysis").glob("*.py")]:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, path
