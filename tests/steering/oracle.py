"""The oracle: what is read from a file is what the loaded model multiplies with. And the page that tells of families.

`python -m tests.steering.oracle` writes docs/families.md anew.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import geometry as geo
from geometry.steering.belonging import check_belongs
from geometry.steering.readout import Readout
from tests.steering import families, tiny

PAGE = Path(__file__).parents[2] / "docs" / "families.md"
_RELATIVE = 1e-4
_HEADER = """# Model families

What holds for each family, measured on a tiny model of it with random weights. A line is written by the test that
checks it: the checkpoint is saved, its unembedding read from the file, the model loaded, and a vector added after the
final norm, which must move the logits by matrix · vector × scale. How to add one:
[add-a-model-family](add-a-model-family.md).

- **logits**: what a vector after the final norm moves them by; *capped* where large ones saturate.
- **blocks**: whether the residual stream between blocks can be read and steered, and at which positions: single ones
  need a KV-cache.
- **padding**: whether prompts of different lengths are run together, or one length at a time, as the model does not
  heed a mask; either way a prompt gives what it gives alone.

"""


@dataclass(frozen=True)
class Finding:
    """What was found of a family; `refused` says why it cannot be used, and is empty where it can."""

    family: str
    unembedding: str = ""
    logits: str = ""
    blocks: str = ""
    padding: str = ""
    refused: str = ""

    @property
    def row(self) -> str:
        if self.refused:
            return f"| {self.family} | {self.unembedding or '—'} | refused: {self.refused} | — | — |"
        return f"| {self.family} | {self.unembedding} | {self.logits} | {self.blocks} | {self.padding} |"


def examined(family: str, folder: Path) -> Finding:
    """Put a family to the test; AssertionError where anything is wrong, not where it is refused."""
    original = families.build(family)
    original.save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    if refusal := _refusal(lambda: geo.Unembedding.load(folder)):
        assert "no plain unembedding" in refusal, refusal
        return Finding(family, refused="no plain unembedding in its file, but layers before one")
    unembedding = geo.Unembedding.load(folder)
    head = original.get_output_embeddings()
    assert torch.equal(unembedding.matrix, head.weight.detach()), "another matrix was read"
    kept = "tied" if unembedding.tied else "its own"
    model, _ = geo.load_model(folder)
    if refusal := _refusal(lambda: geo.steering.Architecture.of(model)):
        return Finding(family, kept, refused=refusal.partition(": ")[2].partition(";")[0])
    architecture = geo.steering.Architecture.of(model)
    logits = _logits(model, architecture, unembedding)
    return Finding(family, kept, logits, _blocks(model, architecture), _padding(model, architecture))


def _logits(model: Any, architecture: Any, unembedding: geo.Unembedding) -> str:
    """Adding δ after the final norm adds matrix · δ × scale, before any cap."""
    readout = Readout.of(architecture)
    assert readout is not None
    assert readout.follows
    check_belongs(model, unembedding)
    ids = torch.tensor([[2, 9, 4]])
    delta = torch.linspace(-1, 2, architecture.width)
    with torch.no_grad():
        plain = model(input_ids=ids).logits
        with geo.steer(model, geo.SteeringVector({"after_norm": delta}), positions="all"):
            steered = model(input_ids=ids).logits
        assert torch.equal(model(input_ids=ids).logits, plain)
    change = _uncapped(steered, readout.cap) - _uncapped(plain, readout.cap)
    wanted = readout.scale * (unembedding.matrix.double() @ delta.double())
    error = float((change - wanted).abs().max() / wanted.abs().max())
    assert error < _RELATIVE, error
    scale = "matrix · vector" if readout.scale == 1 else f"{readout.scale:.4g} × matrix · vector"
    return scale + (f", capped at ±{readout.cap:.4g}" if readout.cap is not None else "")


def _uncapped(logits: torch.Tensor, cap: float | None) -> torch.Tensor:
    logits = logits.double()
    return logits if cap is None else cap * torch.atanh(logits / cap)


def _blocks(model: Any, architecture: Any) -> str:
    """A vector at a block moves the residual stream there by itself, at the positions meant and no others."""
    ids, delta = torch.tensor([[2, 9, 4, 7]]), torch.linspace(-2, 3, architecture.width)
    vector, kinds = geo.SteeringVector({"output.0": delta}), []

    def stream() -> torch.Tensor:
        with torch.no_grad(), geo.record_activations(model, ["output.0"]) as seen:
            model(input_ids=ids)
        return seen[geo.Site("output", 0)][0]

    def steered(positions: Any) -> torch.Tensor:
        # Recorded after steering began, and so what leaves the block.
        with geo.steer(model, vector, positions=positions):
            return stream()

    if refusal := _refusal(stream):
        for refused in (
            lambda: steered("all"),
            lambda: geo.read_activations(model, tiny.tokenizer(), ["w3 w4 w5"], ["output.0"]),
            lambda: geo.class_means(model, tiny.tokenizer(), {"a": ["w3 w4"]}, ["output.0"], token="mean"),
        ):
            assert "has shape" in _refusal(refused), refusal
        return "refused: several streams"
    plain = stream()
    for positions in ("all", "last"):
        if refusal := _refusal(lambda positions=positions: steered(positions)):
            assert positions == "last", refusal
            assert "keeps no KV-cache" in refusal, refusal
            continue
        wanted = delta if positions == "all" else delta * (torch.arange(4) == 3)[:, None]
        torch.testing.assert_close(steered(positions) - plain, wanted.expand(4, -1), atol=1e-5, rtol=1e-5)
        kinds.append("all positions" if positions == "all" else "any positions")
    return kinds[-1]


def _refusal(call: Callable[[], Any]) -> str:
    """Why a call is refused; empty where it is not."""
    try:
        call()
    except geo.GeometryError as refusal:
        return str(refusal)
    return ""


def _padding(model: Any, architecture: Any) -> str:
    """Prompts of different lengths give what each gives alone, read and generated."""
    prompts = ["w3 w4", "w7 w8 w9 w10 w11 w12", "w20 w21 w22"]
    read, made = [], []
    for batch in (prompts, *([prompt] for prompt in prompts)):
        (rows,) = geo.read_activations(model, tiny.tokenizer(), batch, ["after_norm"]).values()
        read.append(rows)
        made.append([each[0].token_ids for each in geo.generate(model, tiny.tokenizer(), batch, max_new_tokens=4)])
    alone = torch.cat(read[1:])
    assert float((read[0] - alone).abs().max() / alone.abs().max()) < 1e-3, "padded is not alone"
    assert made[0] == [each for one in made[1:] for each in one], "generated otherwise than alone"
    return "together" if geo.steering.padding.heeds_padding(architecture) else "one length at a time"


def page(findings: list[Finding]) -> str:
    """docs/families.md."""
    lines = ["| family | unembedding | logits | blocks | padding |", "| --- | --- | --- | --- | --- |"]
    names = (families.FAMILIES, families.WRAPPERS)
    texts, wrappers = ([found.row for found in findings if found.family in some] for some in names)
    return (
        f"{_HEADER}## Text: {len(texts)}\n\n" + "\n".join([*lines, *sorted(texts)]) + "\n\n"
        f"## With images or sound: {len(wrappers)}\n\n" + "\n".join([*lines, *sorted(wrappers)]) + "\n"
    )


if __name__ == "__main__":
    found = []
    for name in (*families.FAMILIES, *families.WRAPPERS):
        with tempfile.TemporaryDirectory() as temporary:
            found.append(examined(name, Path(temporary)))
    PAGE.write_text(page(found), encoding="utf-8")
