"""The unembedding matrix with its vocabulary: all that the geometry needs of a model."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.arguments import checked
from geometry.display import in_short
from geometry.errors import ArgumentError, ModelError, shown
from geometry.memory import in_passing
from geometry.models.checkpoint import Side
from geometry.models.gguf_file import read_gguf
from geometry.models.hub import commit_of, with_revision
from geometry.models.in_memory import find_unembedding, provenance, vocabulary_of
from geometry.models.llama2c_file import as_gguf, is_llama2c
from geometry.models.locating import display_name, is_word_vectors, locate
from geometry.models.placement import checked_device
from geometry.models.safetensors_file import read_safetensors
from geometry.models.vocabulary import Vocabulary
from geometry.models.word_vectors_file import read_word_vectors

_SLICE = 1 << 20
_DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)


@dataclass(frozen=True, eq=False)
class Unembedding:
    """Unembedding γ of a language model: P(y | x) ∝ exp(λ(x)ᵀ γ(y)), with the final hidden state λ(x).

    >>> import geometry as geo
    >>> geo.Unembedding.load("smollm2-135m")
    Unembedding('smollm2-135m', llama, 49152 x 576 torch.float32)

    Of a model in memory there is `from_model`; of a matrix, a tensor or an array of NumPy's:

    >>> vocabulary = geo.Vocabulary(["Ġa", "Ġbird", "Ġcat"])
    >>> geo.Unembedding(torch.eye(3, 4), vocabulary, name="mine")
    Unembedding('mine', unknown, 3 x 4 torch.float32)

    Parameters:
        matrix: float tensor, shape (V, d), row y is γ(y), in the dtype it is stored in.
        vocabulary: the tokens; a matrix may have more rows than tokens (padding), never fewer (special tokens apart).
        name, family: how results call the model, and its architecture ("llama", "gemma3", "gpt2").
        tied: whether γ is also the input embedding.
        side: "input" where the matrix is the input embedding of an untied model, which predicts no token.
        commit: of a model from the hub, the commit that was read, 40 hexadecimal digits; else empty.

    Rows that no text reaches (special tokens, padding) may hold anything, NaN too.

    ModelError: wrong shape, fewer rows than tokens, NaN or infinite values, or nothing but zeros.
    """

    matrix: torch.Tensor
    vocabulary: Vocabulary
    name: str = "unnamed"
    family: str = "unknown"
    tied: bool = False
    side: Side = "output"
    commit: str = ""

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "matrix", torch.as_tensor(self.matrix).detach())
        except (TypeError, ValueError, RuntimeError) as error:
            raise ArgumentError(f"Unembedding: matrix must be a V x d tensor, not {shown(self.matrix)}") from error
        if not isinstance(self.vocabulary, Vocabulary):
            raise ArgumentError(
                f"Unembedding: vocabulary must be a Vocabulary, not {shown(self.vocabulary)};"
                " geo.Vocabulary(tokens), or geo.Vocabulary(tokenizer.get_vocab()), makes one"
            )
        if self.matrix.ndim != 2 or self.matrix.dtype not in _DTYPES:
            raise ModelError(
                f"{self.name}: the unembedding must be a V x d matrix of fp16, bf16, fp32 or fp64,"
                f" not {tuple(self.matrix.shape)} of {self.matrix.dtype}"
            )
        if self.matrix.device.type == "meta":
            raise ModelError(f"{self.name}: the unembedding is on the meta device, without numbers; load the weights")
        rows = self.matrix.shape[0]
        # Special tokens beyond the matrix do occur: multimodal tokenizers beside text-only weights.
        if self.vocabulary.textual[rows:].any():
            raise ModelError(
                f"{self.name}: {len(self.vocabulary)} tokens but only {rows} unembedding rows;"
                " the tokenizer does not belong to these weights"
            )
        reachable = self.vocabulary.textual[:rows]
        largest = self._largest()[: len(reachable)]
        finite, trained = np.isfinite(largest), largest != 0
        # What no text reaches may hold anything: padding to a round number of rows, special tokens.
        if broken := int((reachable & ~finite).sum()):
            raise ModelError(f"{self.name}: {broken} unembedding rows hold NaN or infinite values")
        # A zero row was never trained, so its token is no word of the model either.
        if not (reachable & trained).any():
            raise ModelError(
                f"{self.name}: none of the {rows} x {self.matrix.shape[1]} unembedding's rows that text can reach holds"
                " anything but zeros"
            )
        if len(untrained := np.flatnonzero(~trained)):
            object.__setattr__(self, "vocabulary", self.vocabulary.without(untrained.tolist()))

    def __repr__(self) -> str:
        rows, width = self.matrix.shape
        name = in_short(repr(self.name), 80)
        return f"{type(self).__name__}({name}, {self.family}, {rows} x {width} {self.matrix.dtype})"

    @classmethod
    @checked
    def load(
        cls,
        model: str | Path,
        *,
        side: Side = "output",
        revision: str | None = None,
        device: torch.device | str = "cpu",
    ) -> "Unembedding":
        """Read the unembedding tensor and the vocabulary of a model, and nothing else of it.

        The model is a fetched name ("smollm2-135m"), a hub id ("openai-community/gpt2", of which nothing else is
        downloaded either), a folder, a `.safetensors` file or shard, or a `.gguf` file, of several the first. Side
        "input" reads the input embedding instead; of a tied model they are one. A hub id may name a branch, tag or
        commit, "openai-community/gpt2@607a30d", as may `revision`. Word vectors are read as well, the 50,000 most
        frequent: "glove-6b-100d", or a file as of `WordVectors.load`. The matrix is put on the `device`, in the
        precision that it is stored in.

        An unembedding that is not stored is taken to be the input embedding only if the configuration says so and
        nothing speaks against it; the message names what was looked for and what is there.

        ModelError: unknown or unfetched model, corrupt file, no unembedding or one that is not plain (packed,
        quantised, wrapped by an adapter), non-finite rows; side "input" of word vectors.
        EstimationError: no such device.
        """
        device = checked_device(device)
        model = with_revision(model, revision)
        path = locate(model, side)
        if is_word_vectors(model):
            matrix, vocabulary, tied, family = read_word_vectors(path, side)
        elif is_llama2c(path):
            with as_gguf(path) as rewritten:
                matrix, vocabulary, tied, family = read_gguf(rewritten, side)
        else:
            read = read_gguf if path.suffix.lower() == ".gguf" and path.is_file() else read_safetensors
            matrix, vocabulary, tied, family = read(path, side)
        matrix = matrix.to(device)
        name, commit = display_name(model), commit_of(path)
        if tied or side == "output":
            return cls(matrix, vocabulary, name, family, tied, commit=commit)
        return cls(matrix, vocabulary, f"{name} (input)", family, tied, side, commit)

    @classmethod
    @checked
    def from_model(cls, model: object, tokenizer: object, *, name: str | None = None) -> "Unembedding":
        """The unembedding of a Hugging Face model in memory, which it shares: nothing is copied or moved.

        >>> import geometry as geo
        >>> model, tokenizer = geo.load_model("smollm2-135m")
        >>> geo.Unembedding.from_model(model, tokenizer, name="smollm2")
        Unembedding('smollm2', llama, 49152 x 576 torch.float32)

        Parameters:
            model: any causal language model, on any device; also wrapped by PEFT, torch.compile, DataParallel or
                nnsight, in so far as the head itself is not adapted.
            tokenizer: the model's, slow or fast, its processor, or a `geo.Vocabulary`.
            name: how results call it; default the hub id or folder it was loaded from, else its class.

        A model that is trained on changes this matrix too: `Unembedding.from_model(copy.deepcopy(model), tokenizer)`
        keeps the state of now.

        ModelError: no head (a bare backbone, a classifier), a head that is quantised, packed, offloaded, adapted or
        behind layers of its own (BERT), or a tokenizer of another model. ArgumentError: no such model or tokenizer.
        """
        inner, weight, tied = find_unembedding(model)
        known, family, commit = provenance(inner)
        rows = weight.shape[0] if weight.ndim else 0
        return cls(weight, vocabulary_of(tokenizer, rows), name or known, family, tied, commit=commit)

    def _largest(self) -> NDArray[np.float64]:
        """The largest absolute value of each row, NaN where it holds one."""
        # Filled in place: a result kept of each block would hold on to the memory of what was freed before it.
        largest = self.matrix.new_zeros(len(self.matrix))
        if self.matrix.shape[1]:
            for rows, block in zip(torch.split(largest, self._step), self._blocks(), strict=True):
                rows.copy_(block.abs().amax(dim=1))
        return np.asarray(largest.cpu().double().numpy())

    @property
    def _step(self) -> int:
        return max(1, _SLICE // max(1, self.matrix.shape[1]))

    def _blocks(self) -> Iterator[torch.Tensor]:
        return in_passing(self.matrix, torch.split(self.matrix, self._step))

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """Ids of the rows that some text can produce, ascending: textual tokens whose row is not all zero."""
        return np.flatnonzero(self.vocabulary.textual[: self.matrix.shape[0]])

    @property
    def left_out(self) -> int:
        """How many rows `rows` leaves out: special, placeholder, padding and all-zero rows."""
        return int(self.matrix.shape[0]) - len(self.rows)

    @property
    def sha256(self) -> str:
        """SHA-256 of the matrix as it is now, as little-endian float32, row by row."""
        digest = hashlib.sha256()
        for block in self._blocks():
            digest.update(block.float().contiguous().cpu().numpy().astype("<f4", copy=False).data)
        return digest.hexdigest()

    def summary(self) -> dict[str, object]:
        """The model's entry in results.json."""
        vocabulary, width = self.matrix.shape
        return {
            "name": self.name,
            "family": self.family,
            "vocabulary": vocabulary,
            "width": width,
            "tied": self.tied,
            "side": self.side,
            "rows_left_out": self.left_out,
            "sha256": self.sha256,
            **({"commit": self.commit} if self.commit else {}),
        }
