"""Arguments of commands, refused in one line."""

import argparse
from typing import NoReturn

__all__ = ["OneLineParser"]


class OneLineParser(argparse.ArgumentParser):
    """Refuses bad arguments in one line, as all other bad input is refused."""

    def error(self, message: str) -> NoReturn:
        """Exit with status 2 and one line on standard error."""
        self.exit(2, f"error: {message}; see {self.prog} --help\n")
