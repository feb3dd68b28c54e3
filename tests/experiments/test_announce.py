"""What a hierarchy is too small for is said before a model is read."""

from pathlib import Path

import pytest

import geometry as geo
from geometry.cli import main
from geometry.compare import incomparable
from geometry.experiments import ClaimsStudy, ComparisonStudy, MapsStudy

FOUR = """
animal:
  mammal: [dog, cat, horse, cow, lion, tiger, bear, wolf]
  bird: [eagle, duck, hawk, owl, swan, crow, robin, goose]
plant: [tree, oak, pine, rose, grass, flower, corn, wheat]
"""
NOTHING = "animal: [dog]\nplant: [oak]\n"


@pytest.fixture
def four(tmp_path: Path) -> Path:
    path = tmp_path / "four.yaml"
    path.write_text(FOUR)
    return path


def test_claims_are_announced_a_note_each_before_the_model(four: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "claims", "nosuch", "--hierarchies", str(four), "--out", str(four.parent / "out")]) == 2
    *notes, reading, error = capsys.readouterr().err.splitlines()
    lacking = geo.evidence.unmeasurable(four)
    assert [note.split("claims: ")[1] for note in notes] == [
        f"note: {name} is not measurable on four: {reason}" for name, reason in lacking.items()
    ]
    assert "orthogonality-a" in lacking
    assert "reading the unembedding of nosuch" in reading
    assert error.startswith("error: ")
    assert "nosuch" in error


def test_a_comparison_announces_what_models_cannot_be_compared_by(four: Path) -> None:
    notes: list[str] = []
    with pytest.raises(geo.errors.ModelError):
        ComparisonStudy(models=("nosuch", "neither"), hierarchy=str(four), control="none").run(notes.append)
    hierarchy = geo.evidence.without_model(four)
    expected = {**geo.evidence.unmeasurable(hierarchy), **incomparable(hierarchy)}
    assert [note.removeprefix("note: ").split(" is not")[0] for note in notes if "note" in note] == list(expected)
    assert "alignment_error" in expected
    assert "representational_similarity" not in expected


def test_what_models_can_be_compared_by_depends_on_the_pairs() -> None:
    flat = {name: [f"{name}{number}x" for number in range(8)] for name in "abcd"}
    reasons = incomparable(geo.evidence.without_model(flat))
    assert set(reasons) == {"alignment_error", "recovered_tree"}
    del flat["d"], flat["c"]
    assert incomparable(geo.evidence.without_model(flat))["representational_similarity"] == (
        "needs at least 3 pairs of concepts without a common word, has 1"
    )


@pytest.mark.parametrize("study", ["claims --hierarchies", "comparison --hierarchy"], ids=["claims", "comparison"])
def test_a_hierarchy_that_shows_nothing_is_refused_first(
    study: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "nothing.yaml"
    path.write_text(NOTHING)
    name, option = study.split()
    assert main(["run", name, "nosuch", option, str(path), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "no claim can be measured on it; existence needs at least 1 concept of 4 words and 2 lemmas" in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "concept", "complaint"),
    [
        (FOUR, "unicorn", "has no concept 'unicorn'"),
        (FOUR, "bird", "'bird' has no children to tell its words apart by; --concept takes one that has: animal"),
        ("a: [dog, cat]\nb: [oak, pine]\n", "a", "none has; without --concept there is no Mapper"),
        ("a: [{b: [dog, cat]}, oak]\n", "a", "a map needs at least 3 concepts, has 2"),
    ],
)
def test_what_cannot_be_mapped_is_refused_first(tmp_path: Path, text: str, concept: str, complaint: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(text)
    with pytest.raises(geo.GeometryError, match=complaint):
        MapsStudy(model="nosuch", hierarchy=str(path), concept=concept).run()


def test_wordnet_is_not_announced() -> None:
    steps: list[str] = []
    with pytest.raises(geo.errors.ModelError):
        ClaimsStudy(model="nosuch").run(steps.append)
    assert not [step for step in steps if "note" in step]
