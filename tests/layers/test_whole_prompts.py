"""Whole prompts are phrases too, in the context "{}": classes of behaviour are read and tested like concepts."""

import torch

import geometry as geo
from tests.loaded import loaded_once


def test_a_family_of_behaviour_is_a_hierarchy_of_prompts() -> None:
    model, tokenizer = loaded_once("stories15m")
    aggression = geo.load_behaviour("aggression")
    prompts = aggression.texts(templates=list(aggression.templates)[:2])
    hierarchy = geo.load_hierarchy({aggression.name: {name: list(texts) for name, texts in prompts.items()}},
                                   geo.concepts.AnyPhrase())  # fmt: skip
    assert set(prompts) < set(hierarchy.names)
    activations = geo.read_phrases(model, tokenizer, hierarchy.words, sites=["output.3"], contexts=["{}"])
    read = geo.read_activations(model, tokenizer, hierarchy.words, ["output.3"])["output.3"]
    torch.testing.assert_close(activations["output.3"][0], read, rtol=1e-4, atol=1e-4)
    space = activations.space("output.3")
    own = hierarchy.over(activations.vocabulary)
    tested = geo.test_against_nulls(
        space, own, [geo.evidence.membership()], nulls=["permuted"], n_permutations=19, missing="nan"
    )["membership"]
    assert tested.value > tested.nulls["permuted"].mean + 0.1
