"""The bench on which a family of behaviour is steered: two folds of templates, vectors of one length, their price.

Vectors are fitted to the sentences of some templates. The first sentence of every class, template and domain of the
others is steered; the rest of these teach the probes. Then the templates change roles.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

import geometry as geo
from analysis.behaviours_study import FINAL, Study, labels, names, prompts

OPENINGS = 4  # of plain sentences, in each fold
OPENED = 4  # words of each
STRENGTHS = (3.0, 2.0, 1.5, 1.0, 0.5)  # times the difference of two classes
DEARER = 2.0  # times, as perplexity of neutral text may become
PRICED = 3  # pairs whose price is asked
PLAIN = ""  # for plain sentences, beside classes, none of which can be called so

Pair = tuple[str, str]


@dataclass(frozen=True, eq=False)
class Fold:
    """One way round.

    Attributes
    ----------
    fitted, steered : which of the family's prompts vectors are fitted to, and which are steered; of other templates.
    means : class → mean stream of the former; `PLAIN`, that of plain sentences.
    probes : at the block and after the final norm, told classes and plain sentences on prompts that are neither.
    plain : plain sentences that were not used for either.
    """

    fitted: NDArray[np.bool_]
    steered: NDArray[np.bool_]
    means: Mapping[str, geo.SteeringVector]
    probes: Mapping[geo.Site, geo.probing.Probe]
    plain: Sequence[str]

    @property
    def openings(self) -> list[str]:
        """The first words of its plain sentences."""
        return [" ".join(text.split()[:OPENED]) for text in self.plain]


@dataclass(frozen=True, eq=False)
class Bench:
    """A family at a block, ready to be steered."""

    study: Study
    family: geo.concepts.Behaviour
    site: geo.Site
    folds: Sequence[Fold]

    @property
    def classes(self) -> list[str]:
        """Their names in order."""
        return names(self.family)

    @property
    def pairs(self) -> list[Pair]:
        """Each class once from and once to: half the family apart, so that levels rise and fall."""
        some = self.classes
        return [(one, some[(place + len(some) // 2) % len(some)]) for place, one in enumerate(some)]

    def sentences(self, rows: NDArray[np.bool_], name: str, domain: str = "") -> list[str]:
        """Those of a class among some of the family's prompts."""
        some = zip(prompts(self.family), labels(self.family), rows, strict=True)
        return [prompt.text for prompt, owner, own in some if own and owner == name and domain in ("", prompt.domain)]

    def means(self, rows: NDArray[np.bool_], owners: Sequence[str] | None = None) -> dict[str, geo.SteeringVector]:
        """Mean stream of each class over some of the family's prompts."""
        stream = self.study.activations[self.family.name][self.site][torch.from_numpy(rows)]
        own = np.array(labels(self.family) if owners is None else owners)[rows]
        return geo.steering.mean_vectors({self.site: stream}, own.tolist(), model=self.architecture)

    @property
    def architecture(self) -> str:
        """What vectors are made for."""
        return geo.steering.Architecture.of(self.study.model).family

    def shuffled(self, rows: NDArray[np.bool_], draw: int) -> dict[str, geo.SteeringVector]:
        """Means of classes whose labels were shuffled within template and domain."""
        rng = np.random.default_rng([self.study.seed, draw])
        some = prompts(self.family)
        owners = np.array(labels(self.family))
        for cell in dict.fromkeys((prompt.template, prompt.domain) for prompt in some):
            here = np.flatnonzero([(prompt.template, prompt.domain) == cell for prompt in some])
            owners[here] = owners[rng.permutation(here)]
        return self.means(rows, owners.tolist())


def prepare(study: Study, name: str, block: int) -> Bench:
    """Divide templates and plain sentences, fit means and probes."""
    family, site = study.families[name], study.blocks[block]
    bench = Bench(study, family, site, ())
    some, owner = prompts(family), np.array(labels(family))
    cells = [(prompt.template, prompt.domain, label) for prompt, label in zip(some, owner, strict=True)]
    first_of_cell = np.array([cells.index(cell) == place for place, cell in enumerate(cells)])
    half = np.isin([prompt.template for prompt in some], list(family.templates)[::2])
    texts = study.plain.texts
    left = np.arange(2 * OPENINGS, len(texts))
    folds = []
    for turn, fitted in enumerate((half, ~half)):
        steered, taught = ~fitted & first_of_cell, ~fitted & ~first_of_cell
        # Of plain sentences as many as of a class.
        plain = left[left % 2 != turn][: int(taught.sum()) // len(family.classes)]
        told = [*owner[taught].tolist(), *[PLAIN] * len(plain)]
        probes = {}
        for place in (site, FINAL):
            points = [study.activations[name][place][torch.from_numpy(taught)], study.plain_activations[place][plain]]
            probes[place] = geo.probing.Probe.fit(torch.cat(points).numpy(), told)
        rest = study.plain_activations[site][left[left % 2 == turn]]
        means = bench.means(fitted) | geo.steering.mean_vectors({site: rest}, [PLAIN] * len(rest), model=bench.architecture)
        own = texts[turn * OPENINGS : (turn + 1) * OPENINGS]
        folds.append(Fold(fitted, steered, means, probes, own))
    return Bench(study, family, site, folds)


def choose_strength(bench: Bench) -> float:
    """The largest that keeps neutral text within `DEARER` times its perplexity: chosen without a look at effects."""
    fold = bench.folds[0]
    differences = [fold.means[to] - fold.means[one] for one, to in bench.pairs[:PRICED]]
    for strength in STRENGTHS:
        if price(bench.study, [strength * difference for difference in differences]) <= DEARER:
            return strength
    return STRENGTHS[-1]


def price(study: Study, vectors: Sequence[geo.SteeringVector]) -> float:
    """How many times vectors multiply the perplexity of neutral texts, a geometric mean; first tokens unsteered."""
    first = geo.steering.encode(study.tokenizer, study.neutral).position_ids == 0
    found = []
    for vector in vectors:
        with geo.steer(study.model, vector, positions=~first):
            found.append(np.log(geo.steering.perplexity(study.model, study.tokenizer, study.neutral)))
    return float(np.exp(np.mean(found)) / study.perplexity)


def compared(bench: Bench, fold: Fold, pair: Pair, strength: float) -> dict[str, geo.SteeringVector]:
    """Method or control → its vector for a pair; all as long as the difference of the two classes, times strength."""
    one, to = pair
    study, place = bench.study, bench.pairs.index(pair)
    wanted = fold.means[to] - fold.means[one]
    norm = strength * wanted.norm()
    axis = opposites(bench, fold)
    mixed = bench.shuffled(fold.fitted, place)
    rng = np.random.default_rng([study.seed, place])
    halves = np.array_split(rng.permutation(len(study.plain.texts)), 2)
    plain = geo.steering.mean_vectors(
        {bench.site: study.plain_activations[bench.site]},
        np.isin(np.arange(len(study.plain.texts)), halves[0]).astype(str).tolist(),
        model=bench.architecture,
    )
    return {
        "classes": wanted.with_norm(norm),
        "opposites": (axis if axis.dot(wanted) >= 0 else -axis).with_norm(norm),
        "one pair": single_pair(bench, fold, pair).with_norm(norm),
        "random direction": wanted.with_norm(norm).random(study.seed + place),
        "shuffled labels": (mixed[to] - mixed[one]).with_norm(norm),
        "plain sentences": (plain["True"] - plain["False"]).with_norm(norm),
    }


def opposites(bench: Bench, fold: Fold) -> geo.SteeringVector:
    """One axis for the whole family: its last level less its first, or of kinds the two that are farthest apart."""
    some = bench.classes
    poles = (some[0], some[-1])
    if not bench.family.ordered:
        apart = {
            (one, two): (fold.means[two] - fold.means[one]).norm()
            for place, one in enumerate(some)
            for two in some[place + 1 :]
        }
        poles = max(apart, key=apart.__getitem__)
    return fold.means[poles[1]] - fold.means[poles[0]]


def single_pair(bench: Bench, fold: Fold, pair: Pair) -> geo.SteeringVector:
    """The difference of one sentence of each class, the first of the same template and domain."""
    some, owner = prompts(bench.family), labels(bench.family)
    first = {
        name: next(row for row, own in enumerate(fold.fitted) if own and owner[row] == name) for name in bench.classes
    }
    one, to = (np.arange(len(some)) == first[name] for name in pair)
    return bench.means(to)[pair[1]] - bench.means(one)[pair[0]]
