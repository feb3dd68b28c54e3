"""The page on many checkpoints: what it shows to schedulers runs, with a command that only notes how it was called."""

import ast
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import geometry as geo

PAGE = (Path(__file__).parents[2] / "docs" / "many-checkpoints.md").read_text(encoding="utf-8")
BLOCKS = [code for _, code in re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)]
NAMES = ["lab/tiny@step1", "missing", "lab/tiny@step20"]
# As the console command leaves it: a folder with results, or a line and exit code 2.
COMMAND = """#!/bin/sh
echo "$OMP_NUM_THREADS $*" >> calls
case "$*" in *missing*) echo "error: unknown model" >&2; exit 2;; esac
for folder; do :; done
mkdir -p "$folder" && echo done > "$folder/results.json"
"""


def block(holds: str) -> str:
    (code,) = [code for code in BLOCKS if holds in code]
    assert len(code.splitlines()) <= 15
    return code


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "concept-geometry"
    command.write_text(COMMAND)
    command.chmod(0o755)
    (tmp_path / "checkpoints.txt").write_text("\n".join(NAMES) + "\n")
    (tmp_path / "claims.py").write_text(block("def run(checkpoint)"))
    monkeypatch.setenv("PATH", f"{command.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ran(folder: Path) -> dict[str, list[str]]:
    """Every checkpoint that was run → the arguments, which the command itself must take; results of all that can be."""
    calls = [line.split()[1:] for line in (folder / "calls").read_text().splitlines()]
    found = {words[2]: words for words in calls if words[:2] == ["run", "claims"]}
    assert sorted(found) == sorted(NAMES)
    for name, words in found.items():
        assert words[-1] == f"runs/{name}"
        assert (folder / "runs" / name / "results.json").exists() == (name != "missing")
    return found


def shell(code: str, **environment: str) -> int:
    command = ["bash", "-c", code]
    return subprocess.run(command, env={**os.environ, **environment}).returncode


def python(code: str) -> object:
    """What the lines have in `codes` at their end."""
    Path("submit.py").write_text(f"{code}\n{' ' * 4 * ('__main__' in code)}print(codes)\n")
    done = subprocess.run([sys.executable, "submit.py"], capture_output=True, text=True, check=True)
    return ast.literal_eval(done.stdout.splitlines()[-1])


def test_the_list_has_every_checkpoint_of_pythia(folder: Path) -> None:
    assert shell(block("seq 1000")) == 0
    lines = (folder / "checkpoints.txt").read_text().splitlines()
    assert len(set(lines)) == 154
    assert {"EleutherAI/pythia-70m@step0", "EleutherAI/pythia-70m@step143000"} < set(lines)


def test_one_that_fails_does_not_stop_the_loop(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shell(block("while read"))
    calls = ran(folder)
    assert (folder / "calls").read_text().splitlines()[-1].endswith("collect runs")
    (left,) = re.findall(r"`(while read.*?)`", PAGE, re.DOTALL)
    assert shell(f"{left} > left.txt") == 0
    assert (folder / "left.txt").read_text() == "missing\n"
    monkeypatch.setattr(sys.modules[geo.cli.main.__module__], "_run", lambda _: None)
    for words in calls.values():
        assert geo.cli.main(words) == 0


def test_xargs_and_the_array_of_slurm_run_every_line(folder: Path) -> None:
    assert shell(block("xargs")) == 123  # one has failed
    assert ran(folder)
    shutil.rmtree(folder / "runs")
    (folder / "calls").unlink()
    script = block("#SBATCH")
    assert script.startswith("#!/bin/bash\n#SBATCH ")
    codes = [shell(script, SLURM_ARRAY_TASK_ID=str(task), SLURM_CPUS_PER_TASK="7") for task in (1, 2, 3)]
    assert codes == [0, 2, 0]
    assert ran(folder)
    assert {line.split()[0] for line in (folder / "calls").read_text().splitlines()} == {"7"}


@pytest.mark.parametrize("library", ["joblib", "submitit", "dask.distributed"])
def test_functions_are_mapped_by_what_is_installed(library: str, folder: Path) -> None:
    code = block(f"{library} import" if library != "submitit" else "import submitit")
    compile(code, library, "exec")
    if find_spec(library.split(".")[-1]) is None:
        pytest.skip(f"{library} is not installed: its lines are only compiled")
    assert python(code) == {name: 2 * (name == "missing") for name in NAMES}
    assert ran(folder)


def test_snakemake_goes_on_past_a_failure(folder: Path) -> None:
    (folder / "Snakefile").write_text(block("rule claims"))
    command = next(line for line in PAGE.splitlines() if line.startswith("snakemake --keep"))
    if shutil.which("snakemake") is None:
        assert "--keep-going" in command
        pytest.skip("snakemake is not installed")
    assert shell(command) == 1
    assert ran(folder)
