"""`concept-geometry steer`: compose a steering vector, or read one from a file, and generate with and without it."""

import argparse
import operator
import sys
import warnings
from functools import reduce
from pathlib import Path

from geometry.cli.placement import placement_of
from geometry.cli.steer_auto import check_auto, chooser
from geometry.cli.steer_condition import condition, said
from geometry.cli.steer_erase import check_erase, maker
from geometry.cli.steer_sources import Make, sources
from geometry.errors import SteeringError
from geometry.models import load_model, require_language_model
from geometry.steering import (
    Architecture,
    Eraser,
    Positions,
    SteeringVector,
    encode,
    generate,
    load_prompts,
    load_vector,
    save_eraser,
    save_vector,
    steer,
    to_absolute,
)
from geometry.steering.block_outputs import of_ending
from geometry.steering.chat import chat_prompts
from geometry.steering.positions import checked_positions
from geometry.steering.prompts import LanguageModel, Tokenizer
from geometry.steering.vector_file import check_ending

_COEFFICIENT = 2.0
# By --auto and --erase: what would do more.
_HINTS = {
    (False, False): "; a larger --coefficient or other --positions, such as all, do more",
    (True, False): "; a larger --bound or other --positions, such as all, do more",
    (False, True): "; what is erased is not what these prompts turn on",
}


def run_steer(options: argparse.Namespace) -> None:
    """Print each prompt's completions, unsteered and steered; GeometryError for bad input, before the model runs."""
    _check(options)
    place = placement_of(options)
    require_language_model(options.model)
    erase = maker(options) if options.erase else None
    kept = load_vector(options.vector) if options.vector else None
    makes = [] if kept is not None or erase is not None else sources(options)
    choose = chooser(options, makes) if options.auto else None
    make_condition = condition(options)
    if kept is not None:
        _positions(options, kept)  # refuses what does not suit before the model is loaded
    model, tokenizer = load_model(options.model, **place.of_model)
    prompts = chat_prompts(tokenizer, options.prompts) if options.chat else options.prompts
    vector: SteeringVector | Eraser
    if erase is not None:
        vector = erase(model, tokenizer)
    elif choose is not None:
        vector = choose(model, tokenizer)
    else:
        vector = kept if kept is not None else _composed(options, makes, model, tokenizer)
    positions = _positions(options, vector)
    for note in (*vector.notes, *(encode(tokenizer, prompts, bos=vector.bos).notes if prompts else ())):
        print(f"note: {note}", file=sys.stderr)
    if options.strength is not None and len(set(options.coefficient)) == 1:
        print("note: --strength sets the size of the whole, whatever one --coefficient of all is", file=sys.stderr)
    if options.save:
        _save(options, vector, model, tokenizer, prompts)
    if not prompts:
        return

    sampling = {name: getattr(options, name) for name in ("temperature", "top_p", "frequency_penalty", "seed")}
    sampling |= {"max_new_tokens": options.tokens, "num_return_sequences": options.completions, "bos": vector.bos}
    when = None if make_condition is None else make_condition(vector, model, tokenizer)
    with warnings.catch_warnings(), steer(model, vector, positions=positions, when=when) as handle:
        warnings.filterwarnings("ignore", ".* never held")  # of a condition: it is said below
        steered = generate(model, tokenizer, prompts, **sampling)
    if when is not None:
        print(f"note: {said(when, handle.fired, handle.asked, handle.acted)}", file=sys.stderr)
    unsteered = generate(model, tokenizer, prompts, **sampling)
    if steered == unsteered and (when is None or handle.acted):
        print(f"note: no text changed{_HINTS[options.auto, bool(options.erase)]}", file=sys.stderr)
    rank = f" (rank {vector.rank} of {vector.width})" if isinstance(vector, Eraser) else ""
    print(f"{vector.provenance}{rank}, at {_places(options, vector, model)}")
    steered_label = "erased" if options.erase else "steered"
    for prompt, before, after in zip(options.prompts, unsteered, steered, strict=True):
        print(f"\n{prompt}")
        for label, generated in (("unsteered", before), (steered_label, after)):
            for generation in generated:
                print(f"  {label:<10} {' '.join(generation.text.split())}")


def _check(options: argparse.Namespace) -> None:
    """What can be known to be wrong without a look at any file."""
    given = [options.add, options.pair, options.pairs, options.behaviour, options.vector, options.erase]
    if sum(map(bool, given)) != 1:
        raise SteeringError(
            "say what to add: --add CONCEPT, --pair TEXT LESS, --pairs FILE, --behaviour FAMILY:CLASS/CLASS or --vector"
            " FILE, of one kind; or what to take out: --erase CONCEPT"
        )
    check_erase(options)
    if options.vector and (options.coefficient or options.site or options.strength is not None):
        raise SteeringError("--coefficient, --site and --strength go with what is made here; a file holds its own")
    check_auto(options)
    if options.hierarchy and not options.add and not options.erase and options.when is None:
        raise SteeringError("--hierarchy says where the concepts of --add and --when come from, and there is neither")
    added = len(options.add + options.pair + options.pairs + options.behaviour)
    if len(options.coefficient) not in (0, 1, added):
        raise SteeringError(f"{added} to add: give --coefficient once or as often, not {len(options.coefficient)}")
    if not options.prompts and not options.save:
        raise SteeringError('give a prompt to complete, such as "In the garden I saw a", or --save FILE')
    if not all(prompt.strip() for prompt in options.prompts):
        raise SteeringError("an empty prompt cannot be steered")
    if options.completions > 1 and not options.temperature:
        raise SteeringError("more than one of --completions would all be the same: add --temperature, such as 0.8")
    if options.save:
        check_ending(options.save)
        if not (folder := Path(options.save).parent).is_dir():
            raise SteeringError(f"--save {options.save}: there is no folder {folder}; make it, or save elsewhere")


def _composed(
    options: argparse.Namespace, makes: list[Make], model: LanguageModel, tokenizer: Tokenizer
) -> SteeringVector:
    coefficients = options.coefficient or [_COEFFICIENT]
    if len(coefficients) == 1:
        coefficients = coefficients * len(makes)
    parts = [make(model, tokenizer, options.site) for make in makes]
    vector = reduce(operator.add, map(operator.mul, coefficients, parts))
    return vector if options.strength is None else vector.relative(options.strength)


def _positions(options: argparse.Namespace, vector: SteeringVector | Eraser) -> Positions | None:
    """The positions asked for, if they suit the vector; None: its default."""
    positions: Positions | None = options.positions
    if isinstance(vector, Eraser):
        return positions
    for part in vector.parts.values():
        checked_positions(positions, len(part) if part.ndim == 2 else None)
    return positions


def _save(
    options: argparse.Namespace,
    vector: SteeringVector | Eraser,
    model: LanguageModel,
    tokenizer: Tokenizer,
    prompts: list[str],
) -> None:
    if isinstance(vector, Eraser):
        print(f"saved {save_eraser(vector, options.save)}")
        return
    kind = of_ending(options.save)
    if kind is not None and not kind.relative and any(site.relative for site in vector.sites):
        vector = to_absolute(vector, model, tokenizer, prompts or load_prompts("neutral").beginnings)
    print(f"saved {save_vector(vector, options.save)}")


def _places(options: argparse.Namespace, vector: SteeringVector | Eraser, model: LanguageModel) -> str:
    places = f"{', '.join(map(str, vector.sites))} of {len(Architecture.of(model).blocks)} blocks"
    chosen = options.auto or options.site or options.add or options.vector or options.erase
    return places if chosen else f"{places}, the middle one; --site chooses another"
