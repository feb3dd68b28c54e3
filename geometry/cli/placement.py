"""`--device` and `--dtype`, of commands that are not made from the fields of a study."""

import argparse

from geometry.models.placement import DEVICE, DEVICE_SAYS, DTYPE, DTYPE_SAYS, DTYPES, Placement


def add_placement(parser: argparse.ArgumentParser) -> None:
    """Add both options to a parser."""
    parser.add_argument("--device", default=DEVICE, metavar="DEVICE", help=f"{DEVICE_SAYS} (default: {DEVICE})")
    parser.add_argument("--dtype", default=DTYPE, choices=DTYPES, help=f"{DTYPE_SAYS} (default: {DTYPE})")


def placement_of(options: argparse.Namespace) -> Placement:
    """What was given, checked: EstimationError for a device that is not here."""
    return Placement(options.device, options.dtype)
