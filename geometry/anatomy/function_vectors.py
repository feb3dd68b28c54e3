"""Function vectors: what demonstrations of a task put into the last token, added where there are none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.anatomy.attention_heads import mean_head_outputs
from geometry.arguments import checked
from geometry.concepts.tasks import Pair, Task, check_task
from geometry.display import html_table, short_repr
from geometry.errors import SteeringError
from geometry.intervals import interval_of
from geometry.progress import progress_bar
from geometry.steering import NextToken, Site, SteeringVector, read_activations, steer
from geometry.steering.prompts import LanguageModel, Tokenizer
from geometry.steering.vector import SiteLike

if TYPE_CHECKING:
    from pandas import DataFrame

Array = NDArray[np.float64]
ABLE = 0.5  # accuracy with demonstrations from which on the model is said to do the task
_SCREENED, _HEADS = 20, 10
_TIMES, _TIMES_OF_HEADS = (1.0, 2.0), (1.0, 2.0, 4.0)  # the vector


@dataclass(frozen=True, eq=False)
class Answers:
    """Whether held-out questions were answered, shape (n,): the most probable next token begins the answer.

    Attributes:
        correct: 0 or 1. probability: of that token.
    """

    correct: Array
    probability: Array

    __repr__ = short_repr

    @property
    def accuracy(self) -> float:
        """The fraction answered."""
        return float(self.correct.mean())

    @property
    def interval(self) -> tuple[float, float]:
        """95% bootstrap over questions."""
        return interval_of(self.correct)


@dataclass(frozen=True, eq=False)
class TaskVectors:
    """Vectors of a task and what they do to questions that no demonstration stands before.

    Attributes:
        task: which.
        vectors: "residual", "heads" → the vector at the site where it answered most training questions.
        answers: way → answers of the held-out questions: "demonstrations", "zero-shot", "residual", "heads",
            "shuffled labels", "random".
        by_site: site → probability of the answers to training questions under the residual vector there.
        heads: (block, head) that the vector of heads is made of, strongest first.
        notes: what was not measured and why.
    """

    task: Task
    vectors: Mapping[str, SteeringVector]
    answers: Mapping[str, Answers]
    by_site: Mapping[Site, float]
    heads: tuple[tuple[int, int], ...]
    notes: tuple[str, ...] = field(default=())

    __repr__ = short_repr

    @property
    def able(self) -> bool:
        """Whether the model does the task with demonstrations, without which a vector of it means nothing."""
        return self.answers["demonstrations"].accuracy >= ABLE

    def summary(self) -> str:
        """A sentence."""
        with_demos, zero = self.answers["demonstrations"], self.answers["zero-shot"]
        if not self.able:
            return (
                f"{self.task.name}: the model cannot do it, {with_demos.accuracy:.0%} right with demonstrations; its"
                " vectors say nothing"
            )
        ways = [f"{name} vector {self.answers[name].accuracy:.0%}" for name in self.vectors]
        controls = ", ".join(f"{name} {self.answers[name].accuracy:.0%}" for name in ("shuffled labels", "random"))
        return (
            f"{self.task.name}: {with_demos.accuracy:.0%} right with demonstrations, {zero.accuracy:.0%} without,"
            f" {', '.join(ways)} ({controls}; {len(zero.correct)} held-out questions)"
        )

    def to_frame(self) -> "DataFrame":
        """A row for each way: accuracy, its interval, the probability of the answer."""
        from pandas import DataFrame

        rows = [(way, got.accuracy, *got.interval, got.probability.mean()) for way, got in self.answers.items()]
        return DataFrame(rows, columns=["way", "accuracy", "low", "high", "probability"]).set_index("way")

    def _repr_html_(self) -> str:
        rows = [(way, got.accuracy, *got.interval) for way, got in self.answers.items()]
        return html_table(("way", "accuracy", "low", "high"), rows, self.task.name)


@checked
def function_vectors(
    model: LanguageModel,
    tokenizer: Tokenizer,
    task: Task,
    *,
    sites: Sequence[SiteLike] | None = None,
    n_demonstrations: int = 10,
    n_prompts: int = 25,
    heads: bool = True,
    seed: int = 0,
) -> TaskVectors:
    """Vectors of a task, from its demonstrations, and how many held-out questions they answer without any.

    Example::

        found = geo.anatomy.function_vectors(model, tokenizer, geo.concepts.load_task("antonym"))
        print(found.summary())

    The residual vector is the mean activation at the last token of prompts with demonstrations less that of the bare
    questions. The vector of heads is the sum of what ten heads add there: of the 20 that demonstrations change most
    beside those with shuffled answers, the ones that answer most when each is added alone (after its block, whose MLP
    does not see it). Site, strength and heads are chosen on the questions that vectors are made from, and all is
    reported on the other half.

    Parameters:
        sites: outputs of blocks to try; default, all.
        n_demonstrations: before each question. n_prompts: prompts that the means are of.
        heads: whether heads are read.

    Raises HierarchyError: too few pairs. SteeringError: sites that are no outputs of blocks, what `steer` refuses.
    Source: Todd et al., arXiv 2310.15213; Hendel et al., arXiv 2310.15916, for the residual vector.
    """
    check_task(task, n_demonstrations)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(task.pairs))
    half = max(n_demonstrations + 1, len(order) // 2)
    training, held_out = ([task.pairs[i] for i in part] for part in (order[:half], order[half:]))
    places = _places(model, sites)
    asked = [training[i % half] for i in range(n_prompts)]
    shown = [_others(training, pair, n_demonstrations, rng) for pair in asked]
    prompts = {
        "demonstrations": [task.prompt(few, pair[0]) for few, pair in zip(shown, asked, strict=True)],
        "shuffled labels": [
            task.prompt(task.shuffled(few, rng), pair[0]) for few, pair in zip(shown, asked, strict=True)
        ],
        "zero-shot": [task.prompt([], pair[0]) for pair in asked],
    }
    means = {name: _means(model, tokenizer, texts, places) for name, texts in prompts.items()}
    residual, shuffled = (
        {site: means[name][site] - means["zero-shot"][site] for site in places}
        for name in ("demonstrations", "shuffled labels")
    )

    on_training = _Questions(model, tokenizer, task, training)
    tried = {}
    for site in progress_bar(places, f"{task.name}: residual vectors"):
        for times in _TIMES:
            vector = times * _vector(site, residual[site], task.name)
            tried[site, times] = float(on_training.ask(vector).probability.mean())
    by_site = {site: max(tried[site, times] for times in _TIMES) for site in places}
    best, times = max(tried, key=lambda key: tried[key])
    vectors = {"residual": times * _vector(best, residual[best], task.name)}
    controls = {"shuffled labels": times * _vector(best, shuffled[best], f"{task.name}, shuffled labels")}
    controls["random"] = vectors["residual"].random(seed)
    chosen: tuple[tuple[int, int], ...] = ()
    notes: list[str] = []
    if heads:
        try:
            outputs = {name: mean_head_outputs(model, tokenizer, texts) for name, texts in prompts.items()}
        except SteeringError as error:
            notes.append(str(error))
        else:
            chosen, vectors["heads"] = _of_heads(on_training, outputs, places, task.name)

    questions = _Questions(model, tokenizer, task, held_out)
    answers = {"zero-shot": questions.ask(None)} | {n: questions.ask(v) for n, v in (vectors | controls).items()}
    few = [_others(training, pair, n_demonstrations, rng) for pair in held_out]
    with_demos = _Questions(model, tokenizer, task, held_out, few)
    return TaskVectors(
        task, vectors, {"demonstrations": with_demos.ask(None), **answers}, by_site, chosen, tuple(notes)
    )


def _of_heads(
    questions: "_Questions", outputs: Mapping[str, torch.Tensor], places: Sequence[Site], name: str
) -> tuple[tuple[tuple[int, int], ...], SteeringVector]:
    """The heads that answer most, and their sum at the block where it does."""
    shift = outputs["demonstrations"] - outputs["zero-shot"]
    change = (outputs["demonstrations"] - outputs["shuffled labels"]).norm(dim=2)
    count = change.shape[1]
    screened = torch.argsort(change.flatten(), descending=True, stable=True)[:_SCREENED].tolist()
    gains = {}
    for index in screened:
        block, head = divmod(index, count)
        vector = _vector(Site("output", block), shift[block, head], name)
        gains[block, head] = questions.ask(vector).probability.mean()
    chosen = tuple(sorted(gains, key=lambda key: (-gains[key], key))[:_HEADS])
    total = torch.stack([shift[block, head] for block, head in chosen]).sum(dim=0)
    made = [
        times * _vector(site, total, f"{name}, {len(chosen)} heads") for site in places for times in _TIMES_OF_HEADS
    ]
    return chosen, max(made, key=lambda vector: questions.ask(vector).probability.mean())


class _Questions:
    """Questions put again and again under different vectors."""

    def __init__(
        self,
        model: LanguageModel,
        tokenizer: Tokenizer,
        task: Task,
        pairs: Sequence[Pair],
        demonstrations: Sequence[Sequence[Pair]] | None = None,
    ) -> None:
        shown = [[] for _ in pairs] if demonstrations is None else demonstrations
        prompts = [task.prompt(few, asked) for few, (asked, _) in zip(shown, pairs, strict=True)]
        self._model, self._next = model, NextToken(model, tokenizer, prompts)
        # The first token of the answer as it stands in the text.
        ids = []
        for prompt, (_, answer) in zip(prompts, pairs, strict=True):
            before = tokenizer(prompt, add_special_tokens=False)["input_ids"]
            after = tokenizer(f"{prompt} {answer}", add_special_tokens=False)["input_ids"]
            ids.append(after[len(before)])
        self._answers = torch.tensor(ids)

    def ask(self, vector: SteeringVector | None) -> Answers:
        law = self._next.unsteered
        if vector is not None:
            with steer(self._model, vector, positions="all"):
                law = self._next.log_probabilities()
        correct = (law.argmax(dim=1) == self._answers).double().numpy()
        return Answers(correct, law.gather(1, self._answers[:, None])[:, 0].double().exp().numpy())


def _others(pairs: Sequence[Pair], pair: Pair, count: int, rng: np.random.Generator) -> list[Pair]:
    rest = [other for other in pairs if other != pair]
    return [rest[i] for i in rng.permutation(len(rest))[:count]]


def _means(
    model: LanguageModel, tokenizer: Tokenizer, prompts: Sequence[str], sites: Sequence[Site]
) -> dict[Site, Any]:
    read = read_activations(model, tokenizer, prompts, sites)
    return {site: rows.mean(dim=0) for site, rows in read.items()}


def _vector(site: Site, part: torch.Tensor, name: str) -> SteeringVector:
    return SteeringVector({site: part}, f"function vector of {name} at {site}")


def _places(model: LanguageModel, sites: Sequence[SiteLike] | None) -> list[Site]:
    from geometry.steering import Architecture

    if sites is None:
        return [Site("output", block) for block in range(len(Architecture.of(model).blocks))]
    places = [Site.parse(site) for site in sites]
    if not places or any(site.place != "output" or site.relative for site in places):
        raise SteeringError("function vectors are added at outputs of blocks; give sites such as output.12")
    for site in places:
        Architecture.of(model).check(site)
    return places
