"""What the study says: numbers with their intervals, and findings as sentences that follow from them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from geometry.experiments.evaluator import cell
from geometry.plots import signed
from geometry.steering.token_costs import PerplexityRatio

if TYPE_CHECKING:
    from geometry.experiments.actadd.result import ActAddResult


def ratio_cell(ratio: PerplexityRatio | None) -> str:
    """A perplexity ratio with its interval."""
    if ratio is None:
        return "–"
    low, high = ratio.interval
    return f"{_ratio(ratio.value)} [{_ratio(low)}, {_ratio(high)}]"


def mean_cell(summary: Mapping[str, Any], digits: int = 3) -> str:
    """A mean with its interval."""
    if summary["mean"] is None:
        return "–"
    low, high = summary["interval"]
    return signed(f"{summary['mean']:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]")


def direction(ratio: PerplexityRatio) -> str:
    """What a ratio's interval says: "lowers", "raises" or "does not detectably change"."""
    low, high = ratio.interval
    return "lowers" if high < 1 else "raises" if low > 1 else "does not detectably change"


def acts(result: "ActAddResult", condition: str = "vector", topic: str = "") -> bool:
    """Whether texts on a topic become more probable, by their interval, and more than under random vectors, paired."""
    name = topic or result.topic.name
    ratio = result.ratio(condition, name)
    beyond = ratio.over(result.ratio("random", name))
    return ratio.interval[1] < 1 and beyond.interval[1] < 1


def more_words(result: "ActAddResult", condition: str) -> bool:
    """Whether generations hold more of the topic's words than unsteered ones, by intervals that do not overlap."""
    after, before = result.counted(condition), result.counted("unsteered")
    return bool(after["interval"][0] > before["interval"][1])


def summary(result: "ActAddResult") -> list[str]:
    """What was found, the main finding first."""
    study, topic, other = result.study, result.topic.name, result.other.name
    on, off = result.ratio("vector", topic), result.ratio("vector", other)
    label = result.labels["vector"]
    nulls = {name: ratio_cell(result.ratio(name, topic)) for name in ("random", "other")}
    lines = [
        f"{label}, {result.setting}, {direction(on)} the perplexity of texts on {topic}: × {ratio_cell(on)} (random"
        f" vectors × {nulls['random']}, the {other} vector × {nulls['other']}); it {direction(off)} that of texts on"
        f" {other}: × {ratio_cell(off)}."
    ]
    here, neutral = result.next_tokens["vector"], result.kl("vector")
    gained = next((shift for shift in result.shifts if shift.contribution > 0), None)
    before, after = (result.next_tokens[name].here[topic] for name in ("unsteered", "vector"))
    lines.append(
        f"After {study.prompt!r} the law of the next token moves by {here.kl_here:.3f} nats"
        f" (random vectors {_random_kl(result)})"
        + (f", to which {gained.text!r} adds most ({gained.contribution:+.3f})" if gained else "")
        + f"; words of {topic} go from {before:.3f} to {after:.3f}."
    )
    lines.append(
        f"After {neutral['n']} neutral prompts it moves by {mean_cell(neutral)} nats, and words of {topic} go from"
        f" {mean_cell(result.probability('unsteered'), 4)} to {mean_cell(result.probability('vector'), 4)} (random"
        f" vectors {mean_cell(result.probability('random'), 4)}, prompting"
        f" {mean_cell(result.probability('prompting'), 4)})."
    )
    counts = {name: mean_cell(result.counted(name), 2) for name in result.written}
    more = "more words" if more_words(result, "vector") else "no more words, by the intervals,"
    lines.append(
        f"Generations hold {more} of {topic} than unsteered ones: {counts['vector']} each against"
        f" {counts['unsteered']} (random vectors {counts['random']}; at the middle tokens {counts['middle']}, at the"
        f" last {counts['last']}; prompting {counts['prompting']})."
    )
    both = {name: ratio_cell(result.ratio("both", name)) for name in (topic, other)}
    still = [name for name in (topic, other) if acts(result, "both", name)]
    acting = {0: "neither acts", 1: f"only {still[0] if still else ''} acts", 2: "each still acts"}[len(still)]
    lines.append(
        f"With the {topic} and the {other} vector at once {acting} on its own texts: × {both[topic]} and"
        f" × {both[other]}."
    )
    huge, alone = result.ratio("huge", topic), ratio_cell(result.ratio("promoted_alone", topic))
    lines.append(
        f"{study.huge:g} times the vector {direction(huge)} the perplexity of texts on {topic}: × {ratio_cell(huge)};"
        f" {result.topic.promoted!r} with nothing subtracted gives × {alone},"
        f" the embedding difference × {ratio_cell(result.ratio('embedding', topic))} and, norm-matched,"
        f" × {ratio_cell(result.ratio('embedding_matched', topic))}."
    )
    return lines


def _random_kl(result: "ActAddResult") -> str:
    return f"{result.next_tokens['random'].kl_here:.3f}"


def _ratio(value: float) -> str:
    return f"{value:.3f}" if value < 10 else cell(value)
