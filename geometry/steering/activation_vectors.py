"""Steering vectors from activations: activation addition, contrastive pairs, equivalence classes, PCA.

Read at a site, they are injected at that same site. All are plain differences of residual streams.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import torch
from torch import nn

from geometry.arguments import checked
from geometry.errors import SteeringError
from geometry.steering.activations import Token, read_activations, record_activations
from geometry.steering.architecture import Architecture, evaluating
from geometry.steering.prompts import Tokenizer, encode
from geometry.steering.vector import Site, SiteLike, SteeringVector

_ROUNDING = 16 * torch.finfo(torch.float32).eps


@checked
def activation_addition(
    model: nn.Module,
    tokenizer: Tokenizer,
    promoted: str,
    suppressed: str,
    block: int | None = None,
    *,
    site: SiteLike | None = None,
    bos: bool = True,
) -> SteeringVector:
    """Activation addition: the activations of two prompts subtracted token by token, at the input of a block.

    Example::

        vector = geo.activation_addition(model, tokenizer, "Love", "Hate", block=6)
        with geo.steer(model, 4 * vector):
            generations = geo.generate(model, tokenizer, ["I hate you because"], bos=vector.bos)

    The shorter prompt is padded on the right with the space token. Row 0 belongs to the beginning-of-text token
    and is zero, so the vector is to be added at the first tokens of prompts that begin with this token; it remembers
    as `bos` whether they do.

    Parameters:
        promoted, suppressed: the vector leads from the second to the first.
        block: 0-based; the vector is for the input of this block, as the source has it.
        site: instead of a block: a place in the residual stream, such as 15 or "output.15"; see `Site`.
        bos: put the beginning-of-text token before both; False for models without one, whose row 0 then counts.

    Returns SteeringVector: one part of shape (p, d), for the p tokens of the longer prompt.
    Raises SteeringError: an empty prompt, both a block and a site or neither, one that the model lacks, no
        beginning-of-text token, no single token for a space.
    Source: Turner et al., Activation Addition: Steering Language Models Without Optimization, arXiv 2308.10248.
    """
    if (block is None) == (site is None):
        raise SteeringError("activation addition needs a block or a site, such as block=6 or site='output.5'")
    architecture, site = Architecture.of(model), Site("input", block) if site is None else Site.parse(site)
    architecture.check(site)
    batches = [encode(tokenizer, [prompt], bos=bos) for prompt in (promoted, suppressed)]
    rows = [batch.input_ids[0].tolist() for batch in batches]
    if len(rows[0]) != len(rows[1]):
        space = tokenizer.encode(" ", add_special_tokens=False)
        if len(space) != 1:
            raise SteeringError(
                f"this tokenizer writes a space as {len(space)} tokens, so {promoted!r} and {suppressed!r} cannot be"
                " made equally long; use prompts with as many tokens as each other"
            )
        rows = [row + space * (max(map(len, rows)) - len(row)) for row in rows]
    ids = torch.tensor(rows, device=architecture.device)
    architecture.check_tokens(ids)
    with torch.no_grad(), evaluating(model), record_activations(model, [site]) as recorded:
        architecture.model(input_ids=ids)
    difference = torch.sub(*recorded[site].float().cpu())
    # A text may bring the token with it.
    begun = all(batch.begins_with(tokenizer.bos_token_id) for batch in batches)
    if begun:
        difference[0] = 0
    return SteeringVector({site: difference}, f"{promoted!r} − {suppressed!r}", architecture.family, bos=begun)


@checked
def class_means(
    model: nn.Module,
    tokenizer: Tokenizer,
    classes: Mapping[str, Sequence[str]],
    sites: Sequence[SiteLike],
    *,
    token: Token = -1,
) -> dict[str, SteeringVector]:
    """The mean activation of each class of prompts, as vectors of which any combination steers.

    Example::

        classes = {"hostile": ["I loathe you.", "Get out!"], "calm": ["All is well.", "Take your time."]}
        means = geo.class_means(model, tokenizer, classes, ["output.15"])
        vector = means["hostile"] - means["calm"]

    Parameters:
        classes: name → its prompts; classes may be of any size and number.
        sites, token: where in the residual stream, at which token of a prompt; see `read_activations`.

    Returns dict: class → vector with a part of shape (d,) at each site. See `class_difference` for one class against
        all others.
    Raises SteeringError: no classes, a class without prompts, or what `read_activations` refuses.
    """
    if not classes:
        raise SteeringError("there are no classes of prompts")
    if empty := [name for name, prompts in classes.items() if isinstance(prompts, str) or not prompts]:
        raise SteeringError(f"class {empty[0]!r} needs a list of prompts")
    # All in one pass: prompts of like length, from whatever class, share a batch.
    prompts = [prompt for members in classes.values() for prompt in members]
    labels = [name for name, members in classes.items() for _ in members]
    activations = read_activations(model, tokenizer, prompts, [*map(Site.parse, sites)], token=token)
    return mean_vectors(activations, labels, model=Architecture.of(model).family)


def mean_vectors(
    activations: Mapping[Site, torch.Tensor], labels: Sequence[str], *, model: str = ""
) -> dict[str, SteeringVector]:
    """`class_means` of activations that were read before.

    Parameters:
        activations: site → shape (n, d), as `read_activations` returns them.
        labels: the class of each of the n prompts.
        model: architecture the vectors are meant for; "" fits any of their width.

    Raises SteeringError: no labels, or another number of them than of activations.
    """
    if not labels or any(len(rows) != len(labels) for rows in activations.values()):
        counts = sorted({len(rows) for rows in activations.values()})
        raise SteeringError(f"{len(labels)} labels for activations of {counts} prompts; each prompt has one")
    owner = np.asarray(labels)
    return {
        name: SteeringVector(
            {site: rows[torch.from_numpy(owner == name)].double().mean(dim=0) for site, rows in activations.items()},
            f"mean of {name}",
            model,
        )
        for name in dict.fromkeys(labels)
    }


def class_difference(means: Mapping[str, SteeringVector], name: str) -> SteeringVector:
    """One class against all others: its mean less the mean of the other classes' means.

    Raises SteeringError: an unknown class, or no other.
    """
    if name not in means or len(means) < 2:
        raise SteeringError(f"no class {name!r} beside others; the classes are {', '.join(means)}")
    first, *rest = (mean for label, mean in means.items() if label != name)
    return means[name] - (sum(rest, first) / (len(rest) + 1) if rest else first)


@checked
def contrastive_activation_addition(
    model: nn.Module,
    tokenizer: Tokenizer,
    pairs: Sequence[tuple[str, str]],
    sites: Sequence[SiteLike],
    *,
    token: Token = -1,
    method: Literal["mean", "pca"] = "mean",
) -> SteeringVector:
    """Contrastive activation addition: the difference within pairs of prompts, one with a trait and one without.

    Example::

        pairs = [("I am happy to help.", "I refuse to help."), ("Gladly!", "Never!")]
        vector = geo.contrastive_activation_addition(model, tokenizer, pairs, ["output.15"])
        with geo.steer(model, 2 * vector, positions="generated"):
            generations = geo.generate(model, tokenizer, ["They asked me to carry it, and I said"])

    Parameters:
        pairs: prompts with the trait and without it.
        sites, token: where in the residual stream, at which token of a prompt; see `read_activations`.
        method: "mean" of the differences, or "pca": the first principal component of the differences and their
            negatives, of unit norm, about 0, so that what all pairs share counts; it points the way of the mean.

    Returns a vector with a part of shape (d,) at each site.
    Raises SteeringError: no pairs, an entry that is no pair, pairs that do not differ at a site ("pca"), or what
        `read_activations` refuses.
    Source: Rimsky et al., Steering Llama 2 via Contrastive Activation Addition, arXiv 2312.06681.
    """
    if not pairs or any(isinstance(pair, str) or len(pair) != 2 for pair in pairs):
        raise SteeringError("pairs are a list of two texts each, and not empty")
    prompts = [prompt for pair in pairs for prompt in pair]
    parts = {}
    for site, rows in read_activations(model, tokenizer, prompts, [*map(Site.parse, sites)], token=token).items():
        first, second = rows[0::2].double(), rows[1::2].double()
        distance = torch.linalg.vector_norm(first - second, dim=1, keepdim=True)
        # Equal residual streams differ by rounding when their prompts stand at other places of a batch.
        rounding = _ROUNDING * torch.linalg.vector_norm(first, dim=1, keepdim=True)
        differences = torch.where(distance > rounding, first - second, 0.0)
        parts[site] = differences.mean(dim=0)
        if method == "pca":
            _, strengths, axes = torch.linalg.svd(differences, full_matrices=False)
            if not float(strengths[0]):
                raise SteeringError(f"the pairs do not differ at {site}")
            parts[site] = axes[0] if float(axes[0] @ parts[site]) >= 0 else -axes[0]
    made = "mean difference" if method == "mean" else "first principal component"
    return SteeringVector(parts, f"{made} of {len(pairs)} pairs", Architecture.of(model).family)
