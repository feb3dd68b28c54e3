"""`concept-geometry steer --erase`: concepts taken out of the residual stream, or an eraser from a file."""

import argparse
from collections.abc import Callable
from pathlib import Path

from geometry.cli.placement import placement_of
from geometry.concepts import load_hierarchy
from geometry.errors import SteeringError
from geometry.layers import concept_eraser
from geometry.layers.block_vectors import steerable
from geometry.models import Unembedding
from geometry.steering import Eraser, load_eraser
from geometry.steering.prompts import LanguageModel, Tokenizer

_ENDING = ".safetensors"

Make = Callable[[LanguageModel, Tokenizer], Eraser]


def check_erase(options: argparse.Namespace) -> None:
    """SteeringError for what does not go with --erase, or needs it."""
    if not options.erase:
        return
    given = {
        "--coefficient": options.coefficient,
        "--strength": options.strength is not None,
        "--auto": options.auto,
    }
    if clashing := [name for name, value in given.items() if value]:
        raise SteeringError(f"--erase takes a concept out whole and has no strength; leave out {', '.join(clashing)}")
    if options.save and Path(options.save).suffix.lower() != _ENDING:
        raise SteeringError(f"--save {options.save}: erasers are kept in {_ENDING} files")
    files = [name for name in options.erase if name.lower().endswith(_ENDING)]
    if files and (len(options.erase) > 1 or options.site is not None or (options.hierarchy and options.when is None)):
        raise SteeringError(f"--erase {files[0]}: a file holds its own concepts and site; give it alone")
    if not files:
        if options.site is None:
            raise SteeringError("--erase needs a site, such as --site 15 (the output of block 15)")
        steerable(options.site)


def maker(options: argparse.Namespace) -> Make:
    """What gives the eraser; unknown concepts and files are refused before the model is loaded."""
    if options.erase[0].lower().endswith(_ENDING):
        eraser = load_eraser(options.erase[0])
        return lambda *_: eraser
    unembedding = Unembedding.load(options.model, **placement_of(options).of_unembedding)
    hierarchy = load_hierarchy(options.hierarchy or "wordnet-noun", unembedding.vocabulary)
    for name in options.erase:
        hierarchy.index(name)

    def make(model: LanguageModel, tokenizer: Tokenizer) -> Eraser:
        return concept_eraser(model, tokenizer, hierarchy, options.erase, site=options.site, seed=options.seed)

    return make
