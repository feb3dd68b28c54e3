"""The study of claims: its question and its options."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from geometry.experiments.study import ModelStudy, Step, option

if TYPE_CHECKING:
    from geometry.experiments.claims.result import ClaimsResult


@dataclass(frozen=True, kw_only=True)
class ClaimsStudy(ModelStudy["ClaimsResult"]):
    """Every claim about concept hierarchies, series of values and pairs of words, between its nulls and its twins.

    >>> result = ClaimsStudy(model="smollm2-135m").run()  # doctest: +SKIP
    >>> result.claims.about("wordnet-noun")["existence"].verdict  # doctest: +SKIP
    'supported'

    Writes an overview, a figure for each claim, the planes and the simplex of hand-made classes, results.json and
    results.npz. The nouns and verbs of WordNet carry the numbers; the hand-made classes have few words, but checked
    ones. Every concept is fitted to at most `geometry.evidence.MAX_TOKENS` of its words, in the model, in its nulls and
    in its theory twins alike. p-values are adjusted over the claims on hierarchies together, and over those on series
    and pairs together. Word vectors, which no language model made, are tested on the words that both have.
    """

    name: ClassVar[str] = "claims"
    question: ClassVar[str] = "Which claims of the theory hold in a model, and which does a null model satisfy as well?"
    full: ClassVar[Mapping[str, Any]] = {"n_permutations": 999, "n_twins": 20}

    hierarchies: tuple[str, ...] = option(
        ("wordnet-noun", "wordnet-verb"),
        "wordnet-noun, wordnet-verb, packaged names, or YAML or JSON files",
        metavar="H",
    )
    recipe: str = option("published", "of WordNet's words", choices=("published", "complete"))
    n_permutations: int = option(199, "of lemmas, shared by all claims: p ≥ 1/(1 + n_permutations)", least=1)
    n_twins: int = option(5, "theory twins, exact and tilted: so many of each", least=2)
    control: str = option("glove-6b-100d", "word vectors to stand beside the model, or another model; none: without")

    def measure(self, step: Step) -> "ClaimsResult":
        """See `measure_claims`."""
        from geometry.experiments.claims.measure import measure_claims

        return measure_claims(self, step)
