"""The study on one page of HTML, read from top to bottom: what was added, then what it did, number beside control."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import geometry.plots as plots
from geometry.experiments.actadd.figures import figures
from geometry.experiments.actadd.generations import sampling_note
from geometry.experiments.actadd.tables import tables
from geometry.experiments.result import FigureSpec, TableSpec
from geometry.plots.pages import Block, Commands, Paragraph, Picture, ScoredText, Table, document_page, downsampled

if TYPE_CHECKING:
    from geometry.experiments.actadd.result import ActAddResult

_DPI = 130
_SHOWN = 3  # generations under each condition
_SCALE = 1.0  # nats at the darkest ground


def actadd_page(result: "ActAddResult") -> str:
    """The page as one string."""
    pictures = {spec.name: _picture(spec) for spec in figures(result)}
    found = {table.title: _table(table) for table in tables(result)}
    study, setting = result.study, result.setting
    first = "the beginning-of-text token, where it is zero, and " if result.bos else ""
    made = (
        f"The model reads {result.topic.promoted!r} and {study.suppressed!r}, each after its beginning-of-text token if"
        f" it has one; the shorter is filled up with spaces. The activations before block {result.block} are subtracted"
        f" token by token, and the difference is added, {setting}, at {first}the first tokens of other texts. Nothing"
        f" is trained. Controls are {study.n_random} random vectors of the same norm at every token, the vector of"
        f" {result.other.promoted!r} at the same norm, and the word itself in the prompt."
    )
    sections: list[tuple[str, Sequence[Block]]] = [
        ("In short", [*map(Paragraph, result.summary())]),
        ("What is added", [Paragraph(made), Commands(study.command), pictures["norms"], found["Norms before blocks"]]),
        (
            "One prompt",
            [
                pictures["contributions"],
                found["Tokens after the prompt"],
                pictures["probabilities"],
                found["Tokens after neutral prompts"],
            ],
        ),
        ("Texts on topic and off it", [pictures["texts"], found["Perplexity of texts, times unsteered"]]),
        (
            "By block and by coefficient",
            [pictures["sweeps"], found["Perplexity by block"], found["Perplexity by coefficient"]],
        ),
        ("Token by token", _texts(result)),
        (
            "What is written",
            [
                pictures["generations"],
                found["Words of a topic in generations"],
                pictures["dimensions"],
                *_written(result),
            ],
        ),
        ("Huge, alone, several at once", [pictures["conditions"], found["Conditions"]]),
    ]
    name = (result.model or {}).get("name", study.model)
    return document_page(
        f"{name}: activation addition",
        f"{study.question} In brackets stand 95% intervals over prompts, texts or generations.",
        sections,
    )


def _texts(result: "ActAddResult") -> list[Block]:
    unit = "nats"
    blocks: list[Block] = [
        Paragraph(
            "How much more probable each token is under the vector, given those before it: red more, blue less, grey"
            f" where it is predicted from a steered token. The darkest ground is {_SCALE:g} nat or more."
        )
    ]
    for text in result.shown:
        for label, values in (("the vector", text.changes), ("a random vector (control)", text.random)):
            blocks.append(ScoredText(text.tokens, values, _SCALE, unit, f"{text.name}, {label}"))
    return blocks


def _written(result: "ActAddResult") -> list[Block]:
    study = result.study
    rows = [
        [result.labels[name], *written.texts[:_SHOWN], *[""] * (_SHOWN - len(written.texts))]
        for name, written in result.written.items()
    ]
    note = sampling_note(study.n_generations, study.n_new_tokens, study.seed)
    caption = f"The first {_SHOWN} generations under each condition, after {study.beginning!r}. {note}"
    return [Table(["condition", *map(str, range(1, _SHOWN + 1))], rows, caption)]


def _table(table: TableSpec) -> Table:
    return Table(table.head, table.rows, " ".join(filter(None, [f"{table.title}.", table.caption])))


def _picture(spec: FigureSpec) -> Picture:
    held = io.BytesIO()
    with plots.style():
        spec.figure().savefig(held, format="png", dpi=_DPI)
    return Picture(downsampled(held.getvalue(), _DPI), spec.caption, text=f"{spec.title} {spec.caption}")
