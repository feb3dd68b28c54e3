"""Steering by a step of position: does (position p + 1 − position p) of other categories move "April" towards "May"?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from geometry.concepts import Series
from geometry.display import short_repr
from geometry.errors import SteeringError
from geometry.experiments.composition.labels import STEPS
from geometry.experiments.composition.setup import Bench
from geometry.experiments.composition.steered_token import SteeredToken, matched
from geometry.experiments.parts import Part
from geometry.experiments.result import FigureSpec, TableSpec
from geometry.intervals import said_mean, summarise
from geometry.steering import Site, SteeringVector
from geometry.steering.measure import kl_divergence
from geometry.steering.prompts import beginning

Array = NDArray[np.float64]
PREFIX, END = "say dog: dog, say chair: chair, say river: river, say", ":"
_FEWEST = 5


@dataclass(frozen=True, eq=False)
class StepsPart(Part):
    """Values that have a next and a previous one, n of them, in a prompt that repeats words.

    Attributes:
        cells: (series, value).
        sites: where the value's token was steered.
        direction: way → change of log P(next) − log P(previous), in nats, shape (sites, n).
        advance: way → change of log P(next) − log P(the value itself), shape (sites, n).
        kl: way → KL divergence of the next-token law, shape (sites, n).
        copied: whether the unsteered model repeats the value, shape (n,).
    """

    cells: tuple[tuple[str, str], ...]
    sites: tuple[Site, ...]
    direction: Mapping[str, Array]
    advance: Mapping[str, Array]
    kl: Mapping[str, Array]
    copied: Array

    __repr__ = short_repr

    @property
    def best(self) -> int:
        """The site where the step of other categories does most, the first of them."""
        return int(self.direction[STEPS[0]].mean(axis=1).argmax())

    def summary(self) -> list[str]:
        """Whether the model repeats at all, and what steps do where they do most."""
        at = self.best
        said = {way: said_mean(self.direction[way][at], "+.2f") for way in STEPS}
        return [
            f"Asked to repeat a word the model does so for {self.copied.mean():.0%} of {len(self.cells)} values.",
            f"A step of position from other categories, added to the value at {self.sites[at]} (chosen among"
            f" {len(self.sites)} sites as the largest), changes log P(next) − log P(previous) by {said[STEPS[0]]} nats;"
            f" the value's own difference to the next {said[STEPS[1]]}, permuted positions {said[STEPS[2]]}, random"
            f" vectors of the same norm {said[STEPS[3]]}.",
        ]

    def to_dict(self) -> dict[str, Any]:
        """Site → way → changes and cost with intervals over values."""
        return {
            "copied": summarise(self.copied),
            "sites": {
                str(site): {
                    way: {"direction": summarise(self.direction[way][at]), "advance": summarise(self.advance[way][at]),
                          "kl": summarise(self.kl[way][at])}
                    for way in STEPS
                }
                for at, site in enumerate(self.sites)
            },
        }  # fmt: skip

    def figures(self) -> list[FigureSpec]:
        """Changes by block."""
        from geometry.experiments.composition.figures import steps

        return [steps(self)]

    def tables(self) -> list[TableSpec]:
        """By site."""
        rows = []
        for at, site in enumerate(self.sites):
            cells = [said_mean(self.direction[way][at], "+.2f") for way in STEPS]
            rows.append(
                [str(site), *cells, f"{self.kl[STEPS[0]][at].mean():.2f}", f"{self.kl[STEPS[3]][at].mean():.2f}"]
            )
        return [
            TableSpec(
                "Steering by a step of position",
                ["site", *STEPS, "KL of the step (nats)", "KL at random"],
                rows,
                "Change of log P(next) − log P(previous) where a value is repeated, all vectors as long as the value's"
                " own difference to the next; 95% intervals over values.",
            )
        ]

    def arrays(self) -> dict[str, ArrayLike]:
        """Every value's changes."""
        both = {"direction": self.direction, "advance": self.advance}
        return {f"{name}/{way}": rows for name, found in both.items() for way, rows in found.items()}


def position_steps(
    rows: Mapping[str, Array], positions: Mapping[str, NDArray[np.int64]], name: str, position: int
) -> Array | None:
    """The next position less this one, mean over the other categories, shape (d,); None if none has both."""
    found = []
    for other, places in positions.items():
        if other != name and position in places and position + 1 in places:
            here, after = (int(np.flatnonzero(places == p)[0]) for p in (position, position + 1))
            found.append(rows[other][after] - rows[other][here])
    return np.mean(found, axis=0) if found else None


def stepped(bench: Bench) -> StepsPart:
    """Every value that has both neighbours, at every block's output that was read."""
    study, sites = bench.study, bench.steered
    positions = {name: each.positions for name, each in bench.series.items()}
    tokens = {name: main_tokens(each) for name, each in bench.series.items()}
    items = []
    for name, each in bench.series.items():
        index = {int(p): k for k, p in enumerate(each.positions)}
        for p, k in index.items():
            elsewhere = any({p, p + 1} <= {*map(int, places)} for other, places in positions.items() if other != name)
            if elsewhere and {p - 1, p + 1} <= index.keys():
                items.append((name, p, k, index[p + 1], index[p - 1]))
    texts = [_ids(bench, int(tokens[name][k])) for name, _, k, _, _ in items]
    kept = [number for number, text in enumerate(texts) if text is not None]
    if len(kept) < _FEWEST:
        raise SteeringError(f"only {len(kept)} values have both neighbours and stand as one token in {PREFIX!r}")
    items = [items[number] for number in kept]
    ids = torch.tensor([texts[number] for number in kept])
    asked = SteeredToken(bench.model, ids, ids.shape[1] - 2)
    unsteered = asked.law()
    own = torch.tensor([tokens[name][k] for name, _, k, _, _ in items])
    after = torch.tensor([tokens[name][k] for name, _, _, k, _ in items])
    before = torch.tensor([tokens[name][k] for name, _, _, _, k in items])
    rng = np.random.default_rng(study.seed)
    ways: dict[str, dict[str, list[Array]]] = {way: {"direction": [], "advance": [], "kl": []} for way in STEPS}
    for site in sites:
        rows = _rows(bench, site)
        ceiling = [_vector(site, rows[name][nxt] - rows[name][k]) for name, _, k, nxt, _ in items]
        norms = [vector.norm() for vector in ceiling]
        sets = {STEPS[1]: [ceiling], STEPS[0]: [_steps(site, rows, positions, items)], STEPS[2]: [], STEPS[3]: []}
        for draw in range(study.n_random):
            moved = {name: rng.permutation(places) for name, places in positions.items()}
            sets[STEPS[2]].append(_steps(site, rows, moved, items, positions))
            sets[STEPS[3]].append([vector.random(study.seed + 1000 * draw + n) for n, vector in enumerate(ceiling)])
        for way, several in sets.items():
            laws = [asked.law(matched(vectors, norms)) for vectors in several]
            for measure, change in _changes(laws, unsteered, own, after, before).items():
                ways[way][measure].append(change)
    direction, advance, kl = (
        {way: np.stack(ways[way][name]) for way in STEPS} for name in ("direction", "advance", "kl")
    )
    cells = tuple((name, bench.series[name].values[k]) for name, _, k, _, _ in items)
    return StepsPart(cells, tuple(sites), direction, advance, kl, (unsteered.argmax(dim=1) == own).double().numpy())


def main_tokens(series: Series) -> list[int]:
    """Of every value the token of its most frequent form: the first in the vocabulary's order."""
    return [int(series.tokens[series.owners == position].min()) for position in series.positions]


def _changes(
    laws: list[torch.Tensor], unsteered: torch.Tensor, own: torch.Tensor, after: torch.Tensor, before: torch.Tensor
) -> dict[str, Array]:
    """Averaged over draws."""

    def contrast(law: torch.Tensor, first: torch.Tensor, second: torch.Tensor) -> Array:
        both = law.gather(1, torch.stack([first, second], dim=1)).double().numpy()
        return np.asarray(both[:, 0] - both[:, 1])

    return {
        "direction": np.mean([contrast(law, after, before) for law in laws], axis=0)
        - contrast(unsteered, after, before),
        "advance": np.mean([contrast(law, after, own) for law in laws], axis=0) - contrast(unsteered, after, own),
        "kl": np.mean([kl_divergence(law, unsteered) for law in laws], axis=0),
    }


def _rows(bench: Bench, site: Site) -> dict[str, Array]:
    """Of every series the mean activations of its values' words."""
    means = bench.activations.mean(site).double().numpy()
    where = {phrase: index for index, phrase in enumerate(bench.activations.phrases)}
    vocabulary, found = bench.unembedding.vocabulary, {}
    for name, each in bench.series.items():
        index = np.array([where[vocabulary.text(int(token)).strip()] for token in each.tokens])
        found[name] = np.stack([means[index[each.owners == position]].mean(axis=0) for position in each.positions])
    return found


def _steps(
    site: Site, rows: Mapping[str, Array], positions: Mapping[str, NDArray[np.int64]], items: list[Any],
    own: Mapping[str, NDArray[np.int64]] | None = None,
) -> list[SteeringVector]:  # fmt: skip
    """The step of every item by these positions; where they are permuted and lack one, by the true ones of another."""
    made = []
    for name, position, *_ in items:
        step = position_steps(rows, positions, name, position)
        if step is None and own is not None:
            step = position_steps(rows, own, name, position)
        if step is None:
            raise SteeringError(f"{name}: no other series has positions {position} and {position + 1}")
        made.append(_vector(site, step))
    return made


def _vector(site: Site, part: Array) -> SteeringVector:
    return SteeringVector({site: torch.from_numpy(np.ascontiguousarray(part)).float()}, f"step at {site}")


def _ids(bench: Bench, token: int) -> list[int] | None:
    """The prompt's tokens, if the value is one token in it and the end another; else None."""
    word = bench.unembedding.vocabulary.text(token).strip()
    text = f"{PREFIX} {word}{END}"
    own = bench.tokenizer(text, add_special_tokens=False)["input_ids"]
    before = bench.tokenizer(PREFIX, add_special_tokens=False)["input_ids"]
    if own[: len(before)] != before or len(own) != len(before) + 2 or own[-2] != token:
        return None
    return [*beginning(bench.tokenizer, text), *own]
