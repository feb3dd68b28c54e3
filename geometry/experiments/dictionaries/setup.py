"""What all parts of the study of dictionaries share: a model, a dictionary at one site, and rows read there."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from geometry.concepts import ConceptHierarchy, load_behaviour, load_glosses, proper_concepts
from geometry.dictionaries import (
    Codebook,
    Dictionary,
    FeatureDictionary,
    TokenActivations,
    Training,
    load_dictionary,
    principal_components,
    random_dictionary,
    read_tokens,
    text_dictionary,
)
from geometry.dictionaries.dictionary import known_as
from geometry.display import short_repr
from geometry.errors import EstimationError, SteeringError, shown
from geometry.experiments.study import Step
from geometry.models import CATALOGUE, Unembedding, display_name, require_language_model
from geometry.models.hub import is_hub_id
from geometry.steering import Architecture, PromptSet, Site, load_prompts

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from geometry.experiments.dictionaries.study import DictionariesStudy

SAE, CODEBOOK, RANDOM, COMPONENTS = "sparse autoencoder", "codebook", "random dictionary", "principal components"
MEAN = "mean of the training tokens"
REFERENCE = 60_000  # tokens of the training texts that codebook and components are fitted to
_CODES = 8  # of a row
_MOST_CODES = 4096


@dataclass(frozen=True, eq=False)
class Bench:
    """What all parts share.

    Attributes:
        dictionary: the sparse autoencoder, its site among what it holds.
        training: how it was trained; None of one that was given.
        kept: whether it was trained in an earlier run.
        rows: of the training texts, shape (n, d).
        held_out: tokens of later texts.
        held_out_texts: these texts, and what follows them.
        hierarchy: of the model's single-token words.
    """

    study: "DictionariesStudy"
    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerBase"
    unembedding: Unembedding
    hierarchy: ConceptHierarchy
    prompts: PromptSet
    dictionary: FeatureDictionary
    training: Training | None
    rows: torch.Tensor
    held_out: TokenActivations
    held_out_texts: Sequence[str]

    __repr__ = short_repr

    @property
    def site(self) -> Site:
        """Where the dictionary reads."""
        assert self.dictionary.site is not None  # noqa: S101 (prepare has seen to it)
        return self.dictionary.site

    @property
    def beginnings(self) -> tuple[str, ...]:
        """The prompts after which steering is measured."""
        return self.prompts.beginnings[: self.study.n_prompts]

    @property
    def active(self) -> int:
        """Features that are active in a row: k, or of others than TopK their mean on held-out tokens."""
        if self.dictionary.k is not None:
            return self.dictionary.k
        some = self.dictionary.encode_sparse(self.held_out.rows[:2000])
        return max(1, round(some.nnz / max(1, some.shape[0])))

    @cached_property
    def codebook(self) -> Codebook:
        """As many codes as features, at most 4,096, post hoc."""
        count = min(self.dictionary.n_features, _MOST_CODES, len(self.rows) // 8)
        return Codebook.fit(self.rows, count, k=_CODES, epochs=3, seed=self.study.seed, site=self.site)

    @cached_property
    def random(self) -> FeatureDictionary:
        """The control: as many random directions, as often active."""
        return random_dictionary(self.dictionary, self.rows[:8000], seed=self.study.seed)

    @cached_property
    def components(self) -> FeatureDictionary:
        """As many principal components as features are active."""
        return principal_components(self.rows, min(self.active, self.dictionary.width), site=self.site)

    @cached_property
    def dictionaries(self) -> dict[str, Dictionary]:
        """By what figures call them."""
        return {SAE: self.dictionary, CODEBOOK: self.codebook, COMPONENTS: self.components, RANDOM: self.random}

    def tokens_of(self, dictionary: Dictionary, features: Sequence[int], most: int = 4) -> dict[int, str]:
        """Feature → the different held-out tokens at which it is most active, the most first; "" of a silent one."""
        z = dictionary.encode_sparse(self.held_out.rows).tocsc()
        named = {}
        for feature in dict.fromkeys(features):
            column = z[:, [feature]]
            order = column.indices[np.argsort(-column.data, kind="stable")][:200]
            texts = dict.fromkeys(str(self.tokenizer.decode([token])).strip() for token in self.held_out.tokens[order])
            named[feature] = ", ".join([text for text in texts if text][:most])
        return named


def prepare(study: "DictionariesStudy", step: Step) -> Bench:
    """Read, or train; a dictionary, a site, texts or names that do not fit are refused before anything is read."""
    require_language_model(study.model)
    prompts = load_prompts(study.prompts)
    if len(prompts.beginnings[: study.n_prompts]) < 3 or not prompts.texts:
        raise SteeringError(
            f"{prompts.name}: at least 3 beginnings, for an interval over prompts, and a text are needed"
        )
    if study.behaviour:
        load_behaviour(study.behaviour)
    lines = _lines(study.texts) if study.texts else None
    asked = Site.parse(study.site) if study.site else None
    if asked is not None and asked.relative:
        raise SteeringError(
            f"site: {asked} is relative, and activations are not; write {replace(asked, relative=False)}"
        )
    given = _given(study)
    if given is None and study.k > study.n_features:
        raise EstimationError(f"k is at most the number of features, {study.n_features}, not {study.k}")
    step(f"reading the unembedding of {study.model}")
    session, place = step.session, study.placement
    unembedding = session.unembedding(study.model, place)
    if given is not None and given.width != unembedding.matrix.shape[1]:
        raise SteeringError(
            f"{given.source}: is for width {given.width}, and {study.model} has {unembedding.matrix.shape[1]}; give the"
            " dictionary of this model"
        )
    hierarchy = proper_concepts(session.hierarchy(study.hierarchy, unembedding.vocabulary))
    step(f"loading {study.model}")
    model, tokenizer = session.language_model(study.model, place)
    site = asked or Architecture.of(model).middle
    Architecture.of(model).check(site)
    if given is not None:
        given.check(model)
        site = given.site or site
    training = None
    used = study.n_tokens if given is None else REFERENCE
    texts = load_glosses(seed=study.seed) if lines is None else lines
    # Texts that are too few are refused before minutes of training.
    begin = token_count(model, tokenizer, texts, used)
    token_count(model, tokenizer, texts[begin:], study.n_held_out)
    if given is None:
        step(f"training a dictionary of {study.n_features} features at {site}, unless the cache has it")
        training = text_dictionary(
            model, tokenizer, site, texts=lines, n_tokens=study.n_tokens,
            n_features=study.n_features, k=study.k, epochs=study.epochs, seed=study.seed,
            name=display_name(study.model),
        )  # fmt: skip
    dictionary = replace(given, site=site) if given is not None else training.dictionary  # type: ignore[union-attr]
    step("reading tokens of the training texts and of later ones")
    first = read_tokens(model, tokenizer, texts, site, n_tokens=min(used, REFERENCE), cache=True)
    later = texts[begin:]
    held_out = read_tokens(model, tokenizer, later, site, n_tokens=study.n_held_out, cache=True)
    return Bench(
        study, model, tokenizer, unembedding, hierarchy, prompts, dictionary, training, first.rows, held_out, later
    )


def token_count(model: Any, tokenizer: Any, texts: Sequence[str], n_tokens: int) -> int:
    """How many texts so many tokens take."""
    from geometry.dictionaries.token_activations import token_rows

    return token_rows(model, tokenizer, texts, n_tokens=n_tokens).n_texts


def _given(study: "DictionariesStudy") -> FeatureDictionary | None:
    """The dictionary that was named; SteeringError where it says that it is of another model."""
    if not study.dictionary:
        if study.dictionary_folder:
            raise EstimationError("a folder within a dictionary is given, and no dictionary; give --dictionary too")
        return None
    read = load_dictionary(study.dictionary, study.dictionary_folder, site=study.site or None)
    named = study.model in CATALOGUE or (is_hub_id(study.model) and not Path(study.model).exists())
    if named and read.model and known_as(read.model) != known_as(display_name(study.model)):
        raise SteeringError(
            f"{read.source}: is for {read.model}, not for {study.model}; give that model or another SAE"
        )
    return read


def _lines(path: str) -> list[str]:
    try:
        lines = [line.strip() for line in Path(path).read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise EstimationError(f"{shown(path)}: cannot be read as texts: {error}") from error
    # A line that is there twice would be trained on and held out.
    kept = list(dict.fromkeys(filter(None, lines)))
    if not kept:
        raise EstimationError(f"{shown(path)}: holds no text; write one a line")
    return kept
