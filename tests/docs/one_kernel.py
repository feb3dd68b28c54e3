"""`python -m tests.docs.one_kernel …` is sphinx-build with all tutorials in one kernel: torch is imported once.

A tutorial finds there no name of those before it. What stays is what is imported, and the default model.
"""

import sys
from typing import Any

from jupyter_cache.executors import utils
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync
from nbclient import NotebookClient
from nbformat import NotebookNode
from sphinx.cmd.build import main

FRESH = """
import functools, os, geometry
os.chdir({folder!r})
if not hasattr(geometry.load_model, "cache_info"):
    geometry.load_model = functools.cache(geometry.load_model)
get_ipython().reset()
"""


def build(arguments: list[str]) -> int:
    kernel = AsyncKernelManager(kernel_name="python3")

    def execute(notebook: NotebookNode, cwd: str, **options: Any) -> None:
        client = NotebookClient(notebook, resources={"metadata": {"path": cwd}}, km=kernel, **options)
        first = next(cell for cell in notebook.cells if cell.cell_type == "code")
        written = first.source
        first.source = FRESH.format(folder=cwd) + written
        try:
            client.execute()
        finally:
            first.source = written
            client.kc.stop_channels()

    utils.executenb = execute
    try:
        return main(arguments)
    finally:
        run_sync(kernel.shutdown_kernel)(now=True)


if __name__ == "__main__":
    sys.exit(build(sys.argv[1:]))
