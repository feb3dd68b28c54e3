"""Tables of the study of claims."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

import geometry.evidence as evidence
from geometry.experiments.result import TableSpec
from geometry.intervals import mean_of
from geometry.results import EXACT, TILTED, Difference, TestResult

if TYPE_CHECKING:
    from geometry.experiments.claims.result import ClaimsResult

# Statistics that claim nothing.
BESIDE = {
    "projection_token": "projection of held-out tokens instead of lemmas",
    "separation": "AUC of ℓ(child) instead of its contrast",
    "separation_token": "AUC of ℓ(child), held-out tokens",
}
_BESIDE_NULLS = ("permuted", "gaussian", "random_subset")


def claim_tables(result: "ClaimsResult") -> list[TableSpec]:
    """A hierarchy's claims, its orthogonality, products, the control, series, what was measured besides, verdicts."""
    tables = []
    for name in result.hierarchies:
        tables += [_claims(result, name), _orthogonality(result, name)]
    tables.append(_products(result.claims))
    tables += [_control(result, name) for name in result.control]
    if result.series_claims:
        tables.append(_series(result))
    tables += _beside(result)
    words = dict.fromkeys(evidence.verdict_word(test.verdict) for test in (*result.claims, *result.series_claims))
    tables.append(TableSpec("Verdicts", ("verdict", "meaning"), [[word, evidence.VERDICTS[word]] for word in words]))
    return tables


def _claims(result: "ClaimsResult", name: str) -> TableSpec:
    hierarchy, n = result.hierarchies[name], result.study.n_permutations
    blocks = evidence.LemmaBlocks.of(hierarchy)
    rows = []
    for test in result.claims.about(name):
        if isinstance(test, evidence.OrthogonalityResult):
            continue
        twins = [number(mean_of(test.twin[kind])) if kind in test.twin else "–" for kind in (EXACT, TILTED)]
        power = [f"{test.power[key]} of {test.power['of']}" if test.power else "–" for key in ("exact", "half")]
        subset = null_mean(test, "random_subset")
        rows.append(
            [
                test.title,
                test.verdict,
                value(test),
                null_mean(test, "permuted"),
                subset,
                *twins,
                standing(test),
                *power,
                number(test.share, 2),
                p_value(test.p_value),
                p_value(test.p_adjusted),
            ]
        )
    head = ("claim", "verdict", "value", "permuted lemmas", "random subset", "exact twin", "tilted twin", "standing")
    tail = ("power", "at half", "share", "p", "adjusted p")
    return TableSpec(
        f"Claims on {name}",
        (*head, *tail),
        rows,
        f"{len(hierarchy)} concepts, {len(hierarchy.edges)} edges; concepts are fitted to at most {evidence.MAX_TOKENS}"
        f" of their words. p: {n} permutations of lemmas in {len(blocks.strata)} strata ({blocks.fixed} lemmas cannot"
        f" move), p ≥ {1 / (1 + n):.2g}; adjusted over the claims on all hierarchies (Benjamini–Hochberg). Brackets:"
        " 95% bootstrap interval, families drawn again. Standing: from the permutations (0) to the exact twin (1)."
        " Power: how many exact twins would be significant, at their effect and at half of it. Share: of variance,"
        " noise-corrected.",
    )


def _orthogonality(result: "ClaimsResult", name: str) -> TableSpec:
    rows = []
    for test in result.claims.about(name):
        if isinstance(test, evidence.OrthogonalityResult):
            published = test.related["published"].absolute()
            others = [value(other) for other in test.by_estimator.values()]
            power = [f"{test.power[key]} of {test.power['of']}" if test.power else "–" for key in (TILTED, EXACT)]
            rows.append(
                [
                    test.title,
                    test.verdict,
                    value(test),
                    *others,
                    *map(number, reversed(test.ends)),
                    number(test.unrelated.value),
                    number(test.smallest_bound, 2),
                    *power,
                    str(test.cosine.n_families),
                    value(published),
                    null_mean(published, "random_subset"),
                ]
            )
    head = ("claim", "verdict", "debiased cosine", "by means", "exact twin", "tilted twin", "unrelated")
    tail = ("bound that holds", "tilted found", "exact found", "families", "|cos| as published", "random subset")
    return TableSpec(
        f"Orthogonality on {name}",
        (*head, *tail),
        rows,
        "Cosine of true vectors, freed of noise by word-disjoint folds: sign·√|cos²|, 95% interval over families. Exact"
        " and tilted twins: the same where the theory is true, and where contrasts are tilted by a cosine of 0.3."
        " Contradicted: cos² exceeds the exact twins', and the bound 0.15 fails. In (a) and (d) contrast and reference"
        " share words, so that theory itself gives no 0: there the bound is that of the excess over the exact twins."
        " Found: how many twins the test would find to deviate. As published: of all words, where nesting alone makes"
        " |cos| small.",
    )


def _products(claims: Iterable[TestResult]) -> TableSpec:
    rows = [
        [
            f"{test.name}, {test.subject}",
            value(test),
            *(difference(test, null) for null in ("euclidean", "random_metric")),
        ]
        for test in claims
        if test.measured and test.compared
    ]
    return TableSpec(
        "Is it the causal inner product's doing?",
        ("claim", "causal product", "less Euclidean product", "less random metric"),
        rows,
        "Paired differences by concept, edge or family, with 95% intervals; of orthogonality differences of cos². The"
        " random metric has the spectrum of the causal one along random axes.",
    )


def _control(result: "ClaimsResult", name: str) -> TableSpec:
    pair = result.control[name]
    rows = [
        [own.name, value(own), null_mean(own, "permuted"), value(other), null_mean(other, "permuted")]
        for own, other in pair.rows()
    ]
    return TableSpec(
        f"Is it the language model's doing? {name} beside {pair.name}",
        ("claim", "model", "permuted lemmas", pair.name, "permuted lemmas"),
        rows,
        f"{len(pair.hierarchy)} concepts over the {len(pair.hierarchy.tokens):,} words that both have, each in its own"
        " space.",
    )


def _series(result: "ClaimsResult") -> TableSpec:
    rows = [
        [
            test.title,
            test.verdict,
            value(test),
            null_mean(test, test.reference),
            p_value(test.p_value),
            p_value(test.p_adjusted),
        ]
        for test in result.series_claims
    ]
    caption = "Null: of shapes permuted orders, of composition shuffled positions, of pairs sign flips; p adjusted over"
    caption += " these tests. Brackets: 95% bootstrap interval of the mean."
    head = ("claim", "verdict", "value", "null", "p", "adjusted p")
    return TableSpec("Claims on series of values and pairs of words", head, rows, caption)


def _beside(result: "ClaimsResult") -> list[TableSpec]:
    rows = [
        [f"{name}: {BESIDE[test.name]}", value(test), *(null_mean(test, null) for null in _BESIDE_NULLS)]
        for name, tests in result.beside.items()
        for test in tests
        if test.name in BESIDE and test.measured
    ]
    for test in result.claims:
        if (other := test.related.get("disattenuated")) is not None and other.measured:
            nulls = (null_mean(other, null) for null in _BESIDE_NULLS)
            rows.append([f"{test.subject}: split-half subspace overlap, disattenuated", value(other), *nulls])
    head = ("measured besides", "value", "permuted lemmas", "Gaussian rows", "random subset")
    caption = (
        "Forms of one word fall on both sides when tokens are held out instead of lemmas. Disattenuated: the overlap"
    )
    caption += (
        " over the mean squared cosine of single contrasts between halves, 1 if all k − 1 dimensions are as clear."
    )
    return [TableSpec("The same with other splits and vectors", head, rows, caption)] if rows else []


def number(value: float, digits: int = 3) -> str:
    """With a minus sign, and no minus before zero."""
    if not np.isfinite(value):
        return "–"
    return f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}") if round(value, digits) else f"{0:.{digits}f}"


def value(test: TestResult) -> str:
    """With its interval."""
    low, high = test.interval
    return f"{number(test.value)} [{number(low)}, {number(high)}]" if test.measured else "–"


def standing(test: TestResult) -> str:
    """Where a shape stands between its null and its exact twin; one as large as the twin's is at the ceiling."""
    shown = number(test.standing, 2)
    return f"{shown}, at the ceiling" if test.standing >= 1 and not np.isfinite(test.share) else shown


def difference(test: TestResult, null: str) -> str:
    """From a null, with its interval."""
    if null not in test.compared:
        return "–"
    result: Difference = test.difference(null)
    return f"{number(result.value)} [{number(result.interval[0])}, {number(result.interval[1])}]"


def null_mean(test: TestResult, null: str | None) -> str:
    """Of one of its nulls."""
    return number(test.nulls[null].mean) if null and null in test.nulls else "–"


def p_value(p: float) -> str:
    """With two digits."""
    return f"{p:.2g}" if np.isfinite(p) else "–"
