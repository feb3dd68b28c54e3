"""Another program that ends when we do, however that is."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

# Starts the program and waits on its own input, which the system closes with whoever holds the other end.
_KEEPER = """
import os, signal, subprocess, sys, threading
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
def end():
    sys.stdin.buffer.read()
    if hasattr(os, "killpg"):
        os.killpg(0, signal.SIGKILL)
    child.kill()
    os._exit(1)
threading.Thread(target=end, daemon=True).start()
os._exit(child.wait() & 255)
"""
_LONGEST = 1_000_000


def run_child(command: Sequence[str], environment: Mapping[str, str], folder: Path | None = None) -> tuple[int, str]:
    """Run a program to its end; returns its status and what it said on standard error, whose last part is kept.

    It and all that it starts are killed when the caller is interrupted or ends. Its standard output is shown on a
    terminal alone. OSError: it cannot be started.
    """
    shown = None if sys.stderr.isatty() else subprocess.DEVNULL
    keeper = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _KEEPER, *command],
        stdin=subprocess.PIPE,
        stdout=shown,
        stderr=subprocess.PIPE,
        env=dict(environment),
        cwd=folder,
        start_new_session=True,
    )
    with keeper:
        try:
            said = b""
            while chunk := keeper.stderr.read1(1 << 16):  # type: ignore[union-attr]
                said = (said + chunk)[-_LONGEST:]
            keeper.wait()
        finally:
            # A group of its own, which a Ctrl-C in a terminal does not reach.
            if keeper.poll() is None:
                _kill(keeper)
    return keeper.returncode, said.decode("utf-8", "replace")


def _kill(keeper: "subprocess.Popen[bytes]") -> None:
    if hasattr(os, "killpg"):
        os.killpg(keeper.pid, signal.SIGKILL)
    else:
        keeper.kill()
