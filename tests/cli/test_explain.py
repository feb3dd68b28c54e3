"""`concept-geometry explain`: pairs, and each refusal in one line."""

from pathlib import Path

import pytest
import torch

import geometry as geo
from geometry.cli.main import main

PAIRS = "positive,negative\n" + "".join(
    f"I saw the {a},I saw the {b}\n" for a, b in zip("abcdef", "uvwxyz", strict=True)
)


@pytest.fixture
def vector(tmp_path: Path) -> Path:
    part = torch.randn(288, generator=torch.Generator().manual_seed(0))
    return geo.save_vector(geo.SteeringVector({geo.Site("output", 3): part}, "mine"), tmp_path / "v.safetensors")


@pytest.fixture
def words(tmp_path: Path) -> Path:
    path = tmp_path / "words.yaml"
    animals = "cat, dog, bird, fish, bear, mouse, horse, cow, pig, frog"
    text = f"forms: none\nconcepts:\n  thing: {{words: [{animals}, house, tree, door, car, book, ball]}}\n"
    path.write_text(text + f"  animal: {{parents: [thing], words: [{animals}]}}\n")
    return path


@pytest.mark.long
def test_pairs_are_read_at_the_vectors_site(
    tmp_path: Path, vector: Path, words: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs, picture = tmp_path / "pairs.csv", tmp_path / "picture.png"
    pairs.write_text(PAIRS)
    given = ["--model", "stories15m", "--hierarchy", str(words), "--pairs", str(pairs), "--random", "19"]
    assert main(["explain", str(vector), *given, "--save", str(picture)]) == 0
    said = capsys.readouterr().out
    assert "mine, at output.3" in said
    assert "6 pairs: their mean difference holds" in said
    assert "singular direction 1" in said
    assert "the nearest in the tree: thing" in said
    assert picture.stat().st_size > 10_000


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("positive,negative\n", "holds no pairs"),
        ("positive,negative\nyes,no\n", "1 pairs have no components to speak of; give 4 at least"),
        ("positive,negative\nyes,yes\n", "not two different texts"),
        ("left,right\nyes,no\n", "needs two columns"),
    ],
    ids=["empty", "one", "identical", "columns"],
)
def test_pairs_that_will_not_do_are_refused_in_one_line(
    tmp_path: Path, vector: Path, text: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = tmp_path / "pairs.csv"
    pairs.write_text(text)
    assert main(["explain", str(vector), "--model", "stories15m", "--pairs", str(pairs)]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_other_vectors_and_hierarchies_are_refused_in_one_line(
    tmp_path: Path, vector: Path, words: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    zero = geo.SteeringVector({geo.Site("output", 3): torch.zeros(288)})
    geo.save_vector(zero, tmp_path / "zero.safetensors")
    geo.save_vector(geo.SteeringVector({geo.Site("output", 3): torch.ones(16)}), tmp_path / "wide.safetensors")
    nonsense = tmp_path / "nonsense.yaml"
    nonsense.write_text("forms: none\nconcepts:\n  all: {words: [qqzzxx, zzqqyy, xxqqzz]}\n")
    own = ["--hierarchy", str(words)]
    geo.save_vector(geo.SteeringVector({geo.Site("output", 99): torch.ones(288)}), tmp_path / "deep.safetensors")
    for name, options, says in [
        ("wide.safetensors", own, "is 16 wide, stories15m 288"),
        ("zero.safetensors", own, "a zero vector says nothing"),
        ("deep.safetensors", own, "has blocks 0 to 5, no block 99"),
        (vector.name, ["--hierarchy", str(nonsense)], "single token"),
    ]:
        assert main(["explain", str(tmp_path / name), "--model", "stories15m", *options]) == 2
        error = capsys.readouterr().err
        assert says in error
        assert error.count("\n") == 1
