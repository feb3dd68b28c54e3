"""What texts are measured on: packaged sets, files of one's own, the words and the vector of a topic."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geometry.concepts.data_file import DataFile
from geometry.display import short_repr
from geometry.errors import SteeringError, shown
from geometry.steering import load_prompts
from geometry.steering.token_costs import FEWEST_TEXTS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_LARGEST = 8 << 20  # bytes of a file of texts


@dataclass(frozen=True)
class Topic:
    """Texts on one topic.

    Attributes:
        promoted: the text whose activations are added for it.
        words: by which a text on it is told, lowercase.
    """

    name: str
    texts: tuple[str, ...]
    promoted: str
    words: tuple[str, ...]

    __repr__ = short_repr


def load_topic(source: str, promoted: str = "", words: tuple[str, ...] = ()) -> Topic:
    """A topic by its packaged name, or texts from a file with a text to add and words that are given.

    SteeringError: no such set, too few texts, or nothing to add or to count.
    """
    packaged = DataFile("topics", "topics", "topics")
    name, texts = load_texts(source)
    known = source in packaged.mapping("topics")
    if not known and not (promoted and words):
        lacking = "words" if promoted else "promoted"
        raise SteeringError(
            f"{name}: no packaged topic, so that --{lacking} must be given; those with a vector and words of their own"
            f" are {', '.join(packaged.mapping('topics'))}"
        )
    if not promoted:  # spaces count: " weddings" is one token
        promoted = str(packaged.get("topics", source, "promoted"))
    counted = words or tuple(packaged.words("topics", source, "words"))
    return Topic(name, texts, promoted, tuple(dict.fromkeys(word.strip().lower() for word in counted)))


def load_texts(source: str) -> tuple[str, tuple[str, ...]]:
    """The name and the texts of a packaged set of prompts, a YAML or JSON file, or a .txt of one text a line.

    SteeringError: no such file, not to be read, or fewer than 5 texts.
    """
    path = Path(source).expanduser()
    if path.suffix.lower() != ".txt":
        prompts = load_prompts(source)
        name, texts = prompts.name, prompts.texts
    else:
        lines = read_text(path).splitlines()
        name, texts = path.stem, tuple(" ".join(line.split()) for line in lines if line.strip())
    if len(texts) < FEWEST_TEXTS:
        raise SteeringError(f"{name}: {len(texts)} texts; an interval over texts takes {FEWEST_TEXTS} at least")
    return name, texts


def read_text(path: Path) -> str:
    """A file of text. SteeringError: there is none, it cannot be read, or it is too large."""
    try:
        if path.stat().st_size > _LARGEST:
            raise SteeringError(f"{path}: a file of texts has at most {_LARGEST >> 20} MB")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SteeringError(f"{path}: cannot be read as a text: {error}") from error


def word_tokens(tokenizer: "PreTrainedTokenizerBase", words: tuple[str, ...], name: str) -> NDArray[np.int64]:
    """The tokens that are a word of the list with a space before it, in lowercase or capitalised.

    SteeringError: no word is one token.
    """
    forms = [f" {form}" for word in words for form in (word, word.capitalize())]
    encoded = [tokenizer.encode(form, add_special_tokens=False) for form in forms]
    single = sorted({ids[0] for ids in encoded if len(ids) == 1})
    if not single:
        some = ", ".join(map(shown, words[:3]))
        raise SteeringError(
            f"words of {name}: none of them ({some}, …) is one token of this model; give others (--words)"
        )
    return np.array(single, dtype=np.int64)
