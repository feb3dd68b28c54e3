"""The house: floors, names, sizes, a light door."""

import ast
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import geometry as geo

ROOT = Path(__file__).parents[1]
# Ground first. Rooms of one floor do not know each other.
FLOORS = [
    {
        "errors",
        "arguments",
        "memory",
        "randomness",
        "significance",
        "intervals",
        "gram_batches",
        "symmetric",
        "plots",
        "display",
        "progress",
        "serving",
        "version",
    },
    {"results", "output", "moments"},
    {"cache"},
    {"models", "spectrum_cache", "gram_kernels"},
    {"concepts", "causal", "estimators", "gram"},
    {"nested_sets", "token_cloud"},
    {"directions", "frames"},
    {"evidence", "probing", "steering"},
    {"maps", "compare", "layers", "judging", "anatomy", "dictionaries"},
    {"selectivity", "tuning", "search"},
    {"views"},
    {"experiments"},
    {"report"},
    {"cli"},
    {"analysis"},
]
FLOOR = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
# Within the ground floor and of the concepts' one: an arrow that goes sideways, and why it may.
SIDEWAYS = {("concepts", "models"), ("memory", "errors"), ("arguments", "errors"), ("plots", "arguments")}
LONGEST = 350


def imports(path: Path) -> set[str]:
    """The modules that a file imports, wherever in it, but for those that only the type checker reads."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    checked = [
        node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    skipped = {id(inner) for node in checked for inner in ast.walk(node)}
    modules = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            modules |= {f"{node.module}.{alias.name}" for alias in node.names} if node.module == "geometry" else set()
            modules.add(node.module)
    return modules


def room(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "geometry" and len(parts) > 1 else None


FILES = [
    path
    for path in sorted((ROOT / "geometry").rglob("*.py"))
    if path.parent != ROOT / "geometry" or path.stem != "__init__"
]
SCRIPTS = sorted((ROOT / "analysis").glob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down(path: Path) -> None:
    own = path.relative_to(ROOT / "geometry").parts[0].removesuffix(".py")
    for module in imports(path):
        assert module not in ("geometry", "analysis"), f"{path} imports the public face from inside"
        other = room(module)
        if other not in (None, own) and (own, other) not in SIDEWAYS:
            assert FLOOR[other] < FLOOR[own], f"{own} must not import {other}"


def test_every_room_has_a_floor() -> None:
    assert {path.relative_to(ROOT / "geometry").parts[0].removesuffix(".py") for path in FILES} <= set(FLOOR)


def test_plots_import_nothing_of_ours_but_the_check_of_arguments() -> None:
    for path in (ROOT / "geometry" / "plots").rglob("*.py"):
        assert {room(module) for module in imports(path)} <= {None, "plots", "arguments"}, path


def test_scripts_stand_on_the_public_face_alone() -> None:
    for path in SCRIPTS:
        ours = {module for module in imports(path) if module.split(".")[0] in ("geometry", "analysis")}
        assert ours <= {"geometry"}, path


def test_no_module_imports_itself_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    for path in FILES:
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        graph[name] = imports(path)
    done: set[str] = set()

    def visit(module: str, above: tuple[str, ...]) -> None:
        assert module not in above, " → ".join((*above, module))
        if module in graph and module not in done:
            for other in graph[module]:
                # A package's own face is lazy: it imports nothing.
                if other != module and graph.get(other) is not None:
                    visit(other, (*above, module))
            done.add(module)

    for module in graph:
        visit(module, ())


def test_no_file_is_long() -> None:
    for path in FILES:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST, path
    for path in SCRIPTS:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 80, path


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_numbers_do_not_depend_on_matplotlib() -> None:
    modules = ", ".join(f"geo.{name}" for name in dir(geo) if name not in ("plots", "report"))
    done = run(f"import sys; sys.modules['matplotlib'] = None; import geometry as geo; print(len([{modules}]))")
    assert done.returncode == 0, done.stderr


HEAVY = ("torch", "transformers", "matplotlib", "sklearn", "pandas", "scipy", "numpy")


@pytest.mark.parametrize(
    "arguments", [[], ["--help"], ["run", "--help"], ["run", "claims", "--help"], ["steer", "--help"]]
)
def test_the_door_is_light(arguments: list[str]) -> None:
    called = f"from geometry.cli.main import main\ntry: main({arguments})\nexcept SystemExit: pass\n"
    done = run(f"import geometry, sys\n{called if arguments else ''}print([n for n in {HEAVY} if n in sys.modules])")
    assert done.stdout.splitlines()[-1] == "[]", done.stdout + done.stderr


def test_the_face_is_small_and_whole() -> None:
    public = [name for name in dir(geo) if not isinstance(getattr(geo, name), ModuleType)]
    assert 30 <= len(public) <= 37, public


def test_help_fits_on_a_page() -> None:
    done = run("import geometry; help(geometry)")
    assert len(done.stdout.splitlines()) <= 80, done.stdout
