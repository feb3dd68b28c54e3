"""`geo.tune`: the best site and strength of a vector under a bound on what it costs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from geometry.arguments import checked
from geometry.errors import SteeringError
from geometry.steering.architecture import Architecture
from geometry.steering.final_norm import pull_back
from geometry.steering.prompts import LanguageModel, Tokenizer, load_prompts
from geometry.steering.vector import Site, SiteLike, SteeringVector, depth
from geometry.tuning.bench import Bench, CostName, check_measure
from geometry.tuning.goals import Goal, TextContrast
from geometry.tuning.search import STRENGTHS, best, exhaustive, guided
from geometry.tuning.tuned import Tuned

if TYPE_CHECKING:
    from geometry.tuning.calibration import Prediction

BOUND = 0.5  # nats
N_PROMPTS = 12
_FEWEST_TRIALS = 8  # of models of few blocks
_AFTER_NORM = Site("after_norm")


@checked(goal=object)
def tune(
    model: LanguageModel,
    tokenizer: Tokenizer,
    vectors: SteeringVector | Mapping[SiteLike, SteeringVector],
    goal: Goal,
    *,
    prompts: Sequence[str] | None = None,
    bound: float = BOUND,
    measure: CostName = "kl",
    texts: Sequence[str] | None = None,
    n_passes: int | None = None,
    search: Literal["guided", "exhaustive"] = "guided",
    forecast: "Prediction | None" = None,
) -> Tuned:
    """The site and the strength with the greatest effect whose cost stays within a bound.

    Example::

        concepts = geo.ConceptSteering(space, directions)
        tuned = geo.tune(model, tokenizer, concepts["bird"], hierarchy["bird"].tokens)
        with geo.steer(model, tuned.vector, positions="last"):
            model.generate(...)

    Parameters:
        vectors: the candidates. A vector with one part at "after_norm", as `ConceptSteering` makes them, is tried there
            and pulled back to the output of every block; one with parts of shape (d,) at several sites, as
            `class_difference` or `contrastive_activation_addition` at all blocks, at each of them alone; a mapping of
            site to vector says all candidates. At blocks they are taken in units of the residual norm.
        goal: ids of tokens, whose summed probability after the prompts is the effect; a `TextContrast`, whose promoted
            texts are to become more probable than its suppressed ones; or a function of next-token laws, log P(y |
            prompt) of shape (n, V), that gives n numbers.
        prompts: n beginnings of sentences to choose on; default, every fourth of the packaged neutral ones (12). Report
            results on others.
        bound: nats of the cost, on average over prompts. At the default, 0.5, the ten concepts of the study of tuning
            become 33 to 270 times as probable, and vectors at every token raise the perplexity of neutral text by 3 to
            40% (SmolLM2-135M).
        measure: "kl", the mean of KL(steered ‖ unsteered) after the prompts; where the goal is a `TextContrast`, whose
            texts are steered at every token, the mean over the tokens of neutral texts that are steered so. Or
            "perplexity", the rise of the log-perplexity of such texts.
        texts: the neutral ones; default, four of the packaged ones.
        n_passes: prompts and texts that may be run through the model; default, a tenth of what 8 strengths at every
            site take, and at least 8 trials. What is kept of the prompts counts.
        search: "guided", coarse to fine, or "exhaustive", 8 strengths at every site.
        forecast: what `Forecast.predict` says of the effect, to stand in the result.

    Returns Tuned: `vector`, ready to be used, with all trials and their Pareto front. Next-token laws are asked for
        with the vector at the prompt's last token; what a `TextContrast` chooses is for "all" positions. The same call
        gives the same numbers, bit for bit.
    Raises SteeringError: no candidates, one of several positions, no prompts, a bound that is no positive number, too
        few passes for a single trial, a candidate that keeps no bound, or what `steer` and `NextToken` refuse.
    """
    check_measure(measure, bound)
    neutral = load_prompts("neutral")
    asked = tuple(neutral.beginnings[::4][:N_PROMPTS] if prompts is None else prompts)
    if not asked:
        raise SteeringError("there are no prompts to choose on; give beginnings of sentences such as 'I saw a'")
    read = tuple(neutral.texts[:4] if texts is None else texts)
    if not read:
        raise SteeringError("there are no texts on which the cost could be measured")
    found = candidates(vectors, model)
    bench = Bench(model, tokenizer, found, goal, asked, measure, read)
    contrast = isinstance(goal, TextContrast)
    kept = bench.passes
    whole = kept + len(bench.paid) * len(STRENGTHS) * bench.rows
    if search == "exhaustive":
        trials = exhaustive(bench, STRENGTHS)
    else:
        trials = guided(bench, bound, _budget(bench, whole, n_passes))
    if (chosen := best(trials, bound)) is None:
        least = min(trials, key=lambda trial: trial.cost)
        raise SteeringError(
            f"no trial kept {bound:g} nats; the least was {least.cost:.3g} at {least.site}, strength"
            f" {least.strength:.3g}: raise the bound or n_passes"
        )
    vector = chosen.strength * bench.candidates[chosen.site]
    low = chosen.effect <= float(bench.unsteered.mean())
    notes = ["no strength at any site brings more than the unsteered model; do not steer with it"] * low
    if not low and chosen.cost < 0.5 * bound:
        notes.append(f"more strength within the bound brings no more; {chosen.cost:.2g} of {bound:g} nats are spent")
    return Tuned(
        vector=vector,
        chosen=chosen,
        trials=tuple(trials),
        bound=bound,
        measure=measure,
        goal=bench.goal_label,
        unsteered=bench.unsteered,
        n_prompts=len(read) if contrast else len(asked),
        n_sites=len(found),
        passes=bench.passes,
        exhaustive_passes=whole,
        notes=tuple(dict.fromkeys((*vector.notes, *notes))),
        forecast=forecast,
    )


def candidates(
    vectors: SteeringVector | Mapping[SiteLike, SteeringVector], model: LanguageModel
) -> dict[Site, SteeringVector]:
    """Site → the vector to be tried there, from the embedding on; see `tune`.

    Raises SteeringError: none, one of several positions, one that is for another site, or a site twice.
    """
    architecture = Architecture.of(model)
    if isinstance(vectors, SteeringVector):
        if vectors.sites == (_AFTER_NORM,) and vectors[_AFTER_NORM].ndim == 1:
            blocks = [Site("output", block) for block in range(len(architecture.blocks))]
            # At every block it is the same shift, and reading the final norm takes passes of the head.
            first = pull_back(vectors, model, blocks[0]).relative(1)
            ((old, part),) = first.parts.items()
            pulled = {}
            for site in blocks:
                new = replace(site, relative=True)
                pulled[site] = replace(
                    first, parts={new: part}, provenance=first.provenance.replace(str(old), str(new))
                )
            return {**pulled, _AFTER_NORM: vectors}
        vectors = {site: replace(vectors, parts={site: part}) for site, part in vectors.parts.items()}
    found: dict[Site, SteeringVector] = {}
    for key, vector in sorted(vectors.items(), key=lambda pair: depth(Site.parse(pair[0]))):
        site = replace(Site.parse(key), relative=False)
        if [replace(part, relative=False) for part in vector.sites] != [site]:
            raise SteeringError(
                f"{site}: its candidate has parts at {', '.join(map(str, vector.sites))}, not there alone"
            )
        if next(iter(vector.parts.values())).ndim != 1:
            raise SteeringError(
                f"{site}: a vector with a row for each of several positions has no one strength to choose"
            )
        if site in found:
            raise SteeringError(f"{site} has two candidates")
        architecture.check(site)
        found[site] = vector if site == _AFTER_NORM else vector.relative(1)
    if not found:
        raise SteeringError("there are no candidates; give a vector for after_norm or one for each site")
    return found


def _budget(bench: Bench, whole: int, n_passes: int | None) -> int:
    """How many trials a search may take."""
    if n_passes is None:
        return max((whole // 10 - bench.passes) // bench.rows, _FEWEST_TRIALS)
    if bench.paid and n_passes < bench.passes + bench.rows:
        raise SteeringError(
            f"n_passes: {n_passes} are too few, a first trial takes {bench.passes + bench.rows} with what is kept of"
            " the prompts"
        )
    return (n_passes - bench.passes) // bench.rows
