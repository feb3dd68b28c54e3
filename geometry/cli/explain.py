"""`concept-geometry explain`: what a steering vector says, in words and concepts, and one picture of it."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from geometry.cli.parser import whole_number
from geometry.cli.placement import add_placement, placement_of
from geometry.errors import SteeringError, visible

if TYPE_CHECKING:
    from geometry.steering import SteeringVector


def add_explain(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to a parser."""
    add = parser.add_argument
    add("vector", metavar="VECTOR", help="a .safetensors, .gguf or .svec steering vector, such as steer --save writes")
    says = "fetched name, hub id, folder or .gguf file that the vector is for (default: smollm2-135m)"
    add("--model", default="smollm2-135m", help=says)
    says = "concepts: wordnet-noun (default), wordnet-verb, organisms, or a YAML file"
    add("--hierarchy", default="wordnet-noun", metavar="HIERARCHY", help=says)
    add("--site", help="which part, of a vector with several, such as output.20 (default: the middle one)")
    says = "file of pairs of texts, .csv or .jsonl as of steer --pairs: what differs within them at the vector's site"
    add("--pairs", type=Path, metavar="FILE", help=says)
    add("--random", type=whole_number(19), default=99, metavar="N", help="vectors of the null beside it (default: 99)")
    add("--seed", type=whole_number(0), default=0)
    add("--save", type=Path, metavar="FILE", help="draw the picture: .png, .svg or .pdf")
    add_placement(parser)


def run_explain(options: argparse.Namespace) -> None:
    """Read the vector, print what it says, draw it."""
    from geometry.anatomy import explain
    from geometry.anatomy.components import FEWEST
    from geometry.causal import CausalSpace
    from geometry.concepts import load_hierarchy
    from geometry.directions import ConceptDirections
    from geometry.models import Unembedding, load_model
    from geometry.steering import Architecture, load_text_pairs, load_vector

    if options.save is not None and options.save.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise SteeringError(f"{options.save}: a picture is a .png, .svg or .pdf file")
    if options.save is not None and not options.save.parent.is_dir():
        raise SteeringError(f"{options.save}: no folder {options.save.parent}; make it first, or save elsewhere")
    place = placement_of(options)
    vector = _part_of(load_vector(options.vector), options.site)
    pairs = None if options.pairs is None else load_text_pairs(options.pairs)
    if pairs is not None and len(pairs) < FEWEST:
        raise SteeringError(
            f"{options.pairs}: {len(pairs)} pairs have no components to speak of; give {FEWEST} at least"
        )
    unembedding = Unembedding.load(options.model, **place.of_unembedding)
    if vector.width != unembedding.matrix.shape[1]:
        width = unembedding.matrix.shape[1]
        raise SteeringError(f"{options.vector} is {vector.width} wide, {options.model} {width}; give its own --model")
    if not any(bool(part.any()) for part in vector.parts.values()):
        raise SteeringError(f"{options.vector}: a zero vector says nothing")
    hierarchy = load_hierarchy(options.hierarchy, unembedding.vocabulary)
    model, tokenizer = None, None
    if pairs is not None or vector.sites[0].place != "after_norm":
        model, tokenizer = load_model(options.model, **place.of_model)
        Architecture.of(model).check(vector.sites[0])
    space = CausalSpace.fit(unembedding, **place.of_space)
    directions = ConceptDirections.fit(space, hierarchy)
    reading = explain(
        vector, space, directions, model, pairs=pairs, tokenizer=tokenizer, n_random=options.random, seed=options.seed
    )
    print(visible(str(reading)))
    if options.save is not None:
        from geometry.output import replacing

        with replacing(options.save) as path:
            reading.plot().savefig(path, format=options.save.suffix[1:].lower())
        print(visible(f"{options.save}: written"))


def _part_of(vector: "SteeringVector", site: str | None) -> "SteeringVector":
    """The part at a site, or the middle one."""
    from dataclasses import replace

    from geometry.steering import Site

    place = vector.sites[len(vector.sites) // 2]
    if site is not None:
        asked = Site.parse(site)
        found = [each for each in vector.sites if replace(each, relative=False) == replace(asked, relative=False)]
        if not found:
            raise SteeringError(f"--site {site}: the vector has parts at {', '.join(map(str, vector.sites))}")
        place = found[0]
    return replace(vector, parts={place: vector[place]})
