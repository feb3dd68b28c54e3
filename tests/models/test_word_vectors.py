"""Word vectors against what the test wrote, or against their file parsed in another way."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import geometry as geo
from geometry.models import CATALOGUE, cached_path, fetching, locate
from geometry.models.catalogue import Resource

GLOVE = CATALOGUE["glove-6b-100d"]
needed = "needs npm; run: concept-geometry fetch glove-6b-100d"
glove = pytest.mark.skipif(not cached_path(GLOVE).exists(), reason=needed)
WORDS = ["the", "bird", "naïve", "birds", "3.5"]
VECTORS = np.random.default_rng(0).normal(size=(5, 4)).round(4).astype(np.float32)
LINES = [f"{word} {' '.join(map(str, row))}" for word, row in zip(WORDS, VECTORS.tolist(), strict=True)]


def text(path: Path, lines: list[str]) -> Path:
    content = "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def archive(path: Path, words: object = None, vectors: object = None, **others: object) -> Path:
    arrays = {"words": WORDS if words is None else words, "vectors": VECTORS if vectors is None else vectors, **others}
    np.savez(path, **{name: np.asarray(array) for name, array in arrays.items()})
    return path


WRITERS: dict[str, Callable[[Path], Path]] = {
    "glove.6B.txt": lambda path: text(path, LINES),
    "glove.vec": lambda path: text(path, ["5 4", *(f"{line} " for line in LINES)]),
    "windows.txt": lambda path: text(path, [f"{line}\r" for line in LINES]),
    "glove.txt.gz": lambda path: text(path, LINES),
    "glove.VEC.gz": lambda path: text(path, ["5 4", *LINES]),
    "glove.npz": archive,
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_words_and_numbers(name: str, tmp_path: Path) -> None:
    path = WRITERS[name](tmp_path / name)
    for loaded in (geo.WordVectors.load(path), geo.Unembedding.load(path), geo.Unembedding.load(str(path))):
        np.testing.assert_array_equal(loaded.matrix.numpy(), VECTORS)
        assert [loaded.vocabulary.text(row) for row in range(5)] == [f" {word}" for word in WORDS]
        assert (loaded.family, loaded.tied, loaded.side, loaded.left_out) == ("word vectors", True, "output", 0)
        assert loaded.name in ("glove", "glove.6B", "windows")
        assert geo.WordVectors.load(path).summary() == loaded.summary()
    for most in (1, 2, 5, 6):
        first = geo.WordVectors.load(path, most_frequent=most)
        np.testing.assert_array_equal(first.matrix.numpy(), VECTORS[:most])
    assert len(geo.WordVectors.load(path, most_frequent=None).matrix) == 5


def test_the_geometry_takes_them_as_it_takes_an_unembedding(tmp_path: Path) -> None:
    vectors = geo.WordVectors.load(text(tmp_path / "glove.txt", LINES))
    plain = geo.Unembedding(torch.from_numpy(VECTORS), geo.Vocabulary([f"Ġ{word}" for word in "abcde"]))
    torch.testing.assert_close(geo.CausalSpace.fit(vectors).whitener, geo.CausalSpace.fit(plain).whitener)
    assert repr(vectors) == "WordVectors('glove', word vectors, 5 x 4 torch.float32)"


def test_no_line_is_read_that_is_not_needed(tmp_path: Path) -> None:
    path = text(tmp_path / "glove.txt", [*LINES, "ragged 1"])
    assert len(geo.WordVectors.load(path, most_frequent=5).matrix) == 5
    with pytest.raises(geo.errors.ModelError, match="line 6"):
        geo.WordVectors.load(path)


def test_of_a_word_that_comes_again_the_first_row_counts(tmp_path: Path) -> None:
    again = text(tmp_path / "glove.txt", [*LINES, "bird 9 9 9 9", "<unk> 1 1 1 1"])
    loaded = geo.WordVectors.load(again)
    assert loaded.vocabulary.word_id("bird") == 1
    assert loaded.rows.tolist() == [0, 1, 2, 3, 4]
    assert loaded.summary()["rows_left_out"] == 2


def test_a_single_word_loads_and_only_the_covariance_refuses_it(tmp_path: Path) -> None:
    loaded = geo.WordVectors.load(text(tmp_path / "one.txt", LINES[:1]))
    assert loaded.vocabulary.text(0) == " the"
    with pytest.raises(geo.GeometryError, match="at least 2"):
        geo.CausalSpace.fit(loaded)


HOSTILE_TEXT = {
    "nothing": ([], "holds no word vectors"),
    "header alone": (["5 4"], "line 1 announces 5 words; 0 of 5 follow"),
    "truncated": (["5 4", *LINES[:3]], "line 1 announces 5 words; 3 of 5 follow"),
    "goes on": (["4 4", *LINES], "line 1 announces 4 words; 5 of 4 follow"),
    "other width": (["5 3", *LINES], "line 2: 4 numbers follow the word where 3 are expected"),
    "cut word": ([*LINES[:2], "cat"], "line 3: 0 numbers"),
    "two words": ([*LINES, "new york 1 2 3 4"], "line 6: 5 numbers"),
    "two words first": (["new york 1 2 3 4", *LINES], "line 1: 'york' is not a finite number"),
    "no number": ([*LINES, "cat 1 2 x 4"], "line 6: 'x' is not a finite number"),
    "two spaces": ([*LINES, "cat 1  3 4"], "line 6: '' is not a finite number"),
    "underscore": ([*LINES, "cat 1 2 3_0 4"], "cannot be read as numbers"),
    "nan": ([*LINES, "cat 1 nan 3 4"], "line 6: 'nan' is not a finite number"),
    "infinite": (["5 4", *LINES[:4], "cat 1 2 3 -inf"], "line 6: '-inf' is not a finite number"),
    "too large": ([*LINES, "cat 1 2 3 1e39"], "line 6: '1e39' is not a finite number"),
    "empty word": ([*LINES, " 1 2 3 4"], "line 6: '' is no word"),
    "empty line": ([*LINES, ""], "line 6: '' is no word"),
    "tabs": ([*LINES, "cat\t1 2 3 4 5"], r"line 6: 'cat\\t1' is no word"),
    "bytes": ([*LINES, "\udcff 1 2 3 4"], "line 6: not UTF-8"),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("case", HOSTILE_TEXT)
@pytest.mark.parametrize("name", ["bad.txt", "bad.vec.gz"])
def test_bad_text_is_one_line_with_file_and_line_number(case: str, name: str, tmp_path: Path) -> None:
    lines, complaint = HOSTILE_TEXT[case]
    path = text(tmp_path / name, lines)
    with pytest.raises(geo.errors.ModelError, match=complaint) as caught:
        geo.WordVectors.load(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


HOSTILE_ARCHIVES: dict[str, tuple[Callable[[Path], object], str]] = {
    "pickled words": (lambda path: archive(path, np.array(WORDS, dtype=object)), "allow_pickle=False"),
    "pickled vectors": (lambda path: archive(path, vectors=VECTORS.astype(object)), "allow_pickle=False"),
    "words as bytes": (lambda path: archive(path, np.array([b"cat"] * 5)), r"not words of \|S3"),
    "whole numbers": (lambda path: archive(path, vectors=np.ones((5, 4), int)), "vectors int64"),
    "one axis": (lambda path: archive(path, vectors=VECTORS[0]), "V x d"),
    "other length": (lambda path: archive(path, WORDS[:4]), "V x d"),
    "nothing": (lambda path: archive(path, np.array([], str), np.ones((0, 4))), "holds no word vectors"),
    "no coordinates": (lambda path: archive(path, vectors=np.ones((5, 0))), "no coordinates"),
    "nan": (lambda path: archive(path, vectors=np.where(VECTORS[3, 0] == VECTORS, np.nan, 1)), "row 3: .*'birds'"),
    "two words": (lambda path: archive(path, [*WORDS[:4], "new york"]), "row 4: 'new york' is no word"),
    "empty word": (lambda path: archive(path, [*WORDS[:4], ""]), "row 4: '' is no word"),
    "half a character": (lambda path: archive(path, [*WORDS[:4], "\ud83d"]), "row 4: .* is no word"),
    "no words": (lambda path: np.savez(path, vectors=VECTORS), "words is not a file"),
    "cut": (lambda path: path.write_bytes(archive(path).read_bytes()[:-300]), "not a readable archive"),
    "one bit": (lambda path: flip(archive(path)), "Bad CRC-32"),
}


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[content.index(VECTORS.tobytes()) + 7] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("case", HOSTILE_ARCHIVES)
def test_a_bad_archive_is_one_line(case: str, tmp_path: Path) -> None:
    write, complaint = HOSTILE_ARCHIVES[case]
    write(tmp_path / "bad.npz")
    with pytest.raises(geo.errors.ModelError, match=complaint) as caught:
        geo.Unembedding.load(tmp_path / "bad.npz")
    assert "\n" not in str(caught.value)


def test_archives_of_other_precision_and_byte_order(tmp_path: Path) -> None:
    for dtype, kept in {"<f2": torch.float16, ">f4": torch.float32, ">f8": torch.float64}.items():
        loaded = geo.WordVectors.load(archive(tmp_path / "any.npz", vectors=VECTORS.astype(dtype)), most_frequent=3)
        np.testing.assert_array_equal(loaded.matrix.numpy(), VECTORS.astype(dtype)[:3])
        assert loaded.matrix.dtype == kept


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("GoogleNews.bin", "binary word2vec is not read; write it as text first"),
        ("GoogleNews.bin.gz", "binary word2vec"),
        ("vectors.csv", "a .txt or .vec file"),
        ("cut.txt.gz", "corrupt or truncated"),
    ],
)
def test_other_files_are_refused_by_name_or_content(name: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(gzip.compress(b"cat 1 2")[:-9] if name == "cut.txt.gz" else b'{"a": 1}')
    with pytest.raises(geo.errors.ModelError, match=complaint):
        geo.WordVectors.load(tmp_path / name)


def test_other_requests_are_refused(tmp_path: Path) -> None:
    path = text(tmp_path / "glove.txt", LINES)
    with pytest.raises(geo.errors.ModelError, match="no input embedding"):
        geo.Unembedding.load(path, side="input")
    with pytest.raises(geo.errors.ModelError, match="at least 1 word"):
        geo.WordVectors.load(path, most_frequent=0)
    for missing in ("missing.vec", "missing.npz", "missing.txt.gz", "lab/missing", tmp_path):
        with pytest.raises(geo.errors.ModelError, match=r"no such file|a \.txt or \.vec file"):
            geo.WordVectors.load(missing)


def test_nothing_is_steered_by_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = text(tmp_path / "glove.txt", LINES)
    for model in (path, str(path), "glove-6b-100d"):
        with pytest.raises(geo.errors.ModelError, match="no language model behind them"):
            geo.load_model(model)
    said: list[str] = []
    with pytest.raises(geo.errors.ModelError, match="no language model behind them"):
        geo.experiments.STUDIES["steering"](model=str(path)).run(said.append)
    assert not said
    arguments = ["steer", "--model", str(path), "--add", "bird.n.01", "I saw a"]
    assert geo.cli.main(arguments) == 2
    error = f"error: {path}: word vectors have no language model behind them that could be loaded or steered\n"
    assert capsys.readouterr().err == error


def test_a_folder_that_is_called_like_word_vectors_is_a_checkpoint(tmp_path: Path) -> None:
    folder = tmp_path / "model.vec"
    folder.mkdir()
    with pytest.raises(geo.errors.ModelError, match="holds neither"):
        geo.Unembedding.load(folder)


@pytest.fixture
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fetched resource `toy` of kind vectors; each list goes on after its vector."""
    monkeypatch.setenv("CONCEPT_GEOMETRY_CACHE", str(tmp_path))
    write_packaged(tmp_path / "toy.json", VECTORS, monkeypatch)
    return tmp_path / "toy.json"


def write_packaged(path: Path, vectors: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {word: [*row, 7.0, 8.0] for word, row in zip(WORDS, vectors.tolist(), strict=True)}
    path.write_text(json.dumps({"dimensions": 4, "words": WORDS, "vectors": rows}))
    resource = Resource("toy", "vectors", "words", "MIT", 1, fetching.file_sha256(path), path.name, GLOVE.parts)
    monkeypatch.setitem(CATALOGUE, "toy", resource)


def derived(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.npz"))


def test_the_packaged_file_is_parsed_once(packaged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = geo.WordVectors.load("toy", most_frequent=3)
    np.testing.assert_array_equal(first.matrix.numpy(), VECTORS[:3])
    (kept,) = derived(packaged.parent)
    assert sorted(packaged.parent.iterdir()) == sorted([packaged, kept])
    monkeypatch.setattr("geometry.models.word_vectors_file.json.loads", lambda _: pytest.fail("parsed again"))
    again = geo.Unembedding.load("toy")
    np.testing.assert_array_equal(again.matrix.numpy(), VECTORS)
    assert (again.name, geo.WordVectors.load(kept).vocabulary.tokens) == ("toy", again.vocabulary.tokens)


def test_fetching_leaves_nothing_to_be_parsed(
    packaged: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert geo.cli.main(["fetch", "toy"]) == 0
    (kept,) = derived(packaged.parent)
    *_, converting, stored = capsys.readouterr().out.splitlines()
    assert (converting, stored) == ("  converting, once, into a form that is read at once", f"  stored as {kept}")
    monkeypatch.setattr("geometry.models.word_vectors_file.json.loads", lambda _: pytest.fail("parsed again"))
    np.testing.assert_array_equal(geo.WordVectors.load("toy").matrix.numpy(), VECTORS)
    assert geo.cli.main(["fetch", "toy"]) == 0
    assert capsys.readouterr().out == f"toy: already in {packaged}\n"


@pytest.mark.parametrize("damage", ["truncated", "flipped", "another"])
def test_a_damaged_or_wrong_derived_file_is_made_anew(damage: str, packaged: Path) -> None:
    geo.WordVectors.load("toy")
    (kept,) = derived(packaged.parent)
    whole = kept.read_bytes()
    if damage == "truncated":
        kept.write_bytes(whole[:-100])
    elif damage == "flipped":
        flip(kept)
    else:
        archive(kept, vectors=VECTORS + 1, source="0" * 64)
    np.testing.assert_array_equal(geo.WordVectors.load("toy").matrix.numpy(), VECTORS)
    with np.load(kept) as stored:
        np.testing.assert_array_equal(stored["vectors"], VECTORS)


def test_another_packaged_file_is_derived_anew_and_a_damaged_one_refused(
    packaged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    geo.WordVectors.load("toy")
    write_packaged(packaged, VECTORS + 1, monkeypatch)
    np.testing.assert_array_equal(geo.WordVectors.load("toy").matrix.numpy(), VECTORS + 1)
    assert len(derived(packaged.parent)) == 2
    packaged.write_bytes(packaged.read_bytes()[:-50])
    with pytest.raises(geo.errors.ModelError, match="sha256"):
        geo.WordVectors.load("toy")
    packaged.unlink()
    with pytest.raises(geo.errors.ModelError, match="run: concept-geometry fetch toy"):
        geo.WordVectors.load("toy")
    with pytest.raises(geo.errors.ModelError, match="no language model"):
        geo.load_model("toy")


def test_where_nothing_can_be_kept_it_is_parsed_each_time(packaged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(np, "savez", refused)
    np.testing.assert_array_equal(geo.WordVectors.load("toy").matrix.numpy(), VECTORS)
    assert [path.name for path in packaged.parent.iterdir()] == ["toy.json"]


BAD_JSON = {
    "not json": "{",
    "a list": "[]",
    "no vectors": '{"dimensions": 2, "words": ["cat"]}',
    "missing word": '{"dimensions": 2, "words": ["cat"], "vectors": {"dog": [1, 2]}}',
    "ragged": '{"dimensions": 2, "words": ["cat", "dog"], "vectors": {"dog": [1, 2], "cat": [1]}}',
    "numbers": '{"dimensions": 2, "words": [0], "vectors": [[1, 2]]}',
    "text": '{"dimensions": 2, "words": ["cat"], "vectors": {"cat": ["a", "b"]}}',
    "nan": '{"dimensions": 2, "words": ["cat"], "vectors": {"cat": [NaN, 1]}}',
    "none": '{"dimensions": 2, "words": [], "vectors": {}}',
    "deep": "[" * 100_000,
}


@pytest.mark.parametrize("case", BAD_JSON)
def test_bad_packages_are_one_line_and_leave_nothing(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONCEPT_GEOMETRY_CACHE", str(tmp_path))
    (tmp_path / "bad.json").write_text(BAD_JSON[case])
    with pytest.raises(geo.errors.ModelError, match=r"bad\.json") as caught:
        geo.WordVectors.load(tmp_path / "bad.json")
    assert "\n" not in str(caught.value)
    assert derived(tmp_path) == []


def test_the_catalogue_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert geo.cli.main(["models"]) == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("glove-6b-100d"))
    assert "118 MB" in line
    assert "PDDL" in line
    assert "(through npm)" in line


@glove
def test_the_real_vectors_are_those_of_the_most_frequent_words() -> None:
    loaded = geo.Unembedding.load("glove-6b-100d")
    assert loaded.matrix.shape == (50_000, 100)
    assert loaded.left_out == 0
    assert [loaded.vocabulary.text(row) for row in range(4)] == [" the", " ,", " .", " of"]
    # As GloVe's authors print them, glove.6B.100d.txt, first line.
    the = [-0.038194, -0.24487, 0.72812, -0.39961, 0.083172]
    np.testing.assert_array_equal(loaded.matrix[0, :5].numpy(), np.array(the, dtype=np.float32))
    rows = torch.nn.functional.normalize(loaded.matrix, dim=1)
    nearest = (rows @ rows[loaded.vocabulary.words["sparrow"]]).topk(6).indices.tolist()
    assert {" hawk", " owl"} < {loaded.vocabulary.text(row) for row in nearest}


@glove
@pytest.mark.long
def test_the_real_file_read_by_hand_says_the_same() -> None:
    content = locate("glove-6b-100d").read_text(encoding="utf-8")
    listed, _ = json.JSONDecoder().raw_decode(content, content.index('"words":') + len('"words":'))
    loaded = geo.WordVectors.load("glove-6b-100d", most_frequent=None)
    assert len(listed) == len(loaded.matrix) == 341_479
    for row in (0, 17, 2491, 49_999, 50_000, 341_478):
        start = content.rindex(f"{json.dumps(listed[row], ensure_ascii=False)}:[")
        numbers = content[content.index("[", start) + 1 : content.index("]", start)].split(",")
        assert int(numbers[101]) == row
        np.testing.assert_array_equal(loaded.matrix[row].numpy(), np.array(numbers[:100], dtype=np.float32))
        assert loaded.vocabulary.text(row) == f" {listed[row]}"
