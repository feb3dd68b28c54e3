"""A tiny model that is trained for some hundred steps on sentences of a planted hierarchy, and saved on its way."""

import random
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as Decoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

KINDS, SUBKINDS, WORDS = 4, 3, 10
STEPS = (0, 5, 20, 60, 200)
CONTEXT = "here we saw {}"


def words() -> dict[tuple[int, int], list[str]]:
    """Kind and kind below it → its words, of three made-up syllables."""
    rng = random.Random(0)  # noqa: S311
    syllables = [a + b for a in "bdfgklmnprtv" for b in "aiou"]
    every: list[str] = []
    while len(every) < KINDS * SUBKINDS * WORDS:
        word = "".join(rng.choices(syllables, k=3))
        every += [] if word in every else [word]
    pairs = [(kind, below) for kind in range(KINDS) for below in range(SUBKINDS)]
    return {pair: every[number * WORDS : (number + 1) * WORDS] for number, pair in enumerate(pairs)}


def write_hierarchy(path: Path) -> Path:
    """The tree that sentences are made of, in YAML."""
    lines = ["forms: none", "thing:"]
    for kind in range(KINDS):
        lines.append(f"  - kind{kind}:")
        lines += [
            f"    - kind{kind}below{below}: [{', '.join(own)}]" for (k, below), own in words().items() if k == kind
        ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def sentence(rng: random.Random) -> str:
    """What stands around a word says of which kind it is, and of which kind below."""
    (kind, below), own = rng.choice([*words().items()])
    return f"here we saw {rng.choice(own)} do{kind} at{kind}{below} and do{kind} to {rng.choice(own)} at{kind}{below}"


def tokenizer() -> Any:
    """Byte-level BPE to which each word is one token, as every one is in the same place of the same sentence."""
    rng, made = random.Random(1), Tokenizer(BPE())  # noqa: S311
    made.pre_tokenizer, made.decoder = ByteLevel(add_prefix_space=False), Decoder()
    texts = [sentence(rng) for _ in range(3000)]
    trainer = BpeTrainer(
        vocab_size=900, special_tokens=["<s>", "</s>"], initial_alphabet=ByteLevel.alphabet(), show_progress=False
    )
    made.train_from_iterator(texts, trainer)
    wrapped: Any = PreTrainedTokenizerFast
    return wrapped(tokenizer_object=made, bos_token="<s>", eos_token="</s>")


def build(own: Any, **config: Any) -> Any:
    """The model before its first step."""
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2} | config
    sizes |= {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 4096}
    sizes |= {"bos_token_id": 0, "eos_token_id": 1, "tie_word_embeddings": False}
    model: Any = LlamaForCausalLM(LlamaConfig(vocab_size=len(own), **sizes))
    return model.eval()


def train(folder: Path, steps: tuple[int, ...] = STEPS) -> list[Path]:
    """Folders step0, step10, …, each a whole model with its tokenizer."""
    own = tokenizer()
    model, rng = build(own), random.Random(2)  # noqa: S311
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    saved = []
    for step in range(max(steps) + 1):
        if step in steps:
            saved.append(folder / f"step{step}")
            model.save_pretrained(saved[-1])
            own.save_pretrained(saved[-1])
        ids = own([sentence(rng) for _ in range(24)], padding=False, return_tensors="pt").input_ids
        loss = model(ids, labels=ids).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return saved
