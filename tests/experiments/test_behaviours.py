"""The analysis of behaviours as a script, on a family of one's own and the real model."""

import html
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.analysis.scripts import run_analysis

analyse = partial(run_analysis, "behaviours")
SAID = {
    "glad": ["It went so well that I sang all the way.", "What a lovely day this has been for us."],
    "gloomy": ["Nothing worked and I cried all evening.", "It hurts to think of how it ended for us."],
    "hurried": ["Quick, we must leave this very second.", "Run, or the doors will close before us."],
}


def family(folder: Path) -> Path:
    lines = ["name: moods", "templates: {speech: said, message: written}", "domains: {work: offices, home: families}"]
    lines.append("classes:")
    for name, (one, other) in SAID.items():
        lines += [f"  {name}:", f"    words: [{name}, happy]" if name == "glad" else f"    words: [{name}, {name[:3]}]"]
        lines.append("    prompts:")
        for domain in ("work", "home"):
            lines.append(f"      {domain}:")
            for template, text in (("speech", one), ("message", other)):
                lines.append(f"        {template}:")
                lines += [
                    f"          - 'At {domain} ({template}): {text}'",
                    f"          - '{text} ({template}, {domain})'",
                ]
    path = folder / "moods.yaml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


FIGURES = ("layers", "routes", "contrasts", "opposites", "levels", "steering", "pairs", "composed", "transfer")


@pytest.fixture(scope="module")
def analysed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the analysis writes on a family that one file adds, run in the real model."""
    folder = tmp_path_factory.mktemp("behaviours")
    done = analyse("--families", family(folder), "--draws", 19, "--out", folder / "out")
    assert (done.returncode, done.stderr) == (0, "")
    assert "classes" in done.stdout
    return folder / "out"


@pytest.fixture(scope="module")
def found(analysed: Path) -> Any:
    return json.loads((analysed / "results.json").read_text(encoding="utf-8"))["results"]


def test_one_file_adds_a_behaviour(analysed: Path, found: Any) -> None:
    # Three classes have no shape to be told.
    pictures = {f"{name}.{ending}" for name in FIGURES for ending in ("png", "svg")}
    assert {path.name for path in analysed.iterdir()} == pictures | {"results.json", "results.npz", "completions.html"}
    assert list(found["families"]) == ["moods"]
    moods = found["families"]["moods"]
    assert {name: one["prompts"] for name, one in moods["classes"].items()} == dict.fromkeys(SAID, 8)
    assert moods["classes"]["glad"]["words"] == ["happy", "Happy", "glad", "Glad"]
    assert moods["shape"] is None


def test_classes_are_told_beside_shuffled_labels(analysed: Path, found: Any) -> None:
    moods = found["families"]["moods"]
    for kind in ("template", "domain"):
        assert len(moods["layers"][kind]["accuracy"]) == 31
        assert 1 / 3 < moods["layers"][kind]["threshold"] <= 1
    # The same sentences stand in both domains, so that an unseen domain is no riddle.
    assert max(moods["layers"]["domain"]["accuracy"]) > 0.9
    assert {name: null["draws"] for name, null in moods["routes"]["nulls"].items()} == {
        "permuted": 5,
        "shuffled": 19,
        "random_prompts": 19,
    }
    assert len(moods["contrasts"]) == 3
    claims = {(one["hierarchy"], one["claim"]): one for one in found["levels"]}
    assert claims["prompts", "separation"]["value"] > claims["prompts", "separation"]["nulls"]["shuffled"]
    assert claims["words", "orthogonality-a"]["nulls"].keys() == {"shuffled", "random_subset"}
    # There are no steps and no siblings above the classes of one family.
    assert claims["words", "orthogonality-c"]["n"] == 0
    with np.load(analysed / "results.npz") as arrays:
        assert arrays["moods/routes"].shape == (3, 3)


def test_steering_stands_beside_opposites_prompting_and_controls(analysed: Path, found: Any) -> None:
    steering = found["families"]["moods"]["steering"]
    assert steering["pairs"] == [["glad", "gloomy"], ["gloomy", "hurried"], ["hurried", "glad"]]
    assert steering["block"] < 20
    ways = {"classes", "opposites", "one pair", "prompting", "nothing", "random direction", "shuffled labels"}
    assert steering["reached"].keys() == ways | {"plain sentences"}
    assert steering["written"].keys() == {"classes", "opposites", "prompting", "nothing", "random direction"}
    assert steering["odds"].keys() == ways - {"prompting", "nothing"} | {"plain sentences"}
    assert steering["perplexity"]["classes"] <= 2 or steering["strength"] == 0.5
    # Three pairs, two folds, a sentence for each of a template's two domains; and four openings.
    assert steering["reached"]["classes"]["n"] == 3 * 2 * 2
    assert steering["written"]["classes"]["n"] == 3 * 2 * 4
    assert steering["odds"]["classes"]["n"] == 3 * 24
    assert steering["odds"]["classes"]["mean"] > steering["odds"]["random direction"]["mean"]
    with np.load(analysed / "results.npz") as arrays:
        reached, opposed = (arrays[f"moods/reached/{way}"] for way in ("classes", "opposites"))
        assert set(np.unique(reached)) <= {0.0, 1.0}
        assert steering["reached"]["classes"]["mean"] == reached.mean()
        assert steering["over_opposites"]["reached"]["mean"] == pytest.approx((reached - opposed).mean())
        # The way between pairs is the same as in the square of all pairs.
        places = [(list(SAID).index(one), list(SAID).index(to)) for one, to in steering["pairs"]]
        assert np.mean([arrays["moods/matrix"][place] for place in places]) == pytest.approx(reached.mean())


def test_each_class_is_completed_side_by_side(analysed: Path, found: Any) -> None:
    page = (analysed / "completions.html").read_text(encoding="utf-8")
    for opening, by in found["families"]["moods"]["steering"]["completions"].items():
        assert list(by) == ["(nothing)", *SAID]
        assert html.escape(opening) in page
    assert page.count("<table") == 1
    assert "://" not in page


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("        message:\n", "        letter:\n", "moods.yaml, line 12: classes.glad.prompts.work.letter: unknown"),
        ("words: [hurried, hur]", "words: [hurried, glad]", "'glad' stands in glad already"),
        (
            "          - 'At home (speech): Quick, we must leave this very second.'\n",
            "",
            "class 'hurried' has a single sentence under speech in home; steering needs two",
        ),
        ("words: [hurried, hur]", "words: [floccinaucinihil]", "none of the words of 'moods: hurried'"),
    ],
)
def test_a_bad_file_is_one_line_before_the_model_is_loaded(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    path = family(tmp_path)
    path.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    done = analyse("--families", path, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert complaint in done.stderr
    assert not (tmp_path / "out").exists()
