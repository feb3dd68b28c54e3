"""Read word vectors: GloVe or word2vec text, NumPy archives, the packaged JSON. Each row is a whole word."""

import gzip
import json
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.errors import ModelError, OutputError
from geometry.models.checkpoint import Side
from geometry.models.fetching import cache_folder
from geometry.models.locating import VECTORS_SUFFIX
from geometry.models.vocabulary import Vocabulary
from geometry.output import file_sha256, replacing

MOST_FREQUENT = 50_000
_LONGEST_LINE = 1_000_000  # bytes
_UNPACKED, _RATIO = 1_000_000_000, 50  # bytes that an array may unpack to at least, and how many times its own
FAMILY = "word vectors"

# What word2vec, GloVe and fastText put beside words: end of sentence, and whatever was too rare.
_SPECIAL = {"<s>", "</s>", "<unk>", "<pad>"}
_BROKEN = re.compile(r"[\s\0\ud800-\udfff]", re.ASCII)
_LARGEST = float(np.finfo(np.float32).max)
_HEADER = re.compile(rb"\d{1,12} \d{1,6}\s*")


def read_word_vectors(
    path: Path, side: Side = "output", most_frequent: int | None = MOST_FREQUENT
) -> tuple[torch.Tensor, Vocabulary, bool, str]:
    """Return (matrix, vocabulary, tied, family) of the first `most_frequent` words; None for all.

    The matrix has shape (V, d), float32, or as an archive stores it. A word that comes again is not textual: its first
    row counts, and so are `<s>`, `</s>`, `<unk>` and `<pad>`. Word vectors are one matrix, hence tied.

    ModelError: side "input"; a file that is empty, damaged or of another format, or a row that is no word with numbers.
    """
    if side == "input":
        raise ModelError(f"{path}: word vectors have no input embedding beside them; leave side as it is")
    if most_frequent is not None and most_frequent < 1:
        raise ModelError(f"most_frequent is {most_frequent}; at least 1 word is needed, or None for all")
    suffix = path.suffix.lower()
    if ".bin" in [end.lower() for end in path.suffixes[-2:]]:
        raise ModelError(
            f"{path}: binary word2vec is not read; write it as text first, such as with gensim:"
            ' KeyedVectors.load_word2vec_format(path, binary=True).save_word2vec_format("vectors.vec")'
        )
    if suffix == ".json":
        words, vectors = _packaged(path)
    elif suffix == ".npz":
        words, vectors = _archived(path)
    elif VECTORS_SUFFIX.search(path.name):
        words, vectors = _text(path, most_frequent)
    else:
        raise ModelError(f"{path}: not word vectors: a .txt or .vec file (.gz as well) or an .npz archive is needed")
    matrix = torch.from_numpy(np.ascontiguousarray(vectors[:most_frequent]))
    return matrix, _vocabulary(words[:most_frequent]), True, FAMILY


def prepare_word_vectors(path: Path, report: Callable[[str], None] = print) -> None:
    """Keep what a packaged JSON says in a form that is read at once, where that is not done yet, and `report` it.

    ModelError: as of `read_word_vectors`.
    """
    if path.suffix.lower() == ".json":
        _packaged(path, report)


def _vocabulary(words: Sequence[str]) -> Vocabulary:
    """Each word after a space, as it is written in text."""
    first: dict[str, int] = {}
    special = [row for row, word in enumerate(words) if first.setdefault(word, row) != row or word in _SPECIAL]
    return Vocabulary([f" {word}" for word in words], special)


def _text(path: Path, most: int | None) -> tuple[list[str], NDArray[np.float32]]:
    words, rows = [], []
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            following = iter(lambda: file.readline(_LONGEST_LINE + 1), b"")
            top = next(following, b"")
            header = [int(field) for field in top.split()] if _HEADER.fullmatch(top) else None
            lines: Iterator[bytes] = following if header else chain([top] if top else [], following)
            for number, line in enumerate(islice(lines, most), start=2 if header else 1):
                if len(line) > _LONGEST_LINE:
                    raise ModelError(f"{path}, line {number}: longer than {_LONGEST_LINE} bytes, so no word vector")
                word, _, row = line.rstrip(b" \r\n").partition(b" ")
                try:
                    words.append(word.decode())
                except UnicodeDecodeError as error:
                    raise ModelError(f"{path}, line {number}: not UTF-8 text: {error.reason}") from error
                rows.append(row.decode("latin-1"))
    except (OSError, EOFError, zlib.error) as error:
        raise ModelError(f"{path}: cannot be read (corrupt or truncated?): {error}") from error

    def where(row: int) -> str:
        return f"{path}, line {row + (2 if header else 1)}"

    if header and len(words) != (expected := header[0] if most is None else min(most, header[0])):
        raise ModelError(f"{path}: line 1 announces {header[0]} words; {len(words)} of {expected} follow")
    _check_words(words, path, where)
    width = header[1] if header else len(rows[0].split(" "))
    matrix = None
    with suppress(ValueError):
        matrix = np.loadtxt(rows, dtype=np.float32, delimiter=" ", comments=None, ndmin=2) if all(rows) else None
    if matrix is None or matrix.shape != (len(words), width) or not np.isfinite(matrix).all():
        raise ModelError(_fault(rows, width, where))
    return words, matrix


def _fault(rows: Sequence[str], width: int, where: Callable[[int], str]) -> str:
    """What is wrong with the first bad row; looked for only where there is one."""
    for index, row in enumerate(rows):
        fields = row.split(" ") if row else []
        if len(fields) != width:
            return f"{where(index)}: {len(fields)} numbers follow the word where {width} are expected"
        for field in fields:
            try:
                usable = abs(float(field)) <= _LARGEST
            except ValueError:
                usable = False
            if not usable:
                return f"{where(index)}: {field[:40]!r} is not a finite number"
    return f"{where(0)}: these lines cannot be read as numbers"


def _archived(path: Path, source: str = "") -> tuple[list[str], NDArray[Any]]:
    """`words` and `vectors` of an archive; of one with `source`, only if it was derived from that."""
    try:
        with zipfile.ZipFile(path) as packed:
            for member in packed.infolist():
                if member.file_size > max(_UNPACKED, _RATIO * member.compress_size):
                    raise ValueError(f"{member.filename[:40]} would unpack to {member.file_size} bytes")
        with np.load(path, allow_pickle=False) as archive:
            words, vectors = archive["words"], archive["vectors"]
            if source and str(archive["source"]) != source:
                raise ValueError("derived from another file")
    except Exception as error:  # archives and arrays fail in many ways
        says = f"not a readable archive of `words` and `vectors`: {error}"
        raise ModelError(f"{path}: {says}") from error
    if words.dtype.kind != "U" or vectors.dtype.kind != "f" or vectors.dtype.itemsize > 8:
        raise ModelError(f"{path}: strings and floats are needed, not words of {words.dtype}, vectors {vectors.dtype}")
    if words.ndim != 1 or vectors.ndim != 2 or len(words) != len(vectors):
        raise ModelError(f"{path}: V words and V x d vectors are needed, not {words.shape} and {vectors.shape}")
    listed = words.tolist()
    _check(listed, vectors, path)
    return listed, vectors.astype(vectors.dtype.newbyteorder("="), copy=False)


def _packaged(path: Path, report: Callable[[str], None] = lambda _: None) -> tuple[list[str], NDArray[Any]]:
    """The JSON of wink-embeddings, which takes long to parse; an archive of it is kept in the cache under its sum."""
    try:
        source = file_sha256(path)
        derived = cache_folder() / f"word-vectors-{source[:16]}.npz"
        with suppress(ModelError):
            return _archived(derived, source)
        report("  converting, once, into a form that is read at once")
        content = json.loads(path.read_bytes())
        # Each list goes on after its vector, with its norm and its rank.
        words, width, vectors = list(map(str, content["words"])), content["dimensions"], content["vectors"]
        matrix = np.array([vectors[word][:width] for word in words], dtype=np.float32)
        if matrix.shape != (len(words), width):
            raise ValueError(f"the vectors of {len(words)} words have shape {matrix.shape}")
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise ModelError(f"{path}: not readable as packaged word vectors: {error}") from error
    _check(words, matrix, path)
    # Where nothing can be written it is parsed again.
    with suppress(OSError, OutputError):
        derived.parent.mkdir(parents=True, exist_ok=True)
        with replacing(derived) as unfinished:
            np.savez(unfinished, allow_pickle=False, words=np.array(words), vectors=matrix, source=np.array(source))
        report(f"  stored as {derived}")
    return words, matrix


def _check(words: Sequence[str], vectors: NDArray[Any], path: Path) -> None:
    def where(row: int) -> str:
        return f"{path}, row {row}"

    _check_words(words, path, where)
    if not vectors.shape[1]:
        raise ModelError(f"{path}: the vectors have no coordinates")
    if len(broken := np.flatnonzero(~np.isfinite(vectors).all(axis=1))):
        raise ModelError(f"{where(int(broken[0]))}: the vector of {words[broken[0]]!r} holds NaN or infinite values")


def _check_words(words: Sequence[str], path: Path, where: Callable[[int], str]) -> None:
    if not words:
        raise ModelError(f"{path}: holds no word vectors")
    for row, word in enumerate(words):
        if not word or _BROKEN.search(word):
            raise ModelError(f"{where(row)}: {word[:40]!r} is no word: empty, or with a space or broken character")
