"""The study of training: its question and its options."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from geometry.errors import EstimationError
from geometry.experiments.study import Step, Study, option
from geometry.experiments.training.checkpoints import Checkpoint, checkpoints_of, steps_of

if TYPE_CHECKING:
    from geometry.experiments.training.result import TrainingResult

TESTED = ("existence", "separation", "tree-correlation-disjoint", "quartets", "orthogonality-b")


@dataclass(frozen=True, kw_only=True)
class TrainingStudy(Study["TrainingResult"]):
    """The claims over the checkpoints of one model: at the unembedding and at a few blocks, beside nulls and twins.

    >>> steps = ("0", "1", "2", "4", "8", "16", "32", "64", "128", "256", "512", "1000:143000:1000")
    >>> study = TrainingStudy(models=("EleutherAI/pythia-160m",), steps=steps)
    >>> len(study.checkpoints), study.checkpoints[-1].model
    (154, 'EleutherAI/pythia-160m@step143000')

    At the unembedding concepts are made of single tokens, as in the study of claims; at blocks of words and phrases in
    contexts, as in the study of layers. One checkpoint is in memory at a time. What is measured of each is kept in the
    cache, so that an interrupted run goes on where it was; one that cannot be read is left out, with its reason.
    """

    name: ClassVar[str] = "training"
    whole_model: ClassVar[bool] = True
    question: ClassVar[str] = (
        "When in training does the concept hierarchy appear, in which order, and does the coarse come first?"
    )
    quick: ClassVar[Mapping[str, Any]] = {"n_concepts": 60, "blocks": 2, "n_contexts": 1, "n_twins": 2}

    models: tuple[str, ...] = option((), "checkpoints: hub ids with revisions, or folders; with --steps one hub id")
    steps: tuple[str, ...] = option((), "revisions of the hub id: steps, or ranges FIRST:LAST:BY", metavar="N")
    revision: str = option("step{}", "what the revision of a step is called")
    hierarchy: str = option("wordnet-noun", "wordnet-noun, wordnet:SYNSET, a packaged name, or a YAML or JSON file")
    blocks: int = option(4, "read the residual stream after so many, evenly spaced; 0: the unembedding alone", least=0)
    n_concepts: int = option(200, "concepts at blocks, those with the most words", least=4)
    words_per_concept: int = option(10, "words and phrases of a concept's own at blocks, at most", least=3)
    contexts: str = option("neutral", "packaged contexts, a YAML or JSON file, or one text with a gap, 'I saw a {}'")
    n_contexts: int = option(2, "contexts, the first of them; 0: all", least=0)
    claims: tuple[str, ...] = option(TESTED, "by name; all: every claim", metavar="C")
    n_permutations: int = option(99, "of lemmas, and of phrases", least=1)
    n_twins: int = option(3, "theory twins of the first and the last checkpoint, exact and tilted", least=2)
    control: str = option("glove-6b-100d", "word vectors to stand beside the model, if fetched; none: without")

    def __post_init__(self) -> None:
        super().__post_init__()
        steps_of(self.steps)
        if not self.claims:
            raise EstimationError("claims must name at least one claim, or all")

    @property
    def checkpoints(self) -> list[Checkpoint]:
        """Those asked for, by ascending step; EstimationError as of `checkpoints_of`."""
        return checkpoints_of(self.models, self.steps, self.revision)

    def read_at(self, depth: int) -> list[int]:
        """The blocks of a model of so many whose outputs are read: evenly spaced, the last among them."""
        count = min(self.blocks, depth)
        return [round(depth * (number + 1) / count) - 1 for number in range(count)]

    @property
    def subject(self) -> tuple[str, ...]:
        """The checkpoints as they were given."""
        return self.models

    @property
    def folder(self) -> Path:
        """figures/training."""
        return Path("figures") / self.name

    def measure(self, step: Step) -> "TrainingResult":
        """See `measure_training`."""
        from geometry.experiments.training.measure import measure_training

        return measure_training(self, step)
