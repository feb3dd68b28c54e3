"""Mixtures of siblings: the step at the output layer that gives their words chosen shares of the probability."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize

from geometry.arguments import checked
from geometry.causal import CausalSpace
from geometry.display import html_table, short_repr
from geometry.errors import SteeringError, shown
from geometry.intervals import summarise
from geometry.models import Unembedding
from geometry.steering.output_law import (
    OutputLaws,
    checked_states,
    checked_target,
    checked_unembedding,
    divergence,
)
from geometry.steering.step_route import checked_probe
from geometry.steering.vector import Site, SteeringVector

Array = NDArray[np.float64]
_FARTHEST = 60.0  # standard deviations of βᵀγ over a sibling's words
_NEAR = 0.005


@dataclass(frozen=True, eq=False)
class MixtureSteps:
    """Steps from n states towards chosen shares of k siblings; laws are of the likeliest tokens and the siblings'.

    Attributes:
        names: of the siblings, shape (k,).
        weights: the shares asked for, summing to 1, shape (k,).
        states: λ0, shape (n, d).
        shift: λ* − λ0, shape (n, d); of one vector the same for all.
        shares, unsteered: P(sibling) / P(all siblings) at λ* and at λ0, shape (n, k).
        total, total_unsteered: P(all siblings), shape (n,).
        kl: KL(p_λ* ‖ p_λ0) in nats, shape (n,).
        one_vector: whether one shift was chosen for all states together.
        laws: that they start from.
    """

    names: tuple[str, ...]
    weights: Array
    states: Array
    shift: Array
    shares: Array
    unsteered: Array
    total: Array
    total_unsteered: Array
    kl: Array
    one_vector: bool
    laws: "SiblingLaws"

    __repr__ = short_repr

    @property
    def distance(self) -> Array:
        """Half the summed absolute differences of shares and weights (total variation): 0 is met, shape (n,)."""
        return np.asarray(np.abs(self.shares - self.weights).sum(axis=1) / 2)

    @property
    def distance_unsteered(self) -> Array:
        """The same before the step, shape (n,)."""
        return np.asarray(np.abs(self.unsteered - self.weights).sum(axis=1) / 2)

    @property
    def reached(self) -> NDArray[np.bool_]:
        """Whether every share is within .005 of its weight, shape (n,)."""
        return np.asarray((np.abs(self.shares - self.weights) <= _NEAR).all(axis=1))

    @property
    def vector(self) -> SteeringVector:
        """The one shift as a steering vector after the final norm; SteeringError where every state has its own."""
        if not self.one_vector:
            raise SteeringError("every state has a shift of its own; ask mixture_step for one_vector=True")
        import torch

        asked = " + ".join(f"{weight:.0%} {name}" for name, weight in zip(self.names, self.weights, strict=True))
        return SteeringVector({Site("after_norm"): torch.from_numpy(self.shift[0]).float()}, f"mixture ({asked})")

    @checked
    def on(self, hidden: ArrayLike) -> "MixtureSteps":
        """What the one vector does at other final hidden states (m, d), such as of held-out prompts."""
        if not self.one_vector:
            raise SteeringError("every state has a shift of its own; ask mixture_step for one_vector=True")
        return self.laws.on(hidden).moved(self.weights, self.shift[:1], one_vector=True)

    def table(self) -> list[list[Any]]:
        """Sibling, asked, unsteered, reached with its 95% interval over the states."""
        rows = []
        for index, (name, weight) in enumerate(zip(self.names, self.weights, strict=True)):
            found, before = summarise(self.shares[:, index]), summarise(self.unsteered[:, index])
            ends = "–".join(f"{end:.3f}" for end in found["interval"]) if found["interval"] else ""
            rows.append([name, float(weight), before["mean"], found["mean"], ends])
        return rows

    def _repr_html_(self) -> str:
        says = f"shares of siblings over {len(self.states)} states; total variation {self.distance.mean():.3f}"
        return html_table(("sibling", "asked", "unsteered", "reached", "95% interval"), self.table(), says)


@dataclass(frozen=True, eq=False)
class SiblingLaws:
    """The laws at n states, of which k siblings have each a share: what every mixture of theirs starts from.

    Attributes:
        names: of the siblings.
        tokens: ids of each sibling's own words.
        outputs: the laws.
        cells: which of their tokens are each sibling's, shape (k, m).
        n_tokens: the likeliest tokens that stand for the whole law.
    """

    names: tuple[str, ...]
    tokens: tuple[NDArray[np.int64], ...]
    outputs: OutputLaws
    cells: NDArray[np.bool_]
    n_tokens: int

    __repr__ = short_repr

    @classmethod
    def at(
        cls,
        space: CausalSpace | Unembedding,
        hidden: ArrayLike,
        siblings: Mapping[str, ArrayLike],
        n_tokens: int = 5000,
    ) -> "SiblingLaws":
        """At final hidden states (n, d); a token of several siblings counts for none of them.

        Raises SteeringError: what does not fit.
        """
        unembedding = checked_unembedding(space)
        states = checked_states(hidden, unembedding)
        if n_tokens < 1:
            raise SteeringError(f"n_tokens must be 1 or more, not {n_tokens}")
        names, tokens = tuple(siblings), _own_words(siblings, unembedding)
        outputs = OutputLaws.at(unembedding, states, np.sort(np.concatenate(tokens)), n_tokens)
        return cls(names, tokens, outputs, np.stack([np.isin(outputs.tokens, ids) for ids in tokens]), n_tokens)

    def on(self, hidden: ArrayLike) -> "SiblingLaws":
        """Of the same siblings at other states."""
        siblings = dict(zip(self.names, self.tokens, strict=True))
        return SiblingLaws.at(self.outputs.unembedding, hidden, siblings, self.n_tokens)

    def towards(
        self,
        weights: Mapping[str, float],
        directions: Mapping[str, SteeringVector],
        *,
        total: float | Literal["keep"] | None = "keep",
        one_vector: bool = False,
    ) -> MixtureSteps:
        """See `mixture_step`."""
        shares = self._shares(weights)
        if directions.keys() != set(self.names):
            raise SteeringError(
                f"directions must be of {', '.join(self.names)}, not of {', '.join(map(str, directions))}"
            )
        if not (total in (None, "keep") or (isinstance(total, float) and 0 < total < 1)):
            raise SteeringError(f"total must be a probability between 0 and 1, 'keep' or None, not {shown(total)}")
        laws, cells = self.outputs, self.cells
        count = len(laws.states)
        beta = np.concatenate([checked_probe(directions[name], (1, laws.states.shape[1])) for name in self.names])
        if total is None:
            beta, asked, kept = beta - beta.mean(axis=0), np.tile(shares, (count, 1)), laws.target
        else:
            sums = laws.law[:, laws.target].sum(axis=1) if total == "keep" else np.full(count, float(total))
            asked = np.concatenate([sums[:, None] * shares, 1 - sums[:, None]], axis=1)
            cells, kept = np.concatenate([cells, ~laws.target[None]]), np.ones_like(laws.target)
        products, cells, logits = beta @ laws.gamma[kept].T, cells[:, kept], laws.logits[:, kept]
        groups = [slice(None)] if one_vector else [slice(index, index + 1) for index in range(count)]
        shift = np.empty_like(laws.states)
        for group in groups:
            shift[group] = _coefficients(logits[group], products, cells, asked[group]) @ beta
        return self.moved(shares, shift, one_vector=one_vector)

    def moved(self, weights: Array, shift: Array, *, one_vector: bool) -> MixtureSteps:
        """What a shift, of every state (n, d) or one of all (1, d), makes of the shares."""
        laws = self.outputs
        shift = np.broadcast_to(shift, laws.states.shape)
        law = laws.moved(shift)
        before, after = laws.law @ self.cells.T, law @ self.cells.T
        sums = [np.maximum(each.sum(axis=1), np.finfo(np.float64).tiny) for each in (before, after)]
        shares = [each / total[:, None] for each, total in zip((before, after), sums, strict=True)]
        return MixtureSteps(
            self.names, weights, laws.states, np.array(shift), shares[1], shares[0], sums[1], sums[0],
            divergence(law, laws.law), one_vector, self,
        )  # fmt: skip

    def _shares(self, weights: Mapping[str, float]) -> Array:
        if weights.keys() != set(self.names):
            raise SteeringError(
                f"weights must be of {', '.join(self.names)}, not of {', '.join(map(str, weights)) or 'none'}"
            )
        numbers = np.array([weights[name] for name in self.names], dtype=np.float64)
        if not (np.isfinite(numbers).all() and (numbers > 0).all()):
            raise SteeringError(
                f"weights must be positive numbers, not {shown(dict(weights))}; leave a sibling of 0 out"
            )
        return numbers / numbers.sum()


@checked
def mixture_step(
    space: CausalSpace | Unembedding,
    hidden: ArrayLike,
    siblings: Mapping[str, ArrayLike],
    weights: Mapping[str, float],
    directions: Mapping[str, SteeringVector],
    *,
    total: float | Literal["keep"] | None = "keep",
    one_vector: bool = False,
    n_tokens: int = 5000,
) -> MixtureSteps:
    """Move the next-token law so that siblings' words share their probability as asked: 40% bird, 60% mammal.

    Example::

        words = {name: hierarchy[name].tokens for name in ("bird", "mammal")}
        vectors = {name: concepts[name] for name in words}
        weights = {"bird": 0.4, "mammal": 0.6}
        steps = geo.steering.mixture_step(unembedding, states, words, weights, vectors, one_vector=True)
        steps.table()
        with geo.steer(model, steps.vector, positions="all"):
            generations = geo.generate(model, tokenizer, prompts)

    The shift is Σ_i t_i β_i, β_i the direction of a sibling: k numbers t for k probabilities. They minimise
    KL(asked ‖ given) of the law that has the siblings and all other tokens as its k + 1 values, for one vector over all
    states together. With no `total` asked for, only the shares count, and the shift is made of the k − 1 differences
    β_i − β̄.

    Parameters:
        hidden: λ0, shape (n, d), final hidden states after the norm.
        siblings: name → ids of tokens; a token of several counts for none of them.
        weights: name → its share; they are divided by their sum.
        directions: name → β, a steering vector after the norm, such as `ConceptSteering` gives.
        total: what P(all siblings) is to be: as it is unsteered, a number between 0 and 1, or None, as it may come out.
        one_vector: one shift for all states, as steering vectors are; default, each its own.
        n_tokens: the likeliest tokens that stand for the whole law in `total` and `kl`.

    Raises SteeringError: fewer than two siblings, one without words of its own, weights that are not positive or not
        of these siblings, a total that is no probability, directions that do not fit.
    """
    laws = SiblingLaws.at(space, hidden, siblings, n_tokens)
    return laws.towards(weights, directions, total=total, one_vector=one_vector)


def _coefficients(logits: Array, products: Array, members: NDArray[np.bool_], weights: Array) -> Array:
    """t of shape (k,) for logits (n, m), βᵀγ (k, m), cells of tokens (j, m) and their weights (n, j)."""
    scale = float(np.std(products[:, members[:-1].any(axis=0)])) or 1.0
    moved, cells = products / scale, members.astype(np.float64)

    def loss(number: Array) -> tuple[float, Array]:
        shifted = logits + number @ moved
        law = np.exp(shifted - shifted.max(axis=1, keepdims=True))
        sums = np.maximum(law @ cells.T, np.finfo(np.float64).tiny)
        share = sums / sums.sum(axis=1, keepdims=True)
        # Of E[βᵀγ | cell], weighted by what the cell has too much.
        excess = (((share - weights) / sums) @ cells * law).sum(axis=0)
        return float(-(weights * np.log(share)).sum(axis=1).mean()), moved @ excess / len(logits)

    found = minimize(
        loss, np.zeros(len(products)), jac=True, method="L-BFGS-B", bounds=[(-_FARTHEST, _FARTHEST)] * len(products),
        options={"ftol": 1e-15, "gtol": 1e-10, "maxiter": 1000},
    )  # fmt: skip
    return np.asarray(found.x / scale)


def _own_words(siblings: Mapping[str, ArrayLike], unembedding: Unembedding) -> tuple[NDArray[np.int64], ...]:
    names = tuple(siblings)
    if len(names) < 2:
        raise SteeringError(f"a mixture is of two siblings or more, not of {', '.join(names) or 'none'}")
    every = [checked_target(ids, unembedding) for ids in siblings.values()]
    ids, counts = np.unique(np.concatenate(every), return_counts=True)
    own = tuple(np.setdiff1d(mine, ids[counts > 1]) for mine in every)
    if empty := [name for name, mine in zip(names, own, strict=True) if not len(mine)]:
        raise SteeringError(f"{empty[0]!r} has no word of its own: its siblings have all of its words too")
    return own
