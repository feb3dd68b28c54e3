"""Files of pairs are read as they stand, and what is no pair is refused by its line."""

from pathlib import Path

import pytest

import geometry as geo
from geometry.steering.pair_file import load_text_pairs


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize(
    ("name", "text", "pairs"),
    [
        (
            "a.csv",
            'negative,id,positive\r\nbad,1,good\r\n"no, never",2," yes "\r\n',
            [("good", "bad"), (" yes ", "no, never")],
        ),
        ("a.CSV", '\ufeffwith,without\n"two\nlines\u2028here",b\n\n', [("two\nlines\u2028here", "b")]),
        (
            "a.jsonl",
            '{"chosen": "a\u2028b", "rejected": "c"}\n\n{"chosen": "d", "rejected": "e"}',
            [("a\u2028b", "c"), ("d", "e")],
        ),
        ("a.jsonl", '{"promoted": "喜び", "suppressed": "c", "other": null}\r\n', [("喜び", "c")]),
    ],
)
def test_pairs_are_read_by_name(tmp_path: Path, name: str, text: str, pairs: list[tuple[str, str]]) -> None:
    assert load_text_pairs(written(tmp_path, name, text)) == pairs


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("a.csv", "positive,negative\n", "holds no pairs"),
        ("a.csv", "", "holds no pairs"),
        ("a.csv", "positive,negative\na\n", "line 2: not two different"),
        ("a.csv", "positive,negative\na,b\nc,c\n", "line 3: not two different"),
        ("a.csv", "positive,negative\na, \n", "line 2: not two different"),
        ("a.csv", "good,bad\na,b\n", "line 2: needs two columns"),
        ("a.csv", 'positive,negative\na,"b', "after line 1: unexpected end"),
        ("a.jsonl", '{"positive": "a", "negative": "b"}\n{"positive": ', "line 2: not a JSON object"),
        ("a.jsonl", '["a", "b"]', "line 1: needs two columns"),
        ("a.jsonl", '{"positive": 1, "negative": "b"}', "line 1: not two different"),
        ("a.jsonl", "[" * 100_000, "line 1: not a JSON object"),
        ("a.txt", "positive,negative\na,b\n", "from .csv and .jsonl"),
    ],
)
def test_what_is_no_pair_is_refused_by_its_line(tmp_path: Path, name: str, text: str, complaint: str) -> None:
    with pytest.raises(geo.errors.SteeringError, match=complaint):
        load_text_pairs(written(tmp_path, name, text))


def test_what_is_no_text_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "bytes.csv").write_bytes(b"positive,negative\n\xff,b\n")
    for name in ("folder.csv", "bytes.csv", "nothing.csv"):
        with pytest.raises(geo.errors.SteeringError, match=rf"{name}: "):
            load_text_pairs(tmp_path / name)
