"""A tiny model whose second block turns the residual stream, or leaves it alone: the truth about steering is known.

Prompts and phrases are single words, so that attention is to the word itself and a block adds a linear map of its
normed input. The unembedding reads what the blocks make of an embedding, so the model predicts words like the last one.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

import geometry as geo
from tests.steering import tiny

WIDTH, WORDS = 16, 62
CLASSES = ("bird", "fish", "tree", "herb")
PARENTS = {"bird": "animal", "fish": "animal", "tree": "plant", "herb": "plant"}
PAIRS = [(PARENTS[child], child) for child in CLASSES]
PROMPTS = [f"w{number}" for number in range(50, 60)]
TEXTS = ["w50 w51 w52", "w53 w54 w55"]
SITE = "output.0"


@dataclass(frozen=True)
class World:
    """What `measure_block_steering` takes, but for the concepts."""

    model: Any
    activations: geo.layers.PhraseActivations
    hierarchy: geo.ConceptHierarchy
    causal: geo.CausalSpace
    directions: geo.ConceptDirections

    @property
    def tokenizer(self) -> Any:
        return tiny.tokenizer()

    def arguments(self, metric: Any = "euclidean") -> tuple[Any, ...]:
        spaces = {SITE: self.activations.space(SITE, metric)}
        return self.model, self.tokenizer, self.activations, spaces, self.hierarchy, self.causal, self.directions


def concepts(vocabulary: geo.Vocabulary) -> geo.ConceptHierarchy:
    """12 words of each class, w2 to w49."""
    words = {name: [f"w{2 + 12 * n + i}" for i in range(12)] for n, name in enumerate(CLASSES)}
    words |= {parent: [w for c in CLASSES if PARENTS[c] == parent for w in words[c]] for parent in ("animal", "plant")}
    names = ("animal", "plant", *CLASSES)
    made = tuple(geo.concepts.Concept.from_words(name, words[name], vocabulary) for name in names)
    return geo.ConceptHierarchy("planted", made, {child: (parent,) for child, parent in PARENTS.items()})


def rows() -> np.ndarray:
    """Embeddings of w2 to w63 around class means, of covariance I and mean 0; shape (62, d)."""
    rng = np.random.default_rng(0)
    centres = np.linalg.qr(rng.standard_normal((WIDTH, WIDTH)))[0]
    values = rng.standard_normal((WORDS, WIDTH)) * 0.3
    for number, child in enumerate(CLASSES):
        values[12 * number : 12 * number + 12] += 2 * centres[number] + 2 * centres[4 + (PARENTS[child] == "plant")]
    values -= values.mean(axis=0)
    spread, axes = np.linalg.eigh(values.T @ values / WORDS)
    return values @ (axes / spread**0.5) @ axes.T


def world(turned: bool = False, shuffled: bool = False) -> World:
    """With the stream `turned` between block and output, or the phrases `shuffled`, so that no concept is there."""
    config: dict[str, Any] = {"num_attention_heads": 1, "num_key_value_heads": 1, "num_hidden_layers": 2}
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=WORDS + 2, hidden_size=WIDTH, intermediate_size=4, bos_token_id=0, eos_token_id=1, **config
        )
    ).eval()
    rng = np.random.default_rng(1)
    turn = np.linalg.qr(rng.standard_normal((WIDTH, WIDTH)))[0] if turned else np.eye(WIDTH)
    values = rows()
    with torch.no_grad():
        for parameter in model.model.layers.parameters():
            parameter.fill_(1.0 if parameter.ndim == 1 else 0.0)
        attention = model.model.layers[1].self_attn
        attention.v_proj.weight.copy_(torch.eye(WIDTH))
        attention.o_proj.weight.copy_(torch.from_numpy(turn - np.eye(WIDTH)))
        model.model.embed_tokens.weight[2:] = torch.from_numpy(values).float()
        model.lm_head.weight[:2] = 0.0
        model.lm_head.weight[2:] = torch.from_numpy(0.3 * values @ turn.T).float()
    model.generation_config.eos_token_id = None
    vocabulary = geo.Vocabulary(["<s>", "</s>", *(f"Ġw{number}" for number in range(2, WORDS + 2))])
    unembedding = geo.Unembedding(model.lm_head.weight.detach().clone(), vocabulary, "tiny", "llama")
    causal = geo.CausalSpace.fit(unembedding)
    named = [f"w{number}" for number in range(2, WORDS + 2)]
    read = geo.read_phrases(model, tiny.tokenizer(), named, contexts=["{}"], sites=[SITE])
    if shuffled:
        order = torch.from_numpy(rng.permutation(WORDS))
        samples = {site: values[:, order] for site, values in read.samples.items()}
        read = geo.layers.PhraseActivations(read.phrases, read.contexts, samples, read.model, read.family)
    return World(
        model,
        read,
        concepts(read.vocabulary),
        causal,
        geo.ConceptDirections.fit(causal, concepts(vocabulary)),
    )
