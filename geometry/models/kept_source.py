"""Run as a program: pip, but a source package is copied as it is, and nothing of it unpacked, built or run.

python -P kept_source.py FOLDER download ...

pip has no option for that: it asks a source package for its metadata, which runs the package. It opens the archive once
its hash has been found right; here that ends the work. Should a pip ever go another way, it cannot start a process.
"""

import os
import runpy
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any, NoReturn


def main() -> None:
    """Run pip until it opens the archive."""
    folder, *arguments = sys.argv[1:]

    def keep(name: str, *_: Any, **__: Any) -> NoReturn:
        shutil.copy(name, Path(folder) / Path(name).name)
        os._exit(0)

    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise OSError("a source package is to be copied, not run")

    tarfile.open = keep  # type: ignore[assignment]
    subprocess.Popen.__init__ = refuse  # type: ignore[method-assign]
    sys.argv = ["pip", *arguments]
    runpy.run_module("pip", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
