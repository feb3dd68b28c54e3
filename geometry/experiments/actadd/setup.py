"""What the study is made on: topics, the model, its vectors and their controls; bad input is refused first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.display import short_repr
from geometry.errors import SteeringError, shown
from geometry.experiments.actadd.topics import Topic, load_texts, load_topic, read_text, word_tokens
from geometry.experiments.study import Step
from geometry.models import Unembedding, require_language_model
from geometry.steering import Site, SteeringVector, activation_addition, encode, load_prompts, record_activations
from geometry.steering.architecture import Architecture, evaluating
from geometry.steering.token_costs import FEWEST_TEXTS

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from geometry.experiments.actadd.study import ActAddStudy

# A vector for all texts, or several of which the texts take turns; None: unsteered.
Condition = SteeringVector | Sequence[SteeringVector] | None
PADDING = " "  # what stands for nothing, as in the post


@dataclass(frozen=True, eq=False)
class Bench:
    """What all measurements share.

    Attributes:
        sets: name → texts, the topic's first, then the other topic's.
        shown: name → a text to show token by token.
        prompts: neutral ones.
        block, bos, rows: before which block vectors are added, whether texts begin with the beginning-of-text token,
            and how many tokens from the first on are steered.
        vector, other: of the topic, and of the other one at its norm, with coefficient 1.
        tokens: of the words of topic and other.
    """

    study: "ActAddStudy"
    unembedding: Unembedding
    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerBase"
    topic: Topic
    other_topic: Topic
    sets: Mapping[str, tuple[str, ...]]
    shown: Mapping[str, str]
    prompts: tuple[str, ...]
    block: int
    bos: bool
    rows: int
    vector: SteeringVector
    other: SteeringVector
    tokens: Mapping[str, NDArray[np.int64]]

    __repr__ = short_repr

    @property
    def filler(self) -> str:
        """What stands before every text to be steered instead of its own first tokens: spaces, or nothing."""
        return PADDING * (self.rows - self.bos) if self.study.spaced else ""

    @property
    def uncounted(self) -> int:
        """How many of a text's first tokens, its beginning-of-text token among them, nothing is counted from."""
        return int(self.bos) if self.study.spaced else self.rows

    @property
    def depth(self) -> int:
        """How many blocks the model has."""
        return len(Architecture.of(self.model).blocks)

    def at(self, block: int) -> tuple[SteeringVector, SteeringVector]:
        """The vectors of both topics, read and added before another block."""
        return vectors_at(self, block)

    def random(self, like: SteeringVector) -> list[SteeringVector]:
        """Random vectors of the norm of this one at every token."""
        return [like.random(self.study.seed + draw) for draw in range(self.study.n_random)]

    def conditions(self) -> dict[str, Condition]:
        """Every vector that stands beside the topic's own, by name."""
        steered = self.study.coefficient * self.vector
        other = self.study.coefficient * self.other
        at_embedding = self._of_embedding()
        alone = self.study.coefficient * self._promoted_alone()
        return {
            "unsteered": None,
            "vector": steered,
            "random": self.random(steered),
            "other": other,
            "both": steered + other,
            "minus": -steered,
            "promoted_alone": alone,
            "embedding": self.study.coefficient * at_embedding,
            "embedding_matched": matched(at_embedding, steered),
            "huge": self.study.huge * self.vector,
        }

    def _of_embedding(self) -> SteeringVector:
        """The difference of the same words as they enter the first block, to be added before the chosen one."""
        entering, _ = vectors_at(self, 0)
        return entering.at(Site("input", self.block))

    def _promoted_alone(self) -> SteeringVector:
        """The promoted text's activations with nothing subtracted, the beginning-of-text token's among them."""
        site = Site("input", self.block)
        batch = encode(self.tokenizer, [self.topic.promoted], bos=self.bos, device=Architecture.of(self.model).device)
        with torch.no_grad(), evaluating(self.model), record_activations(self.model, [site]) as recorded:
            self.model(input_ids=batch.input_ids)
        part = recorded[site][0].float().cpu()
        family = Architecture.of(self.model).family
        return with_rows(SteeringVector({site: part}, repr(self.topic.promoted), family, bos=self.bos), self.rows)


def vectors_at(bench: "Bench", block: int) -> tuple[SteeringVector, SteeringVector]:
    """Both topics' vectors read before a block, the other one's scaled to the norm of the topic's."""
    study = bench.study
    own = difference(bench.model, bench.tokenizer, bench.topic.promoted, study.suppressed, block, bench.bos)
    other = difference(bench.model, bench.tokenizer, bench.other_topic.promoted, "", block, bench.bos)
    own = with_rows(own, bench.rows)
    return own, matched(with_rows(other, bench.rows), own)


def matched(vector: SteeringVector, like: SteeringVector) -> SteeringVector:
    """A vector scaled to the norm of another one, called as before."""
    return replace(vector.with_norm(like.norm()), provenance=vector.provenance)


def difference(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    promoted: str,
    suppressed: str,
    block: int,
    bos: bool,
) -> SteeringVector:
    """Activation addition at the input of a block, where nothing suppressed is as many spaces as needed."""
    vector = activation_addition(model, tokenizer, promoted, suppressed or PADDING, block, bos=bos)
    return replace(vector, provenance=f"{promoted!r} − {suppressed!r}")


def with_rows(vector: SteeringVector, rows: int) -> SteeringVector:
    """The vector with zeros at further positions, up to so many, so that vectors of any texts can be added up."""
    parts = {
        site: torch.cat([part, part.new_zeros(rows - len(part), part.shape[1])]) for site, part in vector.parts.items()
    }
    return replace(vector, parts=parts)


def prepare(study: "ActAddStudy", step: Step) -> Bench:
    """Read topics and texts, then the model; what is wrong is said before either is used."""
    require_language_model(study.model)
    topic = load_topic(study.topic, study.promoted, study.words)
    other_topic = load_topic(study.other)
    if topic.promoted == (study.suppressed or PADDING):
        raise SteeringError(f"promoted and suppressed are both {shown(topic.promoted)}; their difference is nothing")
    if shared := sorted(set(topic.words) & set(other_topic.words)):
        raise SteeringError(
            f"words: {', '.join(shared)} count for {topic.name} and {other_topic.name} alike; drop them"
        )
    sets = {topic.name: topic.texts, other_topic.name: other_topic.texts, **dict(map(load_texts, study.beside))}
    if len(sets) < 2 + len(study.beside):
        raise SteeringError(f"two sets of texts have one name, of {', '.join(sets)}; name them apart")
    sets = {name: texts[: study.n_texts] for name, texts in sets.items()}
    prompts = load_prompts(study.prompts).beginnings[: study.n_prompts]
    if len(prompts) < FEWEST_TEXTS:
        raise SteeringError(f"{study.prompts}: {len(prompts)} prompts; an interval takes {FEWEST_TEXTS} at least")
    shown_texts = {f"on topic: {topic.name}": topic.texts[0], f"off topic: {other_topic.name}": other_topic.texts[0]}
    if study.text:
        shown_texts = {"the text given": _own_text(study.text)} | shown_texts

    step(f"loading {study.model}")
    unembedding = step.session.unembedding(study.model, study.placement)
    model, tokenizer = step.session.language_model(study.model, study.placement)
    block = study.chosen_block(len(Architecture.of(model).blocks))
    bos = tokenizer.bos_token_id is not None
    raw = [difference(model, tokenizer, *pair, block, bos) for pair in _pairs(study, topic, other_topic)]
    rows = max(len(part) for vector in raw for part in vector.parts.values())
    vector, other = (with_rows(each, rows) for each in raw)
    if not vector.norm():
        raise SteeringError(
            f"{vector.provenance}: both texts have the same activations before block {block}; add other texts"
        )
    tokens = {each.name: word_tokens(tokenizer, each.words, each.name) for each in (topic, other_topic)}
    bench = Bench(
        study=study, unembedding=unembedding, model=model, tokenizer=tokenizer, topic=topic, other_topic=other_topic,
        sets=sets, shown=shown_texts, prompts=prompts, block=block, bos=bos, rows=rows, vector=vector,
        other=matched(other, vector), tokens=tokens,
    )  # fmt: skip
    _check_lengths(bench)
    return bench


def _pairs(study: "ActAddStudy", topic: Topic, other: Topic) -> list[tuple[str, str]]:
    return [(topic.promoted, study.suppressed), (other.promoted, "")]


def _own_text(given: str) -> str:
    """A text, or that of a file of this name."""
    path = Path(given).expanduser()
    try:
        is_file = path.is_file()
    except OSError:  # too long for a name
        is_file = False
    text = " ".join((read_text(path) if is_file else given).split())
    if not text:
        raise SteeringError(f"text {shown(given)} is empty; give a sentence or a file that holds one")
    return text


def _check_lengths(bench: Bench) -> None:
    """SteeringError for a text that ends where it is steered, of which nothing would be left, or that is too long."""
    study, architecture = bench.study, Architecture.of(bench.model)
    kinds = [(name, texts, 2, study.most_tokens) for name, texts in bench.sets.items()]
    kinds += [("prompts", (study.prompt, *bench.prompts), 0, 0), ("text", tuple(bench.shown.values()), 2, 0)]
    kinds += [("beginning", (study.beginning,), 0, 0)]
    if bench.filler and len(bench.tokenizer.encode(bench.filler, add_special_tokens=False)) != len(bench.filler):
        raise SteeringError(
            f"spaced: this tokenizer does not write {len(bench.filler)} spaces as so many tokens; leave spaced out, or"
            " add a text of one token"
        )
    for name, texts, beyond, most in kinds:
        needed = (bench.uncounted if name in bench.sets else bench.rows) + beyond
        batch = encode(bench.tokenizer, texts, bos=bench.bos, device=architecture.device)
        lengths = batch.attention_mask.sum(dim=1)
        if most:
            lengths = lengths.clamp(max=most + bench.bos)
        else:
            architecture.check_tokens(batch.input_ids, study.n_new_tokens - 1 if name == "beginning" else 0)
        if (shortest := int(lengths.min())) < needed:
            said = shown(texts[int(lengths.argmin())])
            raise SteeringError(
                f"{name}: {said} has {shortest} tokens to look at, the vector {bench.vector.provenance} is added at the"
                f" first {bench.rows}; give longer texts, at least {needed} tokens, or a shorter vector"
            )
