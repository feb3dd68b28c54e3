"""How far does steering to a concept reach along the tree? The question and its options."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from geometry.experiments.study import ModelStudy, Step, option

if TYPE_CHECKING:
    from geometry.experiments.selectivity.result import SelectivityResult


@dataclass(frozen=True, kw_only=True)
class SelectivityStudy(ModelStudy["SelectivityResult"]):
    """Steer to each of many concepts, and see what becomes of all others, by their place in the tree.

    >>> import geometry as geo
    >>> study = geo.experiments.SelectivityStudy(n_concepts=20)
    >>> result = study.run()  # doctest: +SKIP
    >>> result.parts["tree"].tests[0].p  # doctest: +SKIP

    At the output layer addition is algebra on the next-token law, so that every concept is steered to, with null models
    that are treated alike; the dual step takes Newton steps, and what runs the model takes passes: these are made for
    fewer concepts (`n_dual`, `n_forward`), spread over the same depths.
    """

    name: ClassVar[str] = "selectivity"
    whole_model: ClassVar[bool] = True
    question: ClassVar[str] = (
        "What does steering to a concept do to its parents, siblings and cousins, and at what cost?"
    )
    quick: ClassVar[Mapping[str, Any]] = {
        "n_concepts": 24, "n_permutations": 19, "n_dual": 3, "n_forward": 2, "n_prompts": 8, "n_completions": 8,
        "n_downstream": 2, "n_mixtures": 1,
    }  # fmt: skip
    full: ClassVar[Mapping[str, Any]] = {
        "n_permutations": 199, "n_dual": 100, "n_forward": 100, "n_prompts": 48, "n_completions": 96
    }  # fmt: skip

    hierarchy: str = option("wordnet-noun", "wordnet-noun, wordnet:SYNSET, a packaged name, or a YAML or JSON file")
    n_concepts: int = option(100, "concepts to steer to, spread over the depths of the hierarchy", least=3)
    n_permutations: int = option(29, "of lemmas among concepts: nulls of addition", least=1)
    n_dual: int = option(16, "of the concepts by the dual step too", least=1)
    n_tokens: int = option(5000, "likeliest tokens on which the dual step is computed", least=100)
    n_forward: int = option(8, "of the concepts by mean differences at a block and by prompting too", least=1)
    n_prompts: int = option(24, "neutral prompts, the first of them", least=3)
    n_completions: int = option(16, "generations of each condition, for four concepts; 0: none", least=0)
    n_downstream: int = option(8, "concepts whose projections are followed to later blocks; 0: none", least=0)
    n_mixtures: int = option(4, "pairs of siblings that are mixed to chosen shares; 0: none", least=0)
    prompts: str = option("neutral", "packaged set of prompts, or a YAML or JSON file")

    def measure(self, step: Step) -> "SelectivityResult":
        """See `measure_selectivity`."""
        from geometry.experiments.selectivity.measure import measure_selectivity

        return measure_selectivity(self, step)
