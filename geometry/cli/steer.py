"""`concept-geometry steer`: compose concepts, or read a vector from a file, and generate with and without it."""

import argparse
import operator
import sys
from functools import reduce

from geometry.causal import CausalSpace
from geometry.concepts import load_hierarchy
from geometry.directions import ConceptDirections
from geometry.errors import SteeringError
from geometry.models import Unembedding, load_model, require_language_model
from geometry.steering import (
    Architecture,
    ConceptSteering,
    Positions,
    Site,
    SteeringVector,
    encode,
    generate,
    load_prompts,
    load_vector,
    pull_back,
    save_vector,
    steer,
    to_absolute,
)
from geometry.steering.positions import checked_positions


def run_steer(options: argparse.Namespace) -> None:
    """Print each prompt's completions, unsteered and steered; GeometryError for bad input, before the model runs."""
    if bool(options.add) == bool(options.vector):
        raise SteeringError("say what to add: --add CONCEPT (one or more) or --vector FILE")
    if options.vector and (options.coefficient or options.site or options.strength is not None):
        raise SteeringError("--coefficient, --site and --strength go with --add; a file holds its own")
    if not options.prompts and not options.save:
        raise SteeringError('give a prompt to complete, such as "In the garden I saw a", or --save FILE')
    if not all(prompt.strip() for prompt in options.prompts):
        raise SteeringError("an empty prompt cannot be steered")
    site = options.site or Site("after_norm")
    if site.block is not None and options.strength is None and not options.vector:
        raise SteeringError(f"at {site} the strength is a choice of yours: add --strength, such as 1")
    if options.save and options.save.lower().endswith(".gguf") and site.block is None and options.add:
        raise SteeringError("a .gguf control vector acts on the outputs of blocks: add --site output.27 --strength 1")
    require_language_model(options.model)
    vector = load_vector(options.vector) if options.vector else _composed(options)
    rows = [len(part) if part.ndim == 2 else None for part in vector.parts.values()]
    positions: Positions | None = options.positions or ("last" if rows == [None] * len(rows) else None)
    for count in rows:
        checked_positions(positions, count)  # refuses what does not suit before the model is loaded
    model, tokenizer = load_model(options.model)
    if options.add and site != Site("after_norm"):
        vector = pull_back(vector, model, site)
    if options.strength is not None:
        vector = vector.relative(options.strength)
    notes = [*vector.notes, *(encode(tokenizer, options.prompts, bos=vector.bos).notes if options.prompts else ())]
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    if options.save:
        kept = vector
        if options.save.lower().endswith(".gguf") and any(part.relative for part in vector.sites):
            prompts = options.prompts or load_prompts("neutral").beginnings
            kept = to_absolute(vector, model, tokenizer, prompts)
        print(f"saved {save_vector(kept, options.save)}")
    if not options.prompts:
        return

    sampling = {name: getattr(options, name) for name in ("temperature", "top_p", "frequency_penalty", "seed")}
    sampling |= {"max_new_tokens": options.tokens, "num_return_sequences": options.completions, "bos": vector.bos}
    with steer(model, vector, positions=positions):
        steered = generate(model, tokenizer, options.prompts, **sampling)
    unsteered = generate(model, tokenizer, options.prompts, **sampling)
    print(f"{vector.provenance}, at {', '.join(map(str, vector.sites))} of {len(Architecture.of(model).blocks)} blocks")
    for prompt, before, after in zip(options.prompts, unsteered, steered, strict=True):
        print(f"\n{prompt}")
        for label, generated in (("unsteered", before), ("steered", after)):
            for generation in generated:
                print(f"  {label:<10} {' '.join(generation.text.split())}")


def _composed(options: argparse.Namespace) -> SteeringVector:
    coefficients = options.coefficient or [2.0]
    if len(coefficients) == 1:
        coefficients = coefficients * len(options.add)
    if len(coefficients) != len(options.add):
        raise SteeringError(f"{len(options.add)} --add need one --coefficient or as many, not {len(coefficients)}")
    unembedding = Unembedding.load(options.model)
    hierarchy = load_hierarchy(options.hierarchy, unembedding.vocabulary)
    named = [entry.partition(":") for entry in options.add]
    for concept in (part for name, _, ancestor in named for part in (name, ancestor or name)):
        hierarchy.index(concept)  # refuses unknown names before anything is fitted
    space = CausalSpace.fit(unembedding)
    concepts = ConceptSteering(space, ConceptDirections.fit(space, hierarchy))
    parts = [concepts.child(name, of=ancestor) if ancestor else concepts[name] for name, _, ancestor in named]
    return reduce(operator.add, map(operator.mul, coefficients, parts))
