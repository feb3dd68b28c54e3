"""The options of `concept-geometry steer`; light, so that `--help` is quick."""

import argparse
from typing import TYPE_CHECKING

from geometry.cli.parser import finite_number, whole_number
from geometry.cli.placement import add_placement

if TYPE_CHECKING:
    from geometry.steering import Site


def add_steer(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to a parser."""
    add = parser.add_argument
    add("prompts", nargs="*", metavar="PROMPT", help="texts to complete")
    add("--model", default="smollm2-135m", help="fetched name, hub id, folder or .gguf file (default: smollm2-135m)")
    _add_sources(parser.add_argument_group("what to add or take out, of one kind; all but --vector may be repeated"))
    says = "of what is added, or one for each (default: 2)"
    add("--coefficient", action="append", type=finite_number, default=[], metavar="C", help=says)
    says = "15 (output of block 15), input.15, before_norm, after_norm (default: for concepts, else the middle block)"
    add("--site", type=_site, help=says)
    add(
        "--strength",
        type=finite_number,
        metavar="R",
        help="scale to R × the residual norm; needed for concepts at blocks",
    )
    says = "choose site and strength: the greatest effect within --bound; for one --add, --pairs or --behaviour"
    add("--auto", action="store_true", help=says)
    says = "what --auto may cost: KL(steered ‖ unsteered) on neutral prompts (default: 0.5)"
    add("--bound", type=finite_number, metavar="NATS", help=says)
    choices = ["first", "middle", "last", "all", "prompt", "generated", "front", "back"]
    says = "tokens to steer (default: the prompt's last; its first for a vector with a row for each of several)"
    add("--positions", choices=choices, help=says)
    says = "act on tokens about to name a concept or what is below it, or on prompts like the positive ones of a .csv"
    add("--when", metavar="CONCEPT|FILE", help=says)
    add("--when-site", type=_site, metavar="SITE", help="where that is read (default: where the vector acts first)")
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
    add_placement(parser)
    add("--chat", action="store_true", help="put the prompts to the model as a user's turn, by its chat template")
    add(
        "--save",
        metavar="FILE",
        help="keep the vector: .safetensors, .gguf (llama.cpp), .json (vllm-lens), .pt (hotwire)",
    )


def _add_sources(group: "argparse._ArgumentGroup") -> None:
    add = group.add_argument
    says = "a concept's direction, or the concept less its ancestor"
    add("--add", action="append", default=[], metavar="CONCEPT[:ANCESTOR]", help=says)
    says = "where concepts come from: wordnet-noun (default), wordnet-verb, organisms, or a YAML file"
    add("--hierarchy", metavar="HIERARCHY", help=says)
    says = "activation addition: the first text less the second, token by token"
    add("--pair", action="append", nargs=2, default=[], metavar=("TEXT", "LESS"), help=says)
    says = "contrastive activation addition: .csv or .jsonl with the columns or keys positive and negative"
    add("--pairs", action="append", default=[], metavar="FILE", help=says)
    says = "the mean of a class less that of another, or of all others: aggression:hostile/peaceful, or of a YAML file"
    add("--behaviour", action="append", default=[], metavar="FAMILY:CLASS[/CLASS]", help=says)
    says = "take out what tells a concept's words, and what is below it, from others, at --site; or a saved eraser"
    add("--erase", action="append", default=[], metavar="CONCEPT|FILE", help=says)
    add("--vector", metavar="FILE", help="a .safetensors, .gguf or .svec steering vector, as it is")


def _site(text: str) -> "Site":
    from geometry.errors import SteeringError
    from geometry.steering import Site

    try:
        return Site.parse(text)
    except SteeringError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
