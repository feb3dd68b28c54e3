"""`steer --auto`: site and strength chosen under a bound on KL, and said in a line with what they cost."""

import argparse
import math
import sys
from collections.abc import Callable

import numpy as np

from geometry.causal import CausalSpace
from geometry.cli.placement import placement_of
from geometry.cli.steer_sources import Make, classes_of
from geometry.concepts import ConceptHierarchy, load_hierarchy
from geometry.errors import SteeringError
from geometry.models import Unembedding
from geometry.steering import (
    Architecture,
    Site,
    SteeringVector,
    class_difference,
    class_means,
    contrastive_activation_addition,
)
from geometry.steering.pair_file import load_text_pairs
from geometry.steering.prompts import LanguageModel, Tokenizer
from geometry.tuning import Calibration, TextContrast, Tuned, concept_features, tune
from geometry.tuning.bench import LEAST_BOUND
from geometry.tuning.choosing import BOUND

_FEWEST, _MOST = 4, 8  # sentences or pairs that are divided; texts of a kind that measure the effect
_COMPARED = 23  # other concepts, for the forecast

Choose = Callable[[LanguageModel, Tokenizer], SteeringVector]


def check_auto(options: argparse.Namespace) -> None:
    """SteeringError for what does not go with --auto, or needs it."""
    if not options.auto:
        if options.bound is not None:
            raise SteeringError("--bound says what --auto may cost, and there is no --auto")
        return
    given = {
        "--site": options.site,
        "--strength": options.strength is not None,
        "--coefficient": options.coefficient,
        "--vector": options.vector,
    }
    if clashing := [name for name, value in given.items() if value]:
        raise SteeringError(f"--auto chooses site and strength itself; leave out {', '.join(clashing)}")
    if options.pair:
        raise SteeringError("--auto has no goal for a --pair of texts; give --add, --pairs or --behaviour")
    if len(options.add + options.pairs + options.behaviour) > 1:
        raise SteeringError("--auto chooses for one thing to add, not for several")
    if options.bound is not None and not options.bound >= LEAST_BOUND:
        raise SteeringError(f"--bound is a number of nats such as 0.5, at least {LEAST_BOUND:g}, not {options.bound:g}")


def chooser(options: argparse.Namespace, makes: list[Make]) -> Choose:
    """What makes the vector at the chosen site; bad sources are refused before the model is loaded."""
    bound = BOUND if options.bound is None else options.bound
    if options.add:
        name = options.add[0].partition(":")[0]
        unembedding = Unembedding.load(options.model, **placement_of(options).of_unembedding)
        hierarchy = load_hierarchy(options.hierarchy or "wordnet-noun", unembedding.vocabulary)
        tokens = np.array(hierarchy[name].tokens)

        def of_concept(model: LanguageModel, tokenizer: Tokenizer) -> SteeringVector:
            vector = makes[0](model, tokenizer, None)
            compared = [name, *_unrelated(hierarchy, name)]
            # From a root no concept is left to tell it.
            calibration = Calibration.kept(unembedding, bound) if len(compared) > 1 else None
            if calibration is not None:
                space = CausalSpace.fit(unembedding, **placement_of(options).of_space)
                found = concept_features(model, tokenizer, space, hierarchy, compared, progress=False)
                print(f"forecast from the unsteered model, after the final norm at {bound:g} nats: "
                      f"{calibration.predict(found.of(name))}")  # fmt: skip
            return _said(tune(model, tokenizer, vector, tokens, bound=bound), f"P({name}'s words)")

        return of_concept
    options.positions = options.positions or "all"  # where texts are steered when they measure the effect
    if options.pairs:
        pairs = load_text_pairs(options.pairs[0])
        _check_enough(len(pairs), "pairs", options.pairs[0])

        def of_pairs(model: LanguageModel, tokenizer: Tokenizer) -> SteeringVector:
            vector = contrastive_activation_addition(model, tokenizer, pairs[::2], _blocks(model))
            promoted, suppressed = zip(*pairs[1::2], strict=True)
            goal = TextContrast(promoted[:_MOST], suppressed[:_MOST])
            return _said(tune(model, tokenizer, vector, goal, bound=bound), _GAIN)

        return of_pairs
    texts, name = classes_of(options.behaviour[0])
    for label, each in texts.items():
        _check_enough(len(each), "sentences", f"class {label}")

    def of_class(model: LanguageModel, tokenizer: Tokenizer) -> SteeringVector:
        means = class_means(model, tokenizer, {label: each[::2] for label, each in texts.items()}, _blocks(model))
        rest = [each[1::2] for label, each in texts.items() if label != name]
        # In turn, so that every other class is among the few.
        others = [text for row in zip(*rest, strict=False) for text in row]
        goal = TextContrast(texts[name][1::2][:_MOST], others[:_MOST])
        return _said(tune(model, tokenizer, class_difference(means, name), goal, bound=bound), _GAIN)

    return of_class


def _unrelated(hierarchy: ConceptHierarchy, name: str) -> list[str]:
    """Some of the lowest concepts that do not lie below it, evenly spaced, from which the lens tells it."""
    below = {name} | hierarchy.descendants(name)
    above = {other for other in hierarchy.names if name in hierarchy.descendants(other)}
    lowest = [other for other in hierarchy.names if not hierarchy.children.get(other) and other not in below | above]
    return lowest[:: max(1, len(lowest) // _COMPARED)][:_COMPARED]


_GAIN = "gain of the held-out half of the texts, nats a token,"


def _blocks(model: LanguageModel) -> list[Site]:
    return [Site("output", block) for block in range(len(Architecture.of(model).blocks))]


def _check_enough(count: int, what: str, where: str) -> None:
    if count < _FEWEST:
        raise SteeringError(
            f"--auto makes the vector of half of the {what} and measures it on the other half: {where} has {count},"
            f" and {_FEWEST} are needed"
        )


def _said(tuned: Tuned, goal: str) -> SteeringVector:
    """The chosen vector; what was chosen is printed, and notes to standard error."""
    unit = "" if tuned.site.block is None else " × residual norm"
    low, high = tuned.interval
    interval = f" [{low:.3g}, {high:.3g}] (95%)" if math.isfinite(low) else ""  # of few texts there is none
    kind = "texts" if goal == _GAIN else "prompts"
    print(
        f"auto: {tuned.site} at strength {tuned.strength:.3g}{unit}; {goal} {tuned.unsteered.mean():.3g} →"
        f" {tuned.effect:.3g}{interval}, KL {tuned.cost:.2f} of {tuned.bound:g} nats on"
        f" {tuned.n_prompts} neutral {kind}; {tuned.passes:,} forward passes, where every block at 8 strengths takes"
        f" {tuned.exhaustive_passes:,}"
    )
    for note in tuned.notes:
        if note not in tuned.vector.notes:
            print(f"note: {note}", file=sys.stderr)
    return tuned.vector
