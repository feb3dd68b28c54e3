"""The figures of calibration: rates beside the level, and verdicts beside the truth."""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

import geometry.plots as plots
from geometry.evidence import VERDICTS
from geometry.experiments.result import FigureSpec
from geometry.results import LEVEL

if TYPE_CHECKING:
    from geometry.experiments.calibration.result import CalibrationResult

_SERIES = {"permuted lemmas": "lemmas permuted in bands of frequency", "permuted tokens": "tokens permuted"}
_MOST = 0.5


def rates(result: "CalibrationResult") -> FigureSpec:
    """How often each claim is found, where nothing is there and where all is."""
    blocks, tokens = ([result.rate(w, c, null) for w in result.unstructured for c in result.claims] for null in _SERIES)
    shares = [rate.share for rate in blocks if rate.of]
    above = sum(rate.interval[0] > LEVEL for rate in blocks)
    title = f"Without structure claims are found in {100 * min(shares):.0f}–{max(shares):.0%} of models at p ≤ 0.05"
    title += f" ({above} of {len(shares)} rates above it beyond error)" if above else ""
    title += f", with tokens permuted in up to {max(rate.share for rate in tokens if rate.of):.0%}"
    n, permutations = len(next(iter(result.p_values.values()))), result.study.settings["n_permutations"]
    caption = (
        f"{n} planted models a panel, {permutations} permutations each; 95% binomial intervals. Noise: Gaussian rows."
        " Frequency only: rows depend on frequency, concepts on its tenth; smooth: on rank within it too. Variants:"
        " forms of a lemma are similar. GloVe-like: power-law spectrum, heavy common component. True: each concept adds"
        " a contrast orthogonal to all others."
    )
    panels = []
    for world in [*result.unstructured, *result.structured]:
        structured = world in result.structured
        rows = []
        for claim in result.claims:
            measured = {said: result.rate(world, claim, null) for null, said in _SERIES.items()}
            estimates = {said: plots.Estimate(rate.share, *rate.interval) for said, rate in measured.items()}
            rows.append(plots.ForestRow(estimates))
        limits, says = ((-0.04, 1.04), "power") if structured else ((-0.02, _MOST), "false positives")
        panels.append(plots.ForestPanel(says, rows, world, {} if structured else {LEVEL: ""}, limits))
    return FigureSpec("rates", title, caption, partial(plots.forest, panels, list(result.claims)))


def verdicts(result: "CalibrationResult") -> FigureSpec:
    """Which verdicts each kind of model gets."""
    worlds, cosines = list(result.true_cosines), result.true_cosines
    counts = {title: result.confusion(claims) for title, claims in result.groups.items()}
    used = [word for word in VERDICTS if any(found[word] for of in counts.values() for found in of.values())]
    b, n = next(iter(counts.values())), len(result.judged) // len(worlds)
    title = (
        f"Claim (b) is “orthogonal within 0.15” in {b['true']['orthogonal within 0.15']} of {n} models where it holds,"
        f" “contradicted” in {b['tilted .3']['contradicted']} of {n} with a true cosine of {cosines['tilted .3']:.2f}"
    )
    caption = (
        f"Verdicts by kind of planted model, {n} of each, claims counted together; colour: share of the column. Tilted:"
        " contrasts have cosine ±.15 or ±.3 with their parent's centre; the true cosine of (b), of siblings' contrast"
        f" with the mean of their parent's other words, is {cosines['tilted .15']:.2f} and {cosines['tilted .3']:.2f}."
        " Noise: no concepts. The glossary says what each verdict means."
    )
    panels = [_panel(title, of, worlds, used) for title, of in counts.items()]
    return FigureSpec("verdicts", title, caption, partial(plots.heatmap, panels, ncols=3))


def _panel(title: str, counts: dict[str, Counter[str]], worlds: Sequence[str], words: Sequence[str]) -> Any:
    table = np.array([[counts[world][word] for world in worlds] for word in words], dtype=np.float64)
    texts = [[f"{count:.0f}" if count else "" for count in row] for row in table]
    return plots.HeatmapPanel(table / table.sum(axis=0), words, worlds, title, cmap="Blues", texts=texts)
