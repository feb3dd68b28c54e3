"""A llama2.c checkpoint against the model written out in NumPy, straight from its file."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import geometry as geo
from geometry.models import cached_path
from geometry.models.catalogue import CATALOGUE

STORIES = cached_path(CATALOGUE["stories15m"])
stories = pytest.mark.skipif(not STORIES.exists(), reason="needs npm; run: concept-geometry fetch stories15m")
Array = np.ndarray


@dataclass(frozen=True)
class Checkpoint:
    """The file as llama2.c defines it; matrices are (layers, outputs, inputs)."""

    sizes: tuple[int, ...]
    weights: dict[str, Array]
    pieces: list[bytes]
    scores: list[float]

    @classmethod
    def of(cls, path: Path) -> "Checkpoint":
        content = path.read_bytes()
        sizes = struct.unpack_from("<7i", content)
        width, hidden, layers, heads, groups, tokens, context = sizes
        size, place, weights = width // heads, 28, {}
        shapes: dict[str, tuple[int, ...]] = {
            "embedding": (abs(tokens), width),
            "attention_norm": (layers, width),
            "q": (layers, heads * size, width),
            "k": (layers, groups * size, width),
            "v": (layers, groups * size, width),
            "o": (layers, width, heads * size),
            "forward_norm": (layers, width),
            "gate": (layers, hidden, width),
            "down": (layers, width, hidden),
            "up": (layers, hidden, width),
            "norm": (width,),
            "cos": (context, size // 2),
            "sin": (context, size // 2),
        }
        if tokens < 0:
            shapes["head"] = (-tokens, width)
        for name, shape in shapes.items():
            count = int(np.prod(shape))
            weights[name] = np.frombuffer(content, "<f4", count, place).reshape(shape).astype(np.float64)
            place += 4 * count
        weights.setdefault("head", weights["embedding"])
        place += 4
        pieces, scores = [], []
        for _ in range(abs(tokens)):
            score, length = struct.unpack_from("<fi", content, place)
            pieces.append(content[place + 8 : place + 8 + length])
            scores.append(score)
            place += 8 + length
        assert place == len(content)
        return cls(sizes, weights, pieces, scores)

    def logits(self, ids: list[int]) -> Array:
        """Of every position, shape (n, V)."""
        width, _, layers, heads, groups, _, _ = self.sizes
        w, size, n = self.weights, width // heads, len(ids)
        angles = np.arange(n)[:, None] * 10_000.0 ** (-np.arange(0, size, 2) / size)
        x = w["embedding"][ids]
        for layer in range(layers):
            y = rms(x, w["attention_norm"][layer])
            q, k = (rotated((y @ w[name][layer].T).reshape(n, -1, size), angles) for name in "qk")
            v = (y @ w["v"][layer].T).reshape(n, groups, size)
            mixed = np.zeros((n, heads, size))
            for head in range(heads):
                group = head // (heads // groups)
                score = q[:, head] @ k[:, group].T / np.sqrt(size)
                score[np.triu_indices(n, 1)] = -np.inf
                share = np.exp(score - score.max(axis=1, keepdims=True))
                mixed[:, head] = share / share.sum(axis=1, keepdims=True) @ v[:, group]
            x = x + mixed.reshape(n, -1) @ w["o"][layer].T
            y = rms(x, w["forward_norm"][layer])
            gate = y @ w["gate"][layer].T
            x = x + (gate / (1 + np.exp(-gate)) * (y @ w["up"][layer].T)) @ w["down"][layer].T
        return rms(x, w["norm"]) @ w["head"].T

    def encoded(self, text: str) -> list[int]:
        """llama2.c's: characters, or else their bytes, merged greedily by score; without <s>."""
        known = {piece: index for index, piece in enumerate(self.pieces) if index >= 259}
        ids: list[int] = []
        for raw in (character.encode() for character in " " + text):
            ids += [known[raw]] if raw in known else [3 + byte for byte in raw]
        while True:
            pairs = [(self.pieces[one] + self.pieces[other], place) for place, (one, other) in enumerate(pairwise(ids))]
            merges = [(self.scores[known[pair]], -place, known[pair]) for pair, place in pairs if pair in known]
            if not merges:
                return ids
            _, place, found = max(merges)
            ids[-place : -place + 2] = [found]


def rms(x: Array, weight: Array) -> Array:
    return weight * x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-5)


def rotated(x: Array, angles: Array) -> Array:
    """Interleaved: neighbours 2i and 2i + 1 turn together."""
    even, odd, cos, sin = x[..., ::2], x[..., 1::2], np.cos(angles)[:, None], np.sin(angles)[:, None]
    turned = np.empty_like(x)
    turned[..., ::2], turned[..., 1::2] = even * cos - odd * sin, even * sin + odd * cos
    return turned


@pytest.fixture(scope="module")
def real() -> Checkpoint:
    return Checkpoint.of(STORIES)


@pytest.fixture(scope="module")
def loaded() -> tuple[Any, Any]:
    return geo.load_model("stories15m")


def logits(model: Any, ids: list[int]) -> Array:
    with torch.no_grad():
        return np.asarray(model(torch.tensor([ids])).logits[0].double())


@stories
def test_the_real_model_computes_what_its_format_says(real: Checkpoint, loaded: tuple[Any, Any]) -> None:
    model, _ = loaded
    ids = [1, 9038, 2501, 263, 931, 29892, 727, 471, 263, 7826]
    expected = real.logits(ids)
    np.testing.assert_allclose(logits(model, ids), expected, atol=2e-4)
    # Not so little that the order of rotation would pass unseen.
    assert expected.std() > 1
    assert real.pieces[int(expected[-1].argmax())] == b" named"


TEXTS = ["Once upon a time, there was a bird.", "The unbelievably   happy Zürich 🐦 sang: naïve!", "a", ""]


@stories
@pytest.mark.parametrize("text", TEXTS)
def test_text_is_cut_as_the_scores_say(real: Checkpoint, loaded: tuple[Any, Any], text: str) -> None:
    _, tokenizer = loaded
    ids = tokenizer.encode(text)
    assert ids == [1, *(real.encoded(text) if text else [])]
    assert tokenizer.decode(ids, skip_special_tokens=True).strip() == text


@stories
def test_the_unembedding_is_the_first_tensor(real: Checkpoint) -> None:
    unembedding = geo.Unembedding.load("stories15m")
    np.testing.assert_array_equal(unembedding.matrix.numpy(), real.weights["embedding"].astype(np.float32))
    assert (unembedding.tied, unembedding.family, unembedding.name) == (True, "llama", "stories15m")
    assert unembedding.vocabulary.word_id("bird") == real.pieces.index(b" bird")
    assert not unembedding.vocabulary.textual[:3].any()
    # The file writes a byte as the character that it stands for, which other rows stand for as well.
    assert unembedding.vocabulary.tokens[3 + ord(",")] == "<0x2C>"
    assert len(set(unembedding.vocabulary.tokens)) == len(unembedding.vocabulary)
    assert geo.Unembedding.load("stories15m", side="input").sha256 == unembedding.sha256


PIECES = ["<unk>", "\n<s>\n", "\n</s>\n", *(f"<0x{byte:02X}>" for byte in range(256)), " ", "a", "b", " a", "ab", " ab"]


def written(path: Path, *, untied: bool, seed: int = 0) -> Path:
    """Two heads to a key-value head, width 8."""
    width, hidden, layers, heads, groups, tokens, context = 8, 12, 2, 4, 2, len(PIECES), 16
    rng = np.random.default_rng(seed)
    keys = width // heads * groups
    per_layer = (width, width * width, keys * width, keys * width, width * width, width, *[hidden * width] * 3)
    counts = [tokens * width, *(layers * count for count in per_layer), width, context * (width // heads)]
    counts += [tokens * width] * untied
    content = struct.pack("<7i", width, hidden, layers, heads, groups, -tokens if untied else tokens, context)
    content += b"".join(rng.standard_normal(count).astype("<f4").tobytes() for count in counts)
    content += struct.pack("<i", max(map(len, PIECES)))
    for index, piece in enumerate(PIECES):
        content += struct.pack("<fi", float(index - len(PIECES)), len(piece.encode())) + piece.encode()
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("untied", [False, True])
def test_a_small_model_with_grouped_heads_and_its_own_head(tmp_path: Path, untied: bool) -> None:
    path = written(tmp_path / "m.llama2c", untied=untied)
    small = Checkpoint.of(path)
    model, tokenizer = geo.load_model(path)
    ids = tokenizer.encode("ab a")
    assert ids == [1, *small.encoded("ab a")]
    np.testing.assert_allclose(logits(model, ids), small.logits(ids), rtol=1e-4, atol=1e-4)
    for side, name in (("output", "head"), ("input", "embedding")):
        unembedding = geo.Unembedding.load(path, side=side)
        np.testing.assert_array_equal(unembedding.matrix.numpy(), small.weights[name].astype(np.float32))
        assert unembedding.tied is not untied


def with_sizes(**changes: int) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        names = ("width", "hidden", "layers", "heads", "groups", "tokens", "context")
        sizes = dict(zip(names, struct.unpack_from("<7i", content), strict=True)) | changes
        return struct.pack("<7i", *sizes.values()) + content[28:]

    return change


HUGE = 2**31 - 1
BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "only a header": lambda content: content[:28],
    "half": lambda content: content[: len(content) // 2],
    "without its tokenizer": lambda content: content[: content.index(b"<unk>") - 12],
    "cut within the last token": lambda content: content[:-1],
    "trailing byte": lambda content: content + b"\0",
    "GGUF": lambda content: b"GGUF" + content,
    "noise": lambda content: np.random.default_rng(0).bytes(len(content)),
    "a negative length": lambda content: content.replace(struct.pack("<i", 3) + b" ab", struct.pack("<i", -1) + b" ab"),
    "a long token": lambda content: content.replace(struct.pack("<i", 3) + b" ab", struct.pack("<i", HUGE) + b" ab"),
    "no tokens": with_sizes(tokens=0),
    "two tokens": with_sizes(tokens=2),
    "the fewest integers": with_sizes(tokens=-(2**31)),
    "negative width": with_sizes(width=-8),
    "no heads": with_sizes(heads=0),
    "heads that do not divide the width": with_sizes(heads=3),
    "groups that do not divide the heads": with_sizes(groups=3),
    "huge": with_sizes(width=HUGE, heads=1, groups=1, hidden=HUGE, layers=HUGE, tokens=HUGE, context=HUGE),
    "many layers": with_sizes(layers=HUGE),
    "long context": with_sizes(context=HUGE),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_no_such_file_is_refused(tmp_path: Path, case: str) -> None:
    path = written(tmp_path / "m.llama2c", untied=False)
    path.write_bytes(BROKEN[case](path.read_bytes()))
    with pytest.raises(geo.errors.ModelError, match=r"m\.llama2c: not a readable llama2\.c model"):
        geo.Unembedding.load(path)


def test_a_piece_that_is_no_utf8_is_read_as_a_decoder_shows_it(tmp_path: Path) -> None:
    path = written(tmp_path / "m.llama2c", untied=False)
    plain = geo.Unembedding.load(path)
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    read = geo.Unembedding.load(path)
    assert torch.equal(read.matrix, plain.matrix)
    assert read.vocabulary.tokens == (*plain.vocabulary.tokens[:-1], plain.vocabulary.tokens[-1][:-1] + "\ufffd")


def test_a_whole_model_is_refused_alike(tmp_path: Path) -> None:
    path = written(tmp_path / "m.llama2c", untied=False)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(geo.errors.ModelError, match=r"m\.llama2c: not a readable llama2\.c model"):
        geo.load_model(path)


@stories
def test_a_whole_model_is_called_alike_each_time_so_that_what_is_kept_of_it_is_found() -> None:
    first, second = (geo.load_model("stories15m")[0].config.to_json_string(use_diff=False) for _ in range(2))
    assert first == second
