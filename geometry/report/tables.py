"""Tables of numbers beside their nulls, found in the results of any analysis."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from geometry.report.reading import number, part
from geometry.report.words import CONDITIONS, KNOWN_ROWS, NULL_NAMES, VERDICTS, verdict_kind
from geometry.plots.document import Table

__all__ = ["claims_of", "legend", "null_table", "shown", "steering_table", "verdict_tables"]

_MOST_ROWS = 60


def shown(value: object, digits: int = 3) -> str:
    """A number as a reader wants it: three decimals, fewer where it is large; a dash for what is none."""
    found = number(value)
    if found is None:
        return "–"
    if abs(found) < 10:
        return f"{found:.{digits}f}"
    return f"{found:.1f}" if abs(found) < 10_000 else f"{found:.1e}"


def claims_of(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The entries of results.claims that are tests: each names its claim and its verdict."""
    claims = results.get("claims")
    entries = [entry for entry in claims if isinstance(entry, dict)] if isinstance(claims, list) else []
    return [entry for entry in entries if isinstance(entry.get("verdict"), str) and "claim" in entry]


def verdict_tables(results: Mapping[str, Any]) -> list[Table]:
    """A table of claims for each hierarchy, and one for series and pairs."""
    about = part(results, "hierarchies")
    groups: dict[str, list[dict[str, Any]]] = {}
    for entry in claims_of(results):
        name = str(entry.get("hierarchy", ""))
        groups.setdefault(name if name in about or not about else "", []).append(entry)
    return [_verdicts(name, entries, part(about, name)) for name, entries in groups.items()]


def _verdicts(name: str, entries: list[dict[str, Any]], about: Mapping[str, Any]) -> Table:
    subsets = any("random_subset" in part(entry, "nulls") for entry in entries)
    rows = []
    for entry in entries:
        tested = [shown(entry.get("predicted")), _small(entry.get("p_value")), _small(entry.get("q_value"))]
        rows.append([str(entry.get("says") or entry["claim"]), entry["verdict"], *_beside(entry, subsets), *tested])
        if whole := part(entry, "all_words"):
            rows.append(["… in all words, as published", "", *_beside(whole, subsets), "", "", ""])
    head = ["claim", "verdict", "value", "shuffled", *(["random subset"] if subsets else []), "predicted", "p", "q"]
    sizes = ", ".join(
        f"{about[key]:,} {key}" for key in ("concepts", "edges", "tokens") if isinstance(about.get(key), int)
    )
    draws = {number(part(entry, "draws").get("shuffled")) for entry in entries} - {None}
    caption = f"{name}{f' ({sizes})' if sizes else ''}" if name else "Series of values and pairs of words"
    if len(draws) == 1:
        caption += f": every claim beside its nulls, {draws.pop():.0f} permutations"
    return Table(head, rows, f"{caption}.")


def _beside(entry: Mapping[str, Any], subsets: bool) -> list[str]:
    nulls = part(entry, "nulls")
    return [shown(entry.get("value")), *(shown(nulls.get(n)) for n in ("shuffled", "random_subset")[: 1 + subsets])]


def _small(value: object) -> str:
    found = number(value)
    return "–" if found is None else f"{found:.2g}"


def legend(results: Mapping[str, Any]) -> Table | None:
    """What the verdicts that occur mean, and how often each does."""
    verdicts = Counter(verdict_kind(entry["verdict"]) for entry in claims_of(results))
    rows = [[kind, str(count), VERDICTS[kind]] for kind, count in verdicts.most_common() if kind in VERDICTS]
    return Table(["verdict", "tests", "what it means"], rows, "The verdicts.") if rows else None


def null_table(results: Mapping[str, Any]) -> Table | None:
    """Every number of the results that stands beside null models; None if there is none."""
    found = list(_tests(results, ()))[:_MOST_ROWS]
    if not found:
        return None
    nulls = [null for null in NULL_NAMES if any(null in beside for _, _, beside in found)]
    rows = [
        [_called(path), shown(value), *(shown(beside.get(null)) for null in nulls)] for path, value, beside in found
    ]
    return Table(
        ["", "model", *(NULL_NAMES[null] for null in nulls)], rows, "What the model gives, and what its nulls give."
    )


def _tests(
    content: Mapping[str, Any], path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], float, dict[str, float]]]:
    """Path, value and nulls of each test: {"value", "nulls"} as a comparison is written, or nulls beside values."""
    beside = part(content, "nulls")
    value = _mean(content.get("value"))
    if value is not None and beside:
        nulls = {null: mean for null in NULL_NAMES if (mean := _mean(beside.get(null))) is not None}
        if nulls:
            yield path, value, nulls
        return
    for key, inner in content.items():
        if key in NULL_NAMES:
            continue
        nulls = {}
        for null in NULL_NAMES:
            mean = _mean(content.get(null))
            mean = _mean(part(content, null).get(key)) if mean is None else mean
            if mean is not None:
                nulls[null] = mean
        value = _mean(inner)
        if value is not None and nulls:
            yield (*path, key), value, nulls
        elif isinstance(inner, Mapping):
            yield from _tests(inner, (*path, key))


def _mean(value: object) -> float | None:
    return number(value.get("mean")) if isinstance(value, Mapping) else number(value)


def _called(path: tuple[str, ...]) -> str:
    return KNOWN_ROWS.get(".".join(path), ", ".join(path).replace("_", " "))


def steering_table(results: Mapping[str, Any], settings: Mapping[str, Any]) -> Table | None:
    """What each condition does to the next token and what it costs, nulls marked; None if nothing was steered."""
    parent, child = str(settings.get("parent", "")), str(settings.get("child", ""))
    probability, unseen = part(results, "probability"), part(results, "probability_held_out")
    if not probability:
        return None
    conditions = [name for name in CONDITIONS if name in probability]
    conditions += [name for name in probability if name not in CONDITIONS]
    rows = []
    for name in conditions:
        words, null = CONDITIONS.get(name, (name.replace("_", " "), False))
        share = number(part(results, "child_on_top").get(name))
        rows.append(
            [
                f"{words} (null)" if null else words,
                shown(part(probability, name).get(parent)),
                shown(part(probability, name).get(child)),
                shown(part(unseen, name).get(child)),
                "–" if share is None else f"{share:.0%}",
                shown(part(results, "excess_divergence").get(name), 1),
                shown(part(results, "perplexity").get(name)),
            ]
        )
    p_value = number(part(results, "p_value").get("random"))
    return Table(
        [
            "added",
            f"P({_short(parent)})",
            f"P({_short(child)})",
            "… unseen words",
            "on top",
            "excess nats",
            "perplexity",
        ],
        rows,
        f"Means over prompts; parent: {parent}, child: {child}. On top: prompts on which a word of the child is"
        " the most probable. Excess: divergence beyond what the change of the child's probability takes."
        + (f" Against random directions p = {p_value:.2g}." if p_value is not None else ""),
    )


def _short(synset: str) -> str:
    return synset.split(".")[0].replace("_", " ")
