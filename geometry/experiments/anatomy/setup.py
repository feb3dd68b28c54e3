"""What the study of vectors is made on: the model, words divided by lemma, activations of phrases at one block."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.concepts import ConceptHierarchy, load_pairs, proper_concepts
from geometry.dictionaries import FeatureDictionary, load_dictionary, text_dictionary
from geometry.directions import ConceptDirections
from geometry.display import short_repr
from geometry.errors import GeometryError, SteeringError
from geometry.experiments.dictionaries.study import DictionariesStudy
from geometry.experiments.study import Step
from geometry.layers import load_contexts, read_phrases
from geometry.models import Unembedding, display_name, require_language_model
from geometry.randomness import generator
from geometry.selectivity import spread_over_depths
from geometry.steering import Architecture, Site, SteeringVector, load_prompts

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from geometry.causal import CausalSpace
    from geometry.experiments.anatomy.study import AnatomyStudy

Array = NDArray[np.float64]
Tokens = NDArray[np.int64]
At = Callable[[Iterable[str]], Array]
LARGEST_PART = 0.1  # of the hierarchy's words that a concept to be steered to may hold
MOST_PHRASES = 16  # of an atom
FEWEST_OF_ATOM = 4
FEWEST_PAIRS = 12  # half of which make a vector, a quarter choose and a quarter judge
# Lemmas of vectors, of atoms, and of words by which k is chosen and results are judged.
VECTOR, ATOM, CHOOSE, JUDGE = range(4)
_SHARES = (0.35, 0.35, 0.15, 0.15)


@dataclass(frozen=True, eq=False)
class Subject:
    """A vector to be taken apart, and the words by which its effect is measured.

    Attributes:
        name: a concept, or "male – female".
        concept: whether it is one; its words are then held against all others, of pairs the one side against the other.
        vector: mean of `differences`, at the block.
        differences: of each phrase less the mean of others, or of each pair, shape (n, d).
        rows, others: activations with and without, shape (n, d), (m, d).
        choose, judge: token ids towards which it steers and from which, () against all: of the words by which k is
            chosen, and of those that judge.
        own: token ids of all its words.
    """

    name: str
    concept: bool
    vector: SteeringVector
    differences: Array
    rows: Array
    others: Array
    choose: tuple[Tokens, Tokens]
    judge: tuple[Tokens, Tokens]
    own: Tokens

    __repr__ = short_repr


@dataclass(frozen=True, eq=False)
class Bench:
    """What all parts share.

    Attributes:
        site: the output of the middle block, where vectors are read and added.
        directions: concept vectors of the unembedding, for readings.
        subjects: vectors to be pruned.
        atoms, permuted_atoms: mean differences of concepts' other phrases, and of as many with words of any, (m, d).
        atom_names: of both.
        choosing, reporting: prompts.
        dictionary, without_dictionary: of the site, or why there is none.
    """

    study: "AnatomyStudy"
    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerBase"
    site: Site
    unembedding: Unembedding
    space: "CausalSpace"
    directions: ConceptDirections
    subjects: tuple[Subject, ...]
    atoms: Array
    permuted_atoms: Array
    atom_names: tuple[str, ...]
    choosing: tuple[str, ...]
    reporting: tuple[str, ...]
    dictionary: FeatureDictionary | None
    without_dictionary: str

    __repr__ = short_repr

    @property
    def family(self) -> str:
        """The model's architecture, as vectors call it."""
        return Architecture.of(self.model).family


def prepare(study: "AnatomyStudy", step: Step) -> Bench:
    """Choose concepts, divide their words, read their phrases; names and prompts that do not fit are refused."""
    require_language_model(study.model)
    prompts = load_prompts(study.prompts)
    beginnings = prompts.beginnings[: study.n_prompts]
    if len(beginnings) < 6:
        raise SteeringError(f"{prompts.name}: at least 6 beginnings are needed, half of them to choose on")
    given = load_dictionary(study.dictionary) if study.dictionary else None
    step(f"reading the unembedding of {study.model} and fitting concepts")
    session, place = step.session, study.placement
    unembedding = session.unembedding(study.model, place)
    if given is not None and given.width != unembedding.matrix.shape[1]:
        width = unembedding.matrix.shape[1]
        raise SteeringError(f"{study.dictionary}: is for width {given.width}, and {study.model} has {width}")
    hierarchy = proper_concepts(session.hierarchy(study.hierarchy, unembedding.vocabulary))
    space = session.space(study.model, place)
    directions = ConceptDirections.fit_cloud(session.cloud(space, hierarchy))
    families = load_pairs(unembedding.vocabulary)
    pairs = {name: (of, ids) for name, (of, ids) in families.items() if len(of) >= FEWEST_PAIRS}
    pairs = dict(list(pairs.items())[: study.n_pairs])
    taken = {word.lower() for of, _ in pairs.values() for pair in of for word in pair}
    role = roles(hierarchy, taken, study.seed)
    targets = chosen_concepts(hierarchy, role, study.n_concepts)
    by_atom = {
        concept.name: spellings(hierarchy, members, role, ATOM, MOST_PHRASES)
        for concept, members in zip(hierarchy.concepts, hierarchy.members, strict=True)
        if len(concept) < 0.5 * len(hierarchy.tokens)
    }
    largest = sorted(by_atom, key=lambda name: -len(hierarchy[name]))
    by_atom = {name: by_atom[name] for name in largest if len(by_atom[name]) >= FEWEST_OF_ATOM}
    by_atom = {name: by_atom[name] for name in list(by_atom)[: study.n_atoms]}
    if not by_atom:
        raise SteeringError(f"hierarchy {hierarchy.name!r}: no concept has {FEWEST_OF_ATOM} words to rebuild others by")
    by_target = {
        name: spellings(hierarchy, hierarchy.members[hierarchy.index(name)], role, VECTOR, study.n_phrases)
        for name in targets
    }
    step(f"loading {study.model}")
    model, tokenizer = session.language_model(study.model, place)
    middle = Architecture.of(model).middle
    dictionary, without = dictionary_of(study, given, model, tokenizer, middle)
    site = middle if dictionary is None or dictionary.site is None else dictionary.site
    phrases = list(dict.fromkeys(word for words in (*by_atom.values(), *by_target.values()) for word in words))
    phrases += [
        word for word in dict.fromkeys(w for of, _ in pairs.values() for p in of for w in p) if word not in phrases
    ]
    step(f"reading {len(phrases):,} words at {site}")
    contexts = load_contexts(load_contexts("neutral").templates[:1])  # type: ignore[union-attr]
    activations = read_phrases(model, tokenizer, phrases, contexts=contexts, sites=[site], cache=True)
    rows = activations.mean(site).double().numpy()
    where = {word: index for index, word in enumerate(phrases)}

    def at(words: Iterable[str]) -> Array:
        return np.asarray(rows[[where[word] for word in words]])

    family = Architecture.of(model).family
    subjects = [
        _concept(hierarchy, name, site, family, role, at(by_target[name]), at(_others(hierarchy, by_target, name)))
        for name in targets
    ]
    subjects += [_pairs(name, site, family, of, ids, at) for name, (of, ids) in pairs.items()]
    every = list(dict.fromkeys(word for words in by_atom.values() for word in words))
    exchanged = dict(zip(every, generator(study.seed, "atoms' words").permutation(every).tolist(), strict=True))
    mean = at(every).mean(axis=0)
    return Bench(
        study, model, tokenizer, site, unembedding, space, directions, tuple(subjects),
        np.stack([at(words).mean(axis=0) - mean for words in by_atom.values()]),
        np.stack([at(map(exchanged.__getitem__, words)).mean(axis=0) - mean for words in by_atom.values()]),
        tuple(by_atom), beginnings[0::2], beginnings[1::2], dictionary, without,
    )  # fmt: skip


def dictionary_of(
    study: "AnatomyStudy",
    given: FeatureDictionary | None,
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    middle: Site,
) -> tuple[FeatureDictionary | None, str]:
    """The sparse autoencoder that was given, or else one that the study of dictionaries has trained and kept.

    Without either, why there is none; one that does not fit is refused.
    """
    found = given
    if found is None:
        usual = DictionariesStudy(seed=study.seed)
        try:
            found = text_dictionary(
                model, tokenizer, middle, n_tokens=usual.n_tokens, n_features=usual.n_features, k=usual.k,
                epochs=usual.epochs, seed=usual.seed, name=display_name(study.model), kept_only=True,
            ).dictionary  # fmt: skip
        except GeometryError as error:
            return None, str(error)
    found.check(model, same_name=False)
    if found.site is None or found.site.place != "output":
        raise SteeringError(
            f"{study.dictionary}: is read at {found.site or 'no site of this package'}; give one of a block's output,"
            " where vectors can be added"
        )
    return found, ""


def roles(hierarchy: ConceptHierarchy, taken: set[str], seed: int) -> NDArray[np.int64]:
    """What each of the hierarchy's tokens is for, by lemma, shape (T,); −1 for words that pairs are made of."""
    lemmas = hierarchy.lemmas
    of_lemma = generator(seed, "roles of lemmas").choice(4, size=int(lemmas.max()) + 1, p=_SHARES)
    barred = np.array([word.lower() in taken for word in hierarchy.words])
    of_lemma[np.unique(lemmas[barred])] = -1
    return np.asarray(of_lemma[lemmas], dtype=np.int64)


def chosen_concepts(hierarchy: ConceptHierarchy, role: NDArray[np.int64], count: int) -> tuple[str, ...]:
    """So many with enough lemmas for every role, spread over the depths; SteeringError if there are fewer than 3."""
    lemmas, names = hierarchy.lemmas, []
    for concept, members in zip(hierarchy.concepts, hierarchy.members, strict=True):
        of_role = [len(np.unique(lemmas[members[role[members] == each]])) for each in range(4)]
        if len(concept) <= LARGEST_PART * len(hierarchy.tokens) and min(of_role) >= 4:
            names.append(concept.name)
    if len(names) < 3:
        raise SteeringError(
            f"hierarchy {hierarchy.name!r}: {len(names)} concepts have 4 words for a vector, for rebuilding, for"
            " choosing and for judging; 3 are needed, of 40 words or so"
        )
    return spread_over_depths(hierarchy.only(names), count)


def spellings(
    hierarchy: ConceptHierarchy, members: NDArray[np.int64], role: NDArray[np.int64], which: int, most: int
) -> list[str]:
    """One word of each lemma of a role, in lower case where there is one, the first so many."""
    found: dict[int, str] = {}
    for place in members[role[members] == which]:
        word, number = hierarchy.words[place], int(hierarchy.lemmas[place])
        if number not in found or (word.islower(), -len(word)) > (found[number].islower(), -len(found[number])):
            found[number] = word
    return list(dict.fromkeys(found.values()))[:most]


def _others(hierarchy: ConceptHierarchy, by_target: Mapping[str, Sequence[str]], name: str) -> list[str]:
    own = set(hierarchy[name].words)
    words = list(dict.fromkeys(word for words in by_target.values() for word in words if word not in own))
    if not words:
        raise SteeringError(f"{name!r}: all other concepts' words are its own; choose a hierarchy with others")
    return words


def _concept(
    hierarchy: ConceptHierarchy, name: str, site: Site, family: str, role: NDArray[np.int64], rows: Array, others: Array
) -> Subject:
    members = hierarchy.members[hierarchy.index(name)]
    differences = rows - others.mean(axis=0)
    vector = _mean(differences, site, f"mean of {name} − mean of others", family)
    choose, judge = (hierarchy.tokens[members[role[members] == each]] for each in (CHOOSE, JUDGE))
    none = np.empty(0, dtype=np.int64)
    own = hierarchy.tokens[members]
    return Subject(name, True, vector, differences, rows, others, (choose, none), (judge, none), own)


def _pairs(name: str, site: Site, family: str, pairs: Sequence[tuple[str, str]], ids: Tokens, at: At) -> Subject:
    numbers = np.arange(len(pairs))
    # The vector is made from every other pair.
    choose, judge = numbers % 4 == 1, numbers % 4 == 3
    first, second = (at(pair[side] for pair in pairs[::2]) for side in (0, 1))
    vector = _mean(second - first, site, f"mean difference of {name}", family)
    used = np.unique(ids[::2])

    def tokens(which: NDArray[np.bool_], side: int) -> Tokens:
        # A word of several pairs that the vector was made from, or of both sides, would be no held-out one.
        return np.asarray(np.setdiff1d(np.setdiff1d(ids[which, side], ids[:, 1 - side]), used))

    sides = [(tokens(which, 1), tokens(which, 0)) for which in (choose, judge)]
    return Subject(name, False, vector, second - first, second, first, sides[0], sides[1], np.unique(ids))


def _mean(differences: Array, site: Site, provenance: str, family: str) -> SteeringVector:
    return SteeringVector({site: torch.from_numpy(differences.mean(axis=0))}, provenance, family)
