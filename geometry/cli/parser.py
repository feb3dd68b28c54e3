"""Arguments of commands and errors of work, refused in one line."""

import argparse
import sys
from collections.abc import Callable
from typing import NoReturn

from geometry.errors import GeometryError


class OneLineParser(argparse.ArgumentParser):
    """Refuses bad arguments in one line, as all other bad input is refused."""

    def error(self, message: str) -> NoReturn:
        """Exit with status 2 and one line on standard error."""
        self.exit(2, f"error: {message}; see {self.prog} --help\n")


def one_line(work: Callable[[], object]) -> int:
    """Do the work; 0, or 2 with one line on standard error for bad input, 130 when interrupted."""
    try:
        work()
    except (GeometryError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; nothing was left half-written, run the same command again", file=sys.stderr)
        return 130
    return 0
