"""A judge that reads the model itself, unsteered, on what was written: a probe at another site than the steered one."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from geometry.arguments import checked
from geometry.errors import EstimationError, SteeringError
from geometry.judging.judge import Judge
from geometry.probing import HeldOutClassification, Probe, classify_held_out
from geometry.steering import Site, SiteLike, SteeringVector, read_activations
from geometry.steering.hook_manager import HookManager
from geometry.steering.prompts import Tokenizer

_FOLDS = 5


@checked(held_out=object)
@dataclass(frozen=True, eq=False, repr=False)
class ProbeJudge(Judge):
    """A judge by a probe.

    Attributes:
        held_out: its accuracy on texts that it was not fitted to, with interval and shuffled labels.
    """

    held_out: HeldOutClassification | None = None


@checked
def probe_judge(
    model: nn.Module,
    tokenizer: Tokenizer,
    positives: Sequence[str],
    negatives: Sequence[str],
    site: SiteLike,
    *,
    steered: SteeringVector | None = None,
    name: str = "probe",
    seed: int = 0,
) -> ProbeJudge:
    """How far texts are of the first kind, by ridge regression on the mean activation of their tokens.

    Example::

        judge = geo.judging.probe_judge(model, tokenizer, on_birds, on_others, "output.8", steered=vector)
        print(judge.notes)  # its accuracy on held-out texts
        scores = judge(["A robin sang in the hedge."])

    A text is read without steering, so that it is what was written that counts, and at another site than the one that
    the vector acts at, so that a vector does not judge itself.

    Parameters:
        positives, negatives: texts of either kind, at least five of each.
        site: where the model is read.
        steered: the vector whose texts are to be judged; a site that it acts at is refused.
        seed: of the shuffled labels.

    Returns ProbeJudge: about 1 for a text of the first kind and 0 for one of the second. A text without a token scores
        as the mean of the training texts.
    Raises EstimationError: fewer texts.
    Raises SteeringError: a site that the vector acts at, and when it is called, a vector at work in the model.
    """
    parsed = Site.parse(site)
    acting = [place for place in (steered.sites if steered is not None else ()) if _same(place, parsed)]
    if acting:
        raise SteeringError(f"{name}: the vector acts at {acting[0]}; a probe that is to judge it reads another site")
    if min(len(positives), len(negatives)) < _FOLDS:
        raise EstimationError(
            f"{name}: {len(positives)} and {len(negatives)} texts; {_FOLDS} of each kind are needed at least"
        )
    read = partial(_means, model, tokenizer, parsed)
    points = read([*positives, *negatives])
    labels = ["positive"] * len(positives) + ["negative"] * len(negatives)
    folds = [f"fold {index % _FOLDS}" for group in (positives, negatives) for index in range(len(group))]
    held_out = classify_held_out(points, labels, folds, n_permutations=19, seed=seed)
    probe = Probe.fit(points, labels)
    centre = points.mean(axis=0)

    def score(texts: Sequence[str]) -> NDArray[np.float64]:
        full = [index for index, text in enumerate(texts) if tokenizer.encode(text, add_special_tokens=False)]
        rows = np.tile(centre, (len(texts), 1))
        if full:
            rows[full] = read([texts[index] for index in full])
        return probe.scores(rows)[:, 0]

    low, high = held_out.interval
    shuffled = held_out.to_dict()["shuffled_95%"]
    note = (
        f"probe at {parsed}: balanced accuracy {held_out.value:.2f} [{low:.2f}, {high:.2f}] on held-out texts of"
        f" {len(points)}, 95% of shuffled labels below {shuffled:.2f}"
    )
    return ProbeJudge(name, f"probe at {parsed}, 0 to 1", score, (note,), held_out)


def _means(model: nn.Module, tokenizer: Any, site: Site, texts: Sequence[str]) -> NDArray[np.float64]:
    if HookManager.at_work(model) is not None:
        raise SteeringError("a probe judges what was written by the unsteered model; remove the vector at work first")
    read = read_activations(model, tokenizer, texts, [site], token="mean")  # noqa: S106 (no password)
    return np.asarray(read[site].double().numpy())


def _same(first: Site, second: Site) -> bool:
    """Whether they are one place in the residual stream, where the output of a block is the input of the next."""
    return _place(first) == _place(second)


def _place(site: Site) -> tuple[str, int | None]:
    if site.place == "input" and site.block:
        return "output", site.block - 1
    return site.place, site.block
