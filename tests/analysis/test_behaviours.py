"""The analysis of behaviours as a script, on a family of one's own and the real model."""

import json
from functools import partial
from pathlib import Path

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


def test_one_file_adds_a_behaviour(tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = analyse("--families", family(tmp_path), "--draws", 19, "--out", out)
    assert (done.returncode, done.stderr) == (0, "")
    pictures = {f"{name}.{ending}" for name in ("layers", "routes") for ending in ("png", "svg")}
    assert {path.name for path in out.iterdir()} == pictures | {"results.json", "results.npz"}
    found = json.loads((out / "results.json").read_text(encoding="utf-8"))["results"]["families"]["moods"]
    assert {name: one["prompts"] for name, one in found["classes"].items()} == dict.fromkeys(SAID, 8)
    for kind in ("template", "domain"):
        assert len(found["layers"][kind]["accuracy"]) == 31
        assert 1 / 3 < found["layers"][kind]["threshold"] <= 1
    # The same sentences stand in both domains, so that an unseen domain is no riddle.
    assert max(found["layers"]["domain"]["accuracy"]) > 0.9
    assert found["routes"]["permuted"]["draws"] == 5
    with np.load(out / "results.npz") as arrays:
        assert arrays["moods/routes"].shape == (3, 3)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("        message:\n", "        letter:\n", "moods.yaml, line 12: classes.glad.prompts.work.letter: unknown"),
        ("words: [hurried, hur]", "words: [hurried, glad]", "'glad' stands in glad already"),
        ("words: [hurried, hur]", "words: [floccinaucinihil]", "none of the words of 'hurried'"),
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
