"""The tables of the study: every number with its interval, controls beside it."""

from typing import TYPE_CHECKING

from geometry.experiments.actadd.generations import sampling_note
from geometry.experiments.actadd.texts import SWEPT, BySet
from geometry.experiments.actadd.words import mean_cell, ratio_cell
from geometry.experiments.result import TableSpec
from geometry.plots import signed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from geometry.experiments.actadd.next_token import TokenShift
    from geometry.experiments.actadd.result import ActAddResult


def tables(result: "ActAddResult") -> list[TableSpec]:
    """Texts, conditions, sweeps, tokens, generations, norms."""
    return [
        texts(result),
        conditions(result),
        sweep(result, "Perplexity by block", "block", {str(block): found for block, found in result.by_block.items()}),
        sweep(
            result,
            "Perplexity by coefficient",
            "coefficient",
            {f"{factor:g}": found for factor, found in result.by_coefficient.items()},
        ),
        tokens(result, "Tokens after the prompt", result.shifts, f"After {result.study.prompt!r}."),
        tokens(
            result,
            "Tokens after neutral prompts",
            result.neutral_shifts,
            "Those that add most, and take most, on average over neutral prompts; p after the prompt of the study.",
        ),
        generations(result),
        norms(result),
    ]


def label(result: "ActAddResult", name: str) -> str:
    """What a condition is called, and whether it is a control."""
    return result.labels[name] + (" (control)" if name in result.controls else "")


def texts(result: "ActAddResult") -> TableSpec:
    """Every set of texts under the vector and its controls."""
    rows = []
    for name, count in result.n_texts.items():
        vector, random = result.ratio("vector", name), result.ratio("random", name)
        every = [result.ratios[each].get(name) for each in (*SWEPT, "prompting")]
        rows.append([name, str(count), *map(ratio_cell, every), ratio_cell(vector.over(random))])
    head = ["texts", "n", "vector ×", "random × (control)", f"{result.other.name} vector × (control)", "prompting ×"]
    most = result.study.most_tokens
    return TableSpec(
        "Perplexity of texts, times unsteered",
        [*head, "vector over random, paired ×"],
        rows,
        f"{result.labels['vector']}, {result.setting}, at the first tokens; below 1 texts become more probable."
        f" {_counted(result)}{f' Texts are cut to {most} tokens.' if most else ''} In brackets 95% intervals over"
        f" texts, whose tokens are drawn together; {result.study.n_random} random vectors take turns. Prompting:"
        f" {result.topic.promoted.strip()!r} before each text.",
    )


def conditions(result: "ActAddResult") -> TableSpec:
    """All conditions side by side."""
    topic, other = result.topic.name, result.other.name
    head = ["condition", "KL (nats)", f"P({topic})", f"P({other})", f"{topic} texts ×", f"{other} texts ×"]
    rows = []
    for name in result.next_tokens:
        ratios = [result.ratios[name][each] if name in result.ratios else None for each in (topic, other)]
        probabilities = [mean_cell(result.probability(name, each), 4) for each in (topic, other)]
        rows.append([label(result, name), mean_cell(result.kl(name)), *probabilities, *map(ratio_cell, ratios)])
    n = result.kl("vector")["n"]
    return TableSpec(
        "Conditions",
        head,
        rows,
        f"KL of the next-token law to the unsteered one and the probability of words of a topic, means over {n} neutral"
        f" prompts; perplexity of texts, times unsteered. Vectors {result.setting} unless the name says otherwise, at"
        " the first tokens; in brackets 95% intervals.",
    )


def sweep(result: "ActAddResult", title: str, axis: str, found: "Mapping[str, Mapping[str, BySet]]") -> TableSpec:
    """Perplexity ratios on and off topic at other settings."""
    sets = [result.topic.name, result.other.name]
    names = {"vector": "vector", "random": "random (control)", "other": f"{result.other.name} vector (control)"}
    head = [axis, *(f"{name}: {each} texts ×" for name in names.values() for each in sets)]
    rows = [[at, *(ratio_cell(by[name][each]) for name in SWEPT for each in sets)] for at, by in found.items()]
    where = f"before block {result.block}" if axis == "coefficient" else f"coefficient {result.study.coefficient:g}"
    return TableSpec(title, head, rows, f"{where[0].upper()}{where[1:]}; the vector is read before the block too.")


def tokens(result: "ActAddResult", title: str, shifts: "Sequence[TokenShift]", where: str) -> TableSpec:
    """The tokens that gain and lose most."""
    rows = [
        [
            repr(shift.text),
            signed(f"{shift.contribution:+.4f}"),
            signed(f"{shift.random:+.4f}"),
            f"{shift.before:.2g}",
            f"{shift.after:.2g}",
            f"{shift.after_random:.2g}",
            mean_cell(_summary(shift), 4),
        ]
        for shift in shifts
    ]
    head = ["token", "to KL (nats)", "random (control)", "p before", "p after", "p random", "to KL, neutral prompts"]
    caption = (
        f"{where} p(steered) · log(p(steered)/p(unsteered)); all tokens' sum is the KL divergence,"
        f" {result.next_tokens['vector'].kl_here:.4f} nats after the prompt. Random: the mean over"
        f" {result.study.n_random} random vectors. Neutral prompts: mean over {result.kl('vector')['n']} with interval."
    )
    return TableSpec(title, head, rows, caption)


def generations(result: "ActAddResult") -> TableSpec:
    """Words counted in generations."""
    topics = [result.topic.name, result.other.name]
    rows = [
        [label(result, name), str(len(found.texts)), *(mean_cell(result.counted(name, each), 2) for each in topics)]
        for name, found in result.written.items()
    ]
    study = result.study
    return TableSpec(
        "Words of a topic in generations",
        ["condition", "n", *(f"{each} words each" for each in topics)],
        rows,
        f"After {study.beginning!r}. {sampling_note(study.n_generations, study.n_new_tokens, study.seed)} Means with"
        " 95% intervals over generations; where none of n holds a word, the interval has no width, and fewer than 3/n"
        " of all generations hold one, at 95%. Vectors at the first tokens unless the name says otherwise.",
    )


def norms(result: "ActAddResult") -> TableSpec:
    """How large the vector is beside the residual stream."""
    found = result.norms
    head = ["block", *(f"vector, token {row}" for row in range(found.vector.shape[1]))]
    head += [f"residual, token {position}" for position in range(found.residual.shape[2])]
    rows = []
    for block in range(0, result.depth, max(1, result.depth // 10)):
        residual = [f"{value:.3g}" for value in found.residual[:, block].mean(axis=0)]
        rows.append([str(block), *(f"{value:.3g}" for value in found.vector[block]), *residual])
    start = "Token 0 is the beginning-of-text token, where the vector is zero. " if result.bos else ""
    return TableSpec(
        "Norms before blocks",
        head,
        rows,
        f"{start}Residual stream: means over {len(found.residual)} texts on {result.topic.name}.",
    )


def _counted(result: "ActAddResult") -> str:
    if result.study.spaced:
        return "Before every text stand spaces, which are steered; a text's first token does not count."
    return f"Tokens that are predicted from the first {result.rows}, which are steered, do not count."


def _summary(shift: "TokenShift") -> "Mapping[str, object]":
    from geometry.intervals import summarise

    return summarise(shift.neutral)
