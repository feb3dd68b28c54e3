"""Files of word vectors that are small and unpack to gigabytes."""

import gzip
import zipfile
from pathlib import Path

import numpy as np
import pytest

import geometry as geo


def test_an_archive_that_would_unpack_to_gigabytes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geometry.models.word_vectors_file._UNPACKED", 1_000_000)
    path = tmp_path / "v.npz"
    np.savez_compressed(path, words=np.array(["a", "b"]), vectors=np.eye(2, dtype=np.float32))
    assert len(geo.WordVectors.load(path).vocabulary) == 2
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("words.npy", "w") as member:
        member.write(bytes(1_000_001))
    with pytest.raises(geo.errors.ModelError, match=r"words\.npy would unpack to 1000001 bytes"):
        geo.WordVectors.load(path)


@pytest.mark.parametrize("before", ["", "2 2\n", "a 1 2\n"])
def test_a_line_without_end_is_refused(tmp_path: Path, before: str) -> None:
    path = tmp_path / "v.vec.gz"
    with gzip.open(path, "wb") as file:
        file.write(before.encode())
        for _ in range(20):
            file.write(b"0" * 1_000_000)
    number = 2 if before else 1
    with pytest.raises(geo.errors.ModelError, match=f"line {number}: longer than 1000000 bytes"):
        geo.WordVectors.load(path)
