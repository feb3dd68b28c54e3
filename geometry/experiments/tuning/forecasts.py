"""What geometry forecasts of concepts and of classes of behaviour, against what steering brings at the bound."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from geometry.concepts import Behaviour, load_behaviour
from geometry.display import short_repr
from geometry.errors import SteeringError
from geometry.experiments.tuning.setup import Setup
from geometry.layers import EqualKL
from geometry.steering import (
    Site,
    SteeringVector,
    class_difference,
    load_prompts,
    logit_lens,
    mean_vectors,
    probability,
    pull_back,
    read_activations,
)
from geometry.tuning.calibration import UNIT
from geometry.tuning.features import (
    FEATURES,
    UNSTEERED,
    Numbers,
    SteeringFeatures,
    agreement,
    auc,
    concept_features,
    log_odds,
)
from geometry.tuning.forecast import Forecast
from geometry.tuning.goals import TextContrast
from geometry.tuning.search import strength_at
from geometry.tuning.whole_texts import TextKL, log_probabilities_of

AFTER_NORM, AT_BLOCK, BEHAVIOURS = PARTS = ("after the final norm", "at a block", "behaviours")
ALL, GEOMETRY, WORDS = "all features", "geometry alone", "number and probability of words alone"
SETS = {ALL: FEATURES, GEOMETRY: FEATURES[:4], WORDS: FEATURES[4:]}
_TEXTS = 8  # of a class, to make its vector of, and as many to measure it
_NEUTRAL = 3  # texts on which a class's vector may cost what the bound says
_OTHERS = 3  # of them of each class beside the one steered to


@dataclass(frozen=True, eq=False)
class Measured:
    """Features and effects of one kind; `effects` nan where the bound is not reached; site: where they are steered."""

    features: SteeringFeatures
    effects: Numbers
    site: str
    unit: str

    __repr__ = short_repr

    def forecasts(self, n_permutations: int, seed: int) -> dict[str, Forecast]:
        """Calibrated on half, tested on the other half, by each of `SETS` of features."""
        how: Any = {"unit": self.unit, "n_permutations": n_permutations, "seed": seed}
        return {name: Forecast.fit(self.features.only(SETS[name]), self.effects, **how) for name in SETS}


def of_concepts(setup: Setup) -> dict[str, Measured]:
    """Every concept after the final norm and at two thirds of the blocks, at the bound."""
    study = setup.study
    features = concept_features(
        setup.model, setup.tokenizer, setup.space, setup.hierarchy, setup.names, prompts=setup.choosing, seed=study.seed
    )
    equal = EqualKL(setup.model, setup.tokenizer, setup.choosing, study.bound, tolerance=0.03)
    block = Site("output", (2 * setup.depth) // 3)
    found = {}
    for part, site in ((AFTER_NORM, Site("after_norm")), (AT_BLOCK, block)):
        vectors = [_at(setup.vector(name), setup.model, site) for name in setup.names]
        effects = np.full(len(setup.names), np.nan)
        for at in equal.find(vectors):
            if at.log_probabilities is not None:
                tokens = setup.tokens(setup.names[at.index])
                before, after = (
                    log_odds(float(probability(law, tokens).mean())) for law in (equal.unsteered, at.log_probabilities)
                )
                effects[at.index] = after - before
        found[part] = Measured(features, effects, str(site), UNIT)
    return found


def _at(vector: SteeringVector, model: Any, site: Site) -> SteeringVector:
    return vector.relative(1) if site.place == "after_norm" else pull_back(vector, model, site).relative(1)


def of_behaviours(setup: Setup) -> Measured:
    """Every class: half of its sentences make its vector at the middle block, the other half measure what it does.

    The vector is added at every token, and its strength is where KL within neutral texts is the bound.
    """
    site = Site("output", setup.depth // 2)
    cost = TextKL(setup.model, setup.tokenizer, load_prompts("neutral").texts[:_NEUTRAL])
    names, rows, effects, groups = [], [], [], []
    for number, source in enumerate(setup.study.behaviours):
        family = load_behaviour(source)
        halves = [{name: texts[half::4][:_TEXTS] for name, texts in family.texts().items()} for half in (0, 1)]
        vectors, features = _classes(setup, family, halves, site)
        relative = [vector.relative(1) for vector in vectors]
        every = [text for texts in halves[1].values() for text in texts]
        (log_p,) = log_probabilities_of(setup.model, setup.tokenizer, every, [None])
        before = dict(zip(every, log_p.tolist(), strict=True))
        for index, name in enumerate(halves[1]):
            others = [text for other, texts in halves[1].items() if other != name for text in texts[:_OTHERS]]
            contrast = TextContrast(halves[1][name], others)
            unsteered, n = np.array([before[text] for text in contrast.texts]), len(contrast.promoted)
            features[index][FEATURES.index(UNSTEERED)] = float(unsteered[:n].mean() - unsteered[n:].mean())
            effect = np.nan
            strength = _strength(cost, relative[index], setup.study.bound)
            if strength is not None:
                vector = strength * relative[index]
                (steered,) = log_probabilities_of(setup.model, setup.tokenizer, contrast.texts, [vector])
                effect = float(contrast.effects(steered, unsteered).mean())
            effects.append(effect)
            names.append(f"{family.name}:{name}")
            groups.append(number)
            rows.append(features[index])
    if not names:
        raise SteeringError("there are no behaviours")
    table = SteeringFeatures(tuple(names), FEATURES, np.array(rows), np.array(groups))
    return Measured(table, np.array(effects), str(site), "rise of held-out sentences over other classes', nats a token")


def _strength(cost: TextKL, vector: SteeringVector, bound: float) -> float | None:
    return strength_at(lambda strength: float(cost.of([strength * vector])[0].mean()), bound)


def _classes(
    setup: Setup, family: Behaviour, halves: list[dict[str, tuple[str, ...]]], site: Site
) -> tuple[list[SteeringVector], list[list[float]]]:
    """Vectors of all classes from the first half, and their features on the second, as far as they are geometric."""
    blocks = [Site("output", block) for block in range(setup.depth)]
    labels = [[name for name, texts in half.items() for _ in texts] for half in halves]
    read = [
        read_activations(setup.model, setup.tokenizer, [t for texts in half.values() for t in texts], blocks)
        for half in halves
    ]
    means = mean_vectors({site: read[0][site]}, labels[0])
    fitted, tested = (rows[site].double().numpy() for rows in read)
    owner = [np.array(each) for each in labels]
    vocabulary, matrix = setup.space.unembedding.vocabulary, setup.space.unembedding.matrix
    words = {
        item.name: [token for word in item.words if (token := vocabulary.word_id(word)) is not None]
        for item in family.classes
    }
    readout = {
        name: matrix[torch.tensor(ids)].double().mean(dim=0).cpu() if ids else None for name, ids in words.items()
    }
    known = [row for row in readout.values() if row is not None]
    centre = torch.stack(known).mean(dim=0) if known else None
    vectors, features = [], []
    for name in halves[0]:
        vector = class_difference(means, name)
        vectors.append(vector)
        direction = vector[site].double().numpy()
        inside, others = owner[1] == name, owner[1] != name
        origin = np.stack([fitted[owner[0] == other].mean(axis=0) for other in halves[0] if other != name]).mean(axis=0)
        along = (tested - origin) @ direction / float(direction @ direction)
        accessible = np.nan
        if (row := readout[name]) is not None and centre is not None and len(known) > 1:
            states = [logit_lens(setup.model, read[1][block]).double() @ (row - centre) for block in blocks]
            accessible = max(auc(score.numpy()[inside], score.numpy()[others]) for score in states)
        rest = agreement(fitted[owner[0] == name] - origin)
        features.append(
            [float(along[inside].mean()), auc(along[inside], along[others]), accessible, rest,
             float(np.log(max(1, len(words[name])))), np.nan]
        )  # fmt: skip
    return vectors, features
