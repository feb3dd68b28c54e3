"""Function vectors: what demonstrations of a task put into the last token, added where there are none."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from geometry.anatomy.attention_heads import HeadSums, summed_head_outputs
from geometry.anatomy.task_questions import Answers, Questions
from geometry.arguments import checked
from geometry.concepts.tasks import Pair, Task, check_task
from geometry.display import html_table, short_repr
from geometry.errors import SteeringError
from geometry.steering import Architecture, Site, SteeringVector, read_activations
from geometry.steering.padding import heeds_padding
from geometry.steering.prompts import LanguageModel, Tokenizer
from geometry.steering.vector import SiteLike

if TYPE_CHECKING:
    from pandas import DataFrame

ABLE = 0.5  # accuracy with demonstrations from which on the model is said to do the task
N_RANDOM = 5  # vectors, and sets of heads, over which a control is averaged
_SCREENED, _HEADS = 20, 10
_CLOSER = 5  # sites at which other strengths are tried
_TIMES, _TIMES_OF_HEADS = (1.0, 2.0), (2.0, 1.0, 4.0)  # the vector, at all sites the first of them
_FEWEST_HELD_OUT = 15
Head = tuple[int, int]


@dataclass(frozen=True, eq=False)
class TaskVectors:
    """Vectors of a task and what they do to questions that no demonstration stands before.

    Attributes:
        task: which.
        vectors: "residual", "heads" → the vector at the site where it answered most training questions.
        answers: way → answers of the held-out questions: "demonstrations", "zero-shot", "residual", "heads",
            "shuffled labels", "random", "random heads"; of the last two the mean of five.
        by_site: site → probability of the answers to training questions under the residual vector there.
        heads: (block, head) that the vector of heads is made of, strongest first.
        notes: what was not measured and why.
        strength: of the residual vector in "vectors", × the difference of means.
        shifts: "demonstrations", "shuffled labels" → site → activation at the last token less that of the bare
            question, of every prompt, shape (n_prompts, d); their means are the residual vectors.
        head_shifts: what demonstrations change in every head's output, shape (blocks, heads, d); None without heads.
        head_gains: (block, head) of those screened → mean log-probability of the answers to training questions under it
            alone.
        training, held_out: pairs that vectors were made from and chosen on, and pairs that judge them.
    """

    task: Task
    vectors: Mapping[str, SteeringVector]
    answers: Mapping[str, Answers]
    by_site: Mapping[Site, float]
    heads: tuple[Head, ...]
    notes: tuple[str, ...] = field(default=())
    strength: float = 1.0
    shifts: Mapping[str, Mapping[Site, torch.Tensor]] = field(default_factory=dict)
    head_shifts: torch.Tensor | None = None
    head_gains: Mapping[Head, float] = field(default_factory=dict)
    training: tuple[Pair, ...] = ()
    held_out: tuple[Pair, ...] = ()

    __repr__ = short_repr

    @property
    def able(self) -> bool:
        """Whether the model does the task with demonstrations, without which a vector of it means nothing."""
        return self.answers["demonstrations"].accuracy >= ABLE

    def residual(self, site: Site, *, shuffled: bool = False) -> SteeringVector:
        """The residual vector there at this task's strength, of demonstrations or of those with shuffled answers."""
        rows = self.shifts["shuffled labels" if shuffled else "demonstrations"][site]
        return self.strength * _vector(site, rows.mean(dim=0), self.task.name + ", shuffled labels" * shuffled)

    def summary(self) -> str:
        """A sentence."""
        with_demos, zero = self.answers["demonstrations"], self.answers["zero-shot"]
        if not self.able:
            low, high = with_demos.interval
            return (
                f"{self.task.name}: {with_demos.accuracy:.0%} [{low:.0%}, {high:.0%}] right with demonstrations, below"
                f" the {ABLE:.0%} asked for, so that its vectors are not judged"
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
    reported on the others.

    Parameters:
        sites: outputs of blocks to try; default, all.
        n_demonstrations: pairs before each question.
        n_prompts: prompts that the means are of. As many pairs demonstrate the task where 15 are left to judge, else
            half of them.
        heads: whether heads are read.

    Raises HierarchyError: too few pairs. SteeringError: sites that are no outputs of blocks, what `steer` refuses.
    Source: Todd et al., arXiv 2310.15213; Hendel et al., arXiv 2310.15916, for the residual vector.
    """
    check_task(task, n_demonstrations)
    if n_prompts < 2:
        raise SteeringError(f"a mean over prompts takes 2 at least, not n_prompts={n_prompts}")
    places = _places(model, sites)
    rng = np.random.default_rng(seed)
    training, held_out = split_pairs(task, n_demonstrations, n_prompts, rng)
    asked = [training[i % len(training)] for i in range(n_prompts)]
    shown = [_others(training, pair, n_demonstrations, rng) for pair in asked]
    prompts = {
        "demonstrations": [task.prompt(few, pair[0]) for few, pair in zip(shown, asked, strict=True)],
        "shuffled labels": [
            task.prompt(task.shuffled(few, rng), pair[0]) for few, pair in zip(shown, asked, strict=True)
        ],
        "zero-shot": [task.prompt([], pair[0]) for pair in asked],
    }
    on_training = _questions(model, tokenizer, task, training)
    notes: list[str] = []
    outputs: dict[str, torch.Tensor] = {}
    read: dict[str, Mapping[Site, torch.Tensor]] = {}
    for name, texts in prompts.items():
        read[name], found = _read(model, tokenizer, texts, places, notes if heads else None)
        if found is not None:
            outputs[name] = found
    shifts = {
        name: {site: read[name][site] - read["zero-shot"][site] for site in places}
        for name in ("demonstrations", "shuffled labels")
    }

    means = {site: rows.mean(dim=0) for site, rows in shifts["demonstrations"].items()}
    made = {site: _vector(site, mean, task.name) for site, mean in means.items()}
    tried = _tried(on_training, made, _TIMES, f"{task.name}: residual vectors")
    by_site = {site: tried[site, _TIMES[0]] for site in places}
    best, times = max(tried, key=lambda key: tried[key])
    vectors = {"residual": times * made[best]}
    controls = {
        "shuffled labels": [
            times * _vector(best, shifts["shuffled labels"][best].mean(dim=0), f"{task.name}, shuffled")
        ],
        "random": [vectors["residual"].random(seed + draw) for draw in range(N_RANDOM)],
    }
    chosen: tuple[Head, ...] = ()
    gains: dict[Head, float] = {}
    shift = None
    if len(outputs) == len(prompts):
        shift = outputs["demonstrations"] - outputs["zero-shot"]
        change = (outputs["demonstrations"] - outputs["shuffled labels"]).norm(dim=2)
        gains = _alone(on_training, shift, change, task.name)
        chosen = tuple(sorted(gains, key=lambda key: (-gains[key], key))[:_HEADS])
        vectors["heads"], strength = _of_heads(on_training, shift, chosen, places, task.name)
        (site,) = vectors["heads"].sites
        controls["random heads"] = [
            strength * _vector(site, _summed(shift, heads), "random heads")
            for heads in random_heads(shift, chosen, rng)
        ]

    questions = _questions(model, tokenizer, task, held_out)
    few = [_others(training, pair, n_demonstrations, rng) for pair in held_out]
    answers = {
        "demonstrations": _questions(model, tokenizer, task, held_out, few).answers(),
        "zero-shot": questions.answers(),
        **dict(zip(vectors, questions.ask([*vectors.values()]), strict=True)),
        **{name: Answers.mean(questions.ask(several)) for name, several in controls.items()},
    }
    return TaskVectors(
        task, vectors, answers, by_site, chosen, tuple(notes), times, shifts, shift, gains,
        tuple(training), tuple(held_out),
    )  # fmt: skip


def split_pairs(
    task: Task, n_demonstrations: int, n_prompts: int, rng: np.random.Generator
) -> tuple[list[Pair], list[Pair]]:
    """Pairs that demonstrate the task, and pairs that judge."""
    order = rng.permutation(len(task.pairs))
    enough = n_prompts if len(order) >= n_prompts + _FEWEST_HELD_OUT else 0
    count = max(n_demonstrations + 1, len(order) // 2, enough)
    return [task.pairs[i] for i in order[:count]], [task.pairs[i] for i in order[count:]]


def random_heads(shift: torch.Tensor, chosen: Sequence[Head], rng: np.random.Generator) -> list[tuple[Head, ...]]:
    """Sets of as many heads as were chosen, none of them among those."""
    blocks, count = shift.shape[:2]
    others = [(block, head) for block in range(blocks) for head in range(count) if (block, head) not in chosen]
    size = min(len(chosen), len(others))
    return [tuple(others[i] for i in rng.permutation(len(others))[:size]) for _ in range(N_RANDOM)]


def _tried(
    questions: Questions, made: Mapping[Site, SteeringVector], strengths: Sequence[float], says: str
) -> dict[tuple[Site, float], float]:
    """Mean probability of the answers, at every site at one strength, at the best sites at the others too."""
    tried = {}
    first, *further = strengths
    for site, got in zip(made, questions.ask([first * made[site] for site in made], says), strict=True):
        tried[site, first] = float(got.probability.mean())
    best = sorted(made, key=lambda site: -tried[site, first])[:_CLOSER]
    for times in further:
        for site, got in zip(best, questions.ask([times * made[site] for site in best]), strict=True):
            tried[site, times] = float(got.probability.mean())
    return tried


def _alone(questions: Questions, shift: torch.Tensor, change: torch.Tensor, name: str) -> dict[Head, float]:
    """Of the heads that demonstrations change most: the mean log-probability of the answers under each alone."""
    screened = torch.argsort(change.flatten(), descending=True, stable=True)[:_SCREENED].tolist()
    heads = [divmod(index, change.shape[1]) for index in screened]
    got = questions.ask([_vector(Site("output", block), shift[block, head], name) for block, head in heads])
    return {head: float(answers.log_probability.mean()) for head, answers in zip(heads, got, strict=True)}


def _of_heads(
    questions: Questions, shift: torch.Tensor, chosen: Sequence[Head], places: Sequence[Site], name: str
) -> tuple[SteeringVector, float]:
    """The sum of heads at the block and the strength where it answers most, and that strength."""
    total = _summed(shift, chosen)
    made = {site: _vector(site, total, f"{name}, {len(chosen)} heads") for site in places}
    tried = _tried(questions, made, _TIMES_OF_HEADS, f"{name}: heads")
    best, times = max(tried, key=lambda key: tried[key])
    return times * made[best], times


def _summed(shift: torch.Tensor, heads: Sequence[Head]) -> torch.Tensor:
    return torch.stack([shift[block, head] for block, head in heads]).sum(dim=0)


def _questions(
    model: LanguageModel, tokenizer: Tokenizer, task: Task, pairs: Sequence[Pair],
    demonstrations: Sequence[Sequence[Pair]] | None = None,
) -> Questions:  # fmt: skip
    shown = [[] for _ in pairs] if demonstrations is None else demonstrations
    prompts = [task.prompt(few, asked) for few, (asked, _) in zip(shown, pairs, strict=True)]
    return Questions(model, tokenizer, prompts, [answer for _, answer in pairs])


def _read(
    model: LanguageModel, tokenizer: Tokenizer, prompts: Sequence[str], sites: Sequence[Site], notes: list[str] | None
) -> tuple[Mapping[Site, torch.Tensor], torch.Tensor | None]:
    """Activations at last tokens, and where notes are given, what heads add there, or a note why not."""
    architecture = Architecture.of(model)
    heeds_padding(architecture)  # measured before heads are watched
    sums: HeadSums | None = None
    with ExitStack() as watched:
        if notes is not None and not notes:
            try:
                sums = watched.enter_context(summed_head_outputs(model))
            except SteeringError as error:
                notes.append(str(error))
        # To the last block, or later heads would not be seen.
        last = Site("output", len(architecture.blocks) - 1)
        read = read_activations(model, tokenizer, prompts, [*dict.fromkeys((*sites, last))])
    if sums is None:
        return read, None
    try:
        return read, sums.mean(len(prompts))
    except SteeringError as error:
        (notes if notes is not None else []).append(str(error))
        return read, None


def _others(pairs: Sequence[Pair], pair: Pair, count: int, rng: np.random.Generator) -> list[Pair]:
    rest = [other for other in pairs if other != pair]
    return [rest[i] for i in rng.permutation(len(rest))[:count]]


def _vector(site: Site, part: torch.Tensor, name: str) -> SteeringVector:
    return SteeringVector({site: part}, f"function vector of {name} at {site}")


def _places(model: LanguageModel, sites: Sequence[SiteLike] | None) -> list[Site]:
    if sites is None:
        return [Site("output", block) for block in range(len(Architecture.of(model).blocks))]
    places = [Site.parse(site) for site in sites]
    if not places or any(site.place != "output" or site.relative for site in places):
        raise SteeringError("function vectors are added at outputs of blocks; give sites such as output.12")
    for site in places:
        Architecture.of(model).check(site)
    return places
