"""The findings of the study of training in sentences."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from geometry.display import listed
from geometry.experiments.layers.depth import DepthOrder
from geometry.experiments.layers.words import at as after
from geometry.experiments.training.by_step import ClaimByStep
from geometry.results import LEVEL
from geometry.steering import Site

if TYPE_CHECKING:
    from geometry.experiments.training.result import TrainingResult

UNEMBEDDING = "unembedding"
_ORDER = {
    1: "is there before",
    0: "is there at no step that can be told apart from that of",
    -1: "is there after",
}


def at(site: str) -> str:
    """A site as one says it."""
    return "at the unembedding" if site == UNEMBEDDING else after(Site.parse(site))


def sentences(result: "TrainingResult") -> list[str]:
    """The main finding first."""
    said = [claim_sentence(claim, result.step) for claim in result.claims[UNEMBEDDING].values()]
    said.append(order_sentence(result.claims[UNEMBEDDING], result.step))
    if result.blocks:
        last = result.blocks[-1]
        said += [claim_sentence(claim, result.step) for claim in result.claims[last].values()]
        said.append(order_sentence(result.claims[last], result.step))
        said.append(blocks_sentence(result))
    said += [depth_sentence(depth, site) for site, depths in result.depths.items() for depth in depths]
    said.append(first_sentence(result))
    if result.without_control:
        said.append(f"Word vectors do not stand beside the model: {result.without_control}")
    said += result.notes
    said += [f"{model} is left out: {reason}" for model, reason in result.left_out.items()]
    return [f"{sentence.rstrip('.')}." for sentence in said]


def leading(claims: Mapping[str, ClaimByStep]) -> ClaimByStep:
    """The first claim with a null that can be measured, or else the first."""
    found = (claim for claim in claims.values() if not claim.orthogonal and not claim.unmeasurable)
    return next(found, next(iter(claims.values())))


def when(claim: ClaimByStep, step: str = "step") -> str:
    """The step at which a claim is there, with its interval."""
    if claim.appears is None:
        return "never"
    numbers = f"{step} {claim.appears:,}"
    return f"{numbers} [{claim.interval[0]:,}, {claim.interval[1]:,}]" if claim.interval else numbers


def claim_sentence(claim: ClaimByStep, step: str) -> str:
    """When a claim is there, and where it is furthest from its null."""
    name, where = _capital(claim.name), at(claim.site)
    if claim.best is None or claim.unmeasurable:
        return f"{name} {where} is {claim.unmeasurable or 'not measurable'}"
    best, last = claim.tests[claim.best], claim.tests[int(claim.places[-1])]
    if claim.orthogonal:
        how = f"(cosine {last.value:.2f} at the end)"
        if claim.appears is None:
            return f"{name} {where} is within its bound at no {step} {how}"
        return f"{name} {where} is within its bound first at {when(claim, step)} {how}"
    permuted = "lemmas" if claim.site == UNEMBEDDING else "phrases"
    numbers = f"{best.value:.2f} beside {best.null:.2f}"
    furthest = f"furthest from permuted {permuted} at {step} {claim.best:,} ({numbers})"
    if claim.appears is None:
        few = "too few permutations to decide" if best.p_value <= best.p_floor else "not significant"
        return f"{name} {where} is not found: {few} where it is {furthest}"
    return f"{name} {where} is there at {when(claim, step)}, {furthest}"


def order_sentence(claims: Mapping[str, ClaimByStep], step: str) -> str:
    """Whether the leading claim is there before the others."""
    first = leading(claims)
    others = [claim for claim in claims.values() if claim is not first and not claim.unmeasurable]
    where = _capital(at(first.site))
    if not others:
        return f"{where} there is no other claim that {first.name} could come before"
    if first.appears is None:
        found = listed([f"{claim.name} ({when(claim, step)})" for claim in others if claim.appears is not None])
        return f"{where} {first.name} is not found, and {found or 'no other claim'} is"
    groups: dict[str, list[str]] = {}
    for claim in others:
        if claim.appears is None:
            groups.setdefault("comes without", []).append(claim.name)
            continue
        how = _ORDER[first.before(claim)]
        if claim.orthogonal:  # of which there is no interval
            how = _ORDER[1] if first.appears < claim.appears else "is not there before"
        groups.setdefault(how, []).append(f"{claim.name} ({when(claim, step)})")
    said = "; it ".join(f"{how} {listed(names)}" for how, names in groups.items())
    return f"{where} {first.name} ({when(first, step)}) {said}"


def blocks_sentence(result: "TrainingResult") -> str:
    """Whether early blocks come before late ones, by the leading claim."""
    claims = [result.first_at(site) for site in result.blocks]
    name = _capital(claims[0].name)
    found = [f"{at(claim.site)} at {when(claim, result.step)}" for claim in claims if claim.appears is not None]
    if len(found) < 2:
        return f"{name} is found {listed(found) or 'after none of the blocks'}: blocks cannot be compared"
    if None in (claims[0].appears, claims[-1].appears):
        return f"{name} is there {listed(found)}, and not found after all blocks"
    how = {1: "early blocks come before late ones", -1: "late blocks come before early ones"}
    order = how.get(claims[0].before(claims[-1]), "which blocks come first cannot be told")
    return f"{name} is there {listed(found)}: {order}"


def depth_sentence(depth: DepthOrder, site: str) -> str:
    """Whether the coarse comes before the fine."""
    where = at(site)
    if not np.isfinite(depth.slope):
        return f"By {depth.name} {where} it cannot be said whether the coarse comes first: too few levels appear"
    low, high = depth.interval
    numbers = f"{depth.slope:+.1f} checkpoints a level [{low:+.1f}, {high:+.1f}], p = {depth.p_value:.2g}"
    if not (depth.p_value <= LEVEL and low * high > 0):
        return f"By {depth.name} {where}, coarse levels of the tree come neither before nor after fine ones ({numbers})"
    order = ("coarse", "fine") if depth.slope > 0 else ("fine", "coarse")
    return f"By {depth.name} {where}, {order[0]} levels of the tree come before {order[1]} ones ({numbers})"


def first_sentence(result: "TrainingResult") -> str:
    """What is significant at the first checkpoint already."""
    step = result.checkpoints[0]["step"]
    tested = [claim for own in result.claims.values() for claim in own.values() if not claim.orthogonal]
    found = [f"{claim.name} {at(claim.site)}" for claim in tested if claim.significant[0]]
    said = f"Of {len(tested)} claims with a null, at all sites, {len(found)} are significant at the first {result.step}"
    return f"{said} already, {step:,}{f': {listed(found)}' if found else ''}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
