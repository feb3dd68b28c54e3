"""Word vectors: the geometry of words without a language model behind them."""

from dataclasses import dataclass
from pathlib import Path

import torch

from geometry.arguments import checked
from geometry.errors import ModelError
from geometry.models.checkpoint import Side
from geometry.models.hub import with_revision
from geometry.models.locating import display_name, local_path
from geometry.models.placement import checked_device
from geometry.models.unembedding import Unembedding
from geometry.models.word_vectors_file import FAMILY, MOST_FREQUENT, read_word_vectors


@dataclass(frozen=True, eq=False, repr=False)
class WordVectors(Unembedding):
    """Vectors of whole words, such as GloVe's, in the place of an unembedding: whatever reads only γ takes them.

    >>> import geometry as geo, torch
    >>> geo.WordVectors(torch.eye(3, 4), geo.Vocabulary([" bird", " cat", " dog"]), name="mine")
    WordVectors('mine', word vectors, 3 x 4 torch.float32)

    Parameters:
        matrix: float tensor, shape (V, d), row y is the vector of word y.
        vocabulary: the words, each after a space, " bird".
        name, family: how results call them.
        tied, side: there is one matrix, which is its own other side.

    ModelError: as of `Unembedding`. Nothing can be steered by them: `load_model` refuses them.

    `Unembedding.load` reads them as well, as a plain `Unembedding` with the same fields.
    """

    family: str = FAMILY
    tied: bool = True

    @classmethod
    @checked
    def load(
        cls,
        model: str | Path,
        *,
        side: Side = "output",
        revision: str | None = None,
        device: torch.device | str = "cpu",
        most_frequent: int | None = MOST_FREQUENT,
    ) -> "WordVectors":
        """Read word vectors by a fetched name ("glove-6b-100d") or from a file.

        >>> import geometry as geo, tempfile, pathlib
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "toy.vec"
        ...     _ = path.write_text("bird 0.5 1\\ncat 0.25 -1\\ndog 0 2\\n")
        ...     geo.WordVectors.load(path, most_frequent=2)
        WordVectors('toy', word vectors, 2 x 2 torch.float32)

        Parameters:
            model: a name, or GloVe text (`word v1 v2 ...` lines), word2vec text (the same after a line `count width`),
                both as `.txt` or `.vec` and gzipped as `.txt.gz` or `.vec.gz`, or an `.npz` archive of `words`,
                shape (V,), and `vectors`, shape (V, d).
            side: only "output".
            revision: only None; word vectors are files.
            device: where to put the vectors.
            most_frequent: how many words to keep, the first of the file, which goes by frequency; None for all. Of a
                word that comes twice the first row counts; the others are among `left_out`.

        ModelError: unknown or unfetched name; an empty, damaged or binary file; a line that is not a word and as many
        finite numbers as the others have; a word with a space in it; side "input".
        """
        device = checked_device(device)
        path = local_path(with_revision(model, revision))
        if path is None:
            raise ModelError(f"{str(model)!r}: no such file of word vectors; see: concept-geometry models")
        matrix, vocabulary, *_ = read_word_vectors(path, side, most_frequent)
        return cls(matrix.to(device), vocabulary, display_name(model))
