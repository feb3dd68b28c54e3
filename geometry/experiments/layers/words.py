"""The findings of the study of layers in sentences."""

from typing import TYPE_CHECKING

import numpy as np

from geometry.experiments.layers.by_block import ClaimByBlock, place
from geometry.experiments.layers.depth import DepthOrder
from geometry.results import LEVEL
from geometry.steering import Site

if TYPE_CHECKING:
    from geometry.experiments.layers.result import LayersResult


def at(site: Site) -> str:
    """A site as one says it."""
    passed = place(site)
    return "before the first block" if not passed else f"after {passed} block{'s' if passed > 1 else ''}"


def sentences(result: "LayersResult") -> list[str]:
    """The main finding first."""
    said = [headline(result)]
    told = [claim_sentence(claim) for claim in result.claims.values()]
    said += [sentence for sentence in told if sentence[1:] not in said[0]]
    said += [orthogonality_sentence(result)] if result.orthogonality else []
    said += [sentence for claim in result.claims.values() if (sentence := control_sentence(claim))]
    said += [depth_sentence(depth) for depth in result.depths]
    said += [metric_sentence(result)] if result.metrics else []
    said += [context_sentence(result)] if result.held_out_context else []
    said += [lemma_sentence(result), splitting_sentence(result)] if result.of_the_tree else []
    if result.steered is not None:
        said += result.steered.summary()
    elif result.without_steering:
        said.append(f"Nothing was steered: {result.without_steering}")
    said += [result.left_out] if result.left_out else []
    if result.pictures is not None:
        said += [f"No {name}: {reason}" for name, reason in result.pictures.left_out.items()]
    if result.without_control:
        said.append(f"Word vectors do not stand beside the model: {result.without_control}")
    return [f"{sentence.rstrip('.')}." for sentence in said]


def headline(result: "LayersResult") -> str:
    """How much of the hierarchy is there from the start, and where the first claim is sharpest."""
    claims = [claim for claim in result.claims.values() if not claim.orthogonal and claim.sharpest is not None]
    if not claims:
        return claim_sentence(next(iter(result.claims.values())))
    start = sum(bool(claim.significant[0]) for claim in claims)
    said = f"{start} of {len(claims)} claims are significant {at(next(iter(claims[0].tests)))}"
    return f"{said}; {claim_sentence(claims[0])[0].lower()}{claim_sentence(claims[0])[1:]}"


def claim_sentence(claim: ClaimByBlock) -> str:
    """Where a claim is sharpest, and where it has appeared."""
    name, site = _capital(claim.name), claim.sharpest
    if site is None:
        return f"{name} is {claim.first.verdict}"
    test, number = claim.tests[site], list(claim.tests).index(site)
    if claim.orthogonal:
        return f"{name} has its smallest cosine {at(site)} ({test.value:.2f}): {test.verdict}"
    control = "" if claim.control is None else f", GloVe {claim.control.value:.2f}"
    beside = f"{test.value:.2f}; permuted phrases {claim.nulls[number]:.2f}{control}"
    if claim.appears is None:
        few = test.p_value <= test.p_floor
        how = "too few permutations to decide" if few else "not significant where it is sharpest,"
        return f"{name}: {how} {at(site)} ({beside})"
    reached = "" if claim.appears == site else f", 90% of it {at(claim.appears)}"
    return f"{name} is sharpest {at(site)} ({beside}){reached}"


def control_sentence(claim: ClaimByBlock) -> str:
    """Whether the sharpest block is beyond word vectors of the same phrases; empty without them."""
    if claim.control is None or claim.sharpest is None or not np.isfinite(claim.control.value) or claim.orthogonal:
        return ""
    test, other = claim.tests[claim.sharpest], claim.control
    own = test.interval if claim.sign > 0 else (-test.interval[1], -test.interval[0])
    theirs = other.interval if claim.sign > 0 else (-other.interval[1], -other.interval[0])
    how = "beyond" if own[0] > theirs[1] else "below" if own[1] < theirs[0] else "no clearer than"
    return f"Where it is sharpest, {claim.name} is {how} GloVe's vectors of the same phrases ({other.value:.2f})"


def depth_sentence(depth: DepthOrder) -> str:
    """Whether the coarse comes before the fine."""
    if not np.isfinite(depth.slope):
        return f"By {depth.name} it cannot be said whether the coarse comes first: too few levels with enough concepts"
    low, high = depth.interval
    numbers = f"{depth.slope:+.1f} blocks a level [{low:+.1f}, {high:+.1f}], p = {depth.p_value:.2g}"
    if not (depth.p_value <= LEVEL and low * high > 0):
        return f"By {depth.name}, coarse levels of the tree come neither before nor after fine ones ({numbers})"
    order = ("coarse", "fine") if depth.slope > 0 else ("fine", "coarse")
    return f"By {depth.name}, {order[0]} levels of the tree come before {order[1]} ones ({numbers})"


def metric_sentence(result: "LayersResult") -> str:
    """The best values under each inner product, of the first claim with a null."""
    claim = next((one for one in result.claims.values() if not one.orthogonal), None)
    if claim is None:
        return "No claim with a null was compared under other inner products"
    best = {result.study.metric: float(np.nanmax(claim.sign * (claim.values - claim.nulls)))}
    for metric, by in result.metrics.items():
        tests = by[claim.name].values()
        best[metric] = float(np.nanmax([claim.sign * (test.value - test.nulls["permuted"].mean) for test in tests]))
    ranked = sorted(best, key=lambda name: -best[name])
    said = ", ".join(f"{best[name]:.2f} ({name})" for name in ranked)
    return f"At its best block {claim.name} stands above permuted phrases by {said}, by inner product"


def context_sentence(result: "LayersResult") -> str:
    """Held-out words in a held-out context, beside held-out words alone."""
    means = {site: float(np.mean(values)) for site, values in result.held_out_context.items()}
    best = max(means, key=lambda site: means[site])
    beside = ""
    if (claim := result.claims.get("existence")) is not None:
        beside = f" ({claim.tests[best].value:.2f} in the contexts of the vectors)"
    said = "Of held-out words in a held-out context the projection is at most"
    return f"{said} {means[best]:.2f}, {at(best)}{beside}"


def lemma_sentence(result: "LayersResult") -> str:
    """Leave-one-lemma-out accuracy at its best."""
    claim = result.of_the_tree["leave_one_lemma_out"]
    best = claim.sharpest
    if best is None:
        return "No concept has children enough to classify words that are left out"
    test = claim.tests[best]
    said = f"Words left out one lemma at a time are classified among siblings best {at(best)}"
    return f"{said} (chance-corrected accuracy {test.value:.2f}, permuted phrases {test.nulls['permuted'].mean:.2f})"


def splitting_sentence(result: "LayersResult") -> str:
    """Whether the leading eigenvectors of the words' Gram matrix split the tree from the top."""
    claim = result.of_the_tree["spectral_order"]
    site = claim.sharpest
    if site is None:
        return "The order of eigenvectors cannot be compared with the tree: it has too few levels"
    beyond = sum(test.p_value <= LEVEL for test in claim.tests.values())
    where = f"{beyond} of {len(claim.tests)} sites by p = .05"
    said = f"Leading eigenvectors hold the coarse levels of the tree first at {where}"
    null, control = claim.tests[site].nulls["permuted"].mean, claim.control
    beside = "" if control is None or not np.isfinite(control.value) else f", GloVe {control.value:.2f}"
    return f"{said} (Somers' D at most {claim.tests[site].value:.2f}, {at(site)}; permuted phrases {null:.2f}{beside})"


def orthogonality_sentence(result: "LayersResult") -> str:
    """The verdicts on orthogonality at the blocks with twins."""
    verdicts = [test.verdict for claim in result.orthogonality.values() for test in claim.tests.values()]
    held = sum(verdict.startswith(("orthogonal", "near-orthogonal")) for verdict in verdicts)
    against = sum(verdict.startswith("contradicted") for verdict in verdicts)
    return (
        f"Of {len(verdicts)} verdicts on orthogonality inside the model, {held} are for it, {against} contradict it and"
        f" {len(verdicts) - held - against} are inconclusive"
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
