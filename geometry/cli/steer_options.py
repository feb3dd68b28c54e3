"""The options of `concept-geometry steer`; light, so that `--help` is quick."""

import argparse
from typing import TYPE_CHECKING

from geometry.cli.parser import finite_number, whole_number

if TYPE_CHECKING:
    from geometry.steering import Site


def add_steer(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to a parser."""
    add = parser.add_argument
    add("prompts", nargs="*", metavar="PROMPT", help="texts to complete")
    add("--model", default="smollm2-135m", help="fetched name, hub id, folder or .gguf file (default: smollm2-135m)")
    says = "a concept's direction, or the concept less its ancestor; may be repeated, each with its --coefficient"
    add("--add", action="append", default=[], metavar="CONCEPT[:ANCESTOR]", help=says)
    add(
        "--coefficient", action="append", type=finite_number, default=[], metavar="C", help="of each --add (default: 2)"
    )
    add("--vector", metavar="FILE", help="instead of --add: a .safetensors or .gguf steering vector")
    add("--hierarchy", default="wordnet-noun", help="where concepts come from (default: wordnet-noun)")
    add("--site", type=_site, help="after_norm (default), before_norm, or a block: output.27, input.5")
    add("--strength", type=finite_number, metavar="R", help="scale to R × the residual norm; needed at blocks")
    choices = ["first", "middle", "last", "all", "prompt", "generated", "front", "back"]
    says = "tokens to steer (default: the prompt's last; its first for a vector with a row for each of several)"
    add("--positions", choices=choices, help=says)
    add("--tokens", type=whole_number(1), default=30, help="new tokens at most (default: 30)")
    add(
        "--completions",
        type=whole_number(1),
        default=1,
        metavar="N",
        help="of each prompt; more than 1 need --temperature",
    )
    add("--temperature", type=finite_number, default=0.0, help="0, the default, takes the most probable token")
    add("--top-p", type=finite_number, default=1.0)
    add("--frequency-penalty", type=finite_number, default=1.0, help="for every time a token has occurred (default: 1)")
    add("--seed", type=whole_number(0), default=0)
    add("--save", metavar="FILE", help="keep the vector: .safetensors, or .gguf for llama.cpp")


def _site(text: str) -> "Site":
    from geometry.errors import SteeringError
    from geometry.steering import Site

    try:
        return Site.parse(text)
    except SteeringError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
