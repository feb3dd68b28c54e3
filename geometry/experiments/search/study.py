"""Can meaningful directions be found without saying what for? The question and its options."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from geometry.errors import EstimationError
from geometry.experiments.study import ModelStudy, Step, option

if TYPE_CHECKING:
    from geometry.experiments.search.result import SearchResult


@dataclass(frozen=True, kw_only=True)
class SearchStudy(ModelStudy["SearchResult"]):
    """Search for vectors that change later activations most, and see what they bring on prompts that they never saw.

    >>> import geometry as geo
    >>> study = geo.experiments.SearchStudy(n_vectors=4, n_steps=20)
    >>> result = study.run()  # doctest: +SKIP
    >>> result.parts["held out"].summary()  # doctest: +SKIP
    """

    name: ClassVar[str] = "search"
    whole_model: ClassVar[bool] = True
    question: ClassVar[str] = (
        "What do vectors bring that were searched only for the change they make to later activations?"
    )
    quick: ClassVar[Mapping[str, Any]] = {
        "n_steps": 12, "n_vectors": 4, "n_searches": 2, "n_held_out": 8, "n_random": 10,
    }  # fmt: skip
    full: ClassVar[Mapping[str, Any]] = {"n_searches": 5, "n_held_out": 40, "n_random": 99}

    hierarchy: str = option("wordnet-noun", "wordnet-noun, wordnet:SYNSET, a packaged name, or a YAML or JSON file")
    site: str = option("", "where vectors are added; default, after a quarter of the blocks", metavar="SITE")
    read_site: str = option("", "where their change is read; default, after three quarters", metavar="SITE")
    norm: float = option(0.25, "of the vectors, × residual norm")
    penalty: float = option(0.5, "of the change on neutral text, against that on the prompts")
    n_vectors: int = option(8, "searched for together, orthogonal", least=2)
    n_steps: int = option(100, "of a search", least=1)
    n_searches: int = option(3, "from different random vectors", least=2)
    n_prompts: int = option(4, "that vectors are searched on", least=1)
    n_held_out: int = option(16, "further prompts, and as many neutral ones, that vectors are judged on", least=3)
    n_random: int = option(24, "random vectors beside what vectors say of concepts", least=9)
    prompts: str = option("neutral", "packaged set of prompts, or a YAML or JSON file")
    neutral: str = option("encyclopedia", "packaged set, or a file, whose beginnings are to stay as they are")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.norm < float("inf"):
            raise EstimationError(f"norm: a positive multiple of the residual norm, not {self.norm}")
        if not 0 <= self.penalty < float("inf"):
            raise EstimationError(f"penalty: a number of at least 0, not {self.penalty}")

    def measure(self, step: Step) -> "SearchResult":
        """See `measure_search`."""
        from geometry.experiments.search.measure import measure_search

        return measure_search(self, step)
