"""`steer --erase` takes concepts out as the library does, says what, and refuses what it cannot do."""

from pathlib import Path
from typing import Any

import pytest
import yaml

import geometry as geo
from geometry.steering import load_eraser
from tests.cli.test_steer_sources import PROMPT, console  # noqa: F401 (a fixture)
from tests.steering import tiny

CONTEXTS = ["w50 {}", "w51 {}"]
SITE = ["--site", "1"]


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, console: Any) -> str:  # noqa: F811
    matrix = console.model.get_output_embeddings().weight.detach()
    vocabulary = geo.Vocabulary(["<s>", "</s>", *(f"Ġw{number}" for number in range(2, 64))])
    unembedding = geo.Unembedding(matrix, vocabulary, "tiny", "llama")
    monkeypatch.setattr("geometry.cli.steer_erase.Unembedding.load", lambda *_, **__: unembedding)
    few = geo.layers.Contexts("two", tuple(CONTEXTS))
    monkeypatch.setattr("geometry.layers.phrase_reading.load_contexts", lambda *_, **__: few)
    groups = {f"group {n}": [f"w{2 + 10 * n + i}" for i in range(10)] for n in range(4)}
    path = tmp_path / "tree.yaml"
    path.write_text(yaml.safe_dump({"all": {"two": {k: groups[k] for k in ("group 0", "group 1")}, **groups}}))
    return str(path)


def erased(output: str) -> list[str]:
    return [line.split(maxsplit=1)[1] for line in output.splitlines() if line.startswith("  erased")]


def test_concepts_are_erased_as_by_the_library_kept_and_taken_again(console: Any, tree: str, tmp_path: Path) -> None:  # noqa: F811
    kept = str(tmp_path / "e.safetensors")
    asked = ["--erase", "two", "--erase", "group 3", "--hierarchy", tree, *SITE, "--save", kept]
    status, output, err = console(*asked, PROMPT)
    assert status == 0, err
    assert "the eraser of two, group 3 and 2 concepts below them (rank 3 of 16), at output.1 of 4 blocks" in output
    assert "moves the states of its words by 0." in err
    hierarchy = geo.load_hierarchy(tree, geo.concepts.AnyPhrase())
    eraser = geo.layers.concept_eraser(
        console.model, tiny.tokenizer(), hierarchy, ["two", "group 3"], site="output.1", contexts=CONTEXTS
    )
    assert eraser.rank == load_eraser(kept).rank == 3
    with geo.steer(console.model, eraser):
        ((one,),) = geo.generate(console.model, tiny.tokenizer(), [PROMPT], max_new_tokens=6)
    assert erased(output) == [" ".join(one.text.split())]
    status, again, _ = console("--erase", kept, PROMPT)
    assert status == 0
    assert erased(again) == erased(output)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--erase", "two"], "needs a site"),
        (["--erase", "tow", *SITE], "did you mean two"),
        (["--erase", "two", "--site", "mlp.1"], "steer at output.1"),
        (["--erase", "two", *SITE, "--strength", "1"], "leave out --strength"),
        (["--erase", "two", *SITE, "--coefficient", "2"], "leave out --coefficient"),
        (["--erase", "two", *SITE, "--auto"], "leave out --auto"),
        (["--erase", "two", *SITE, "--add", "two"], "say what to add"),
        (["--erase", "two", *SITE, "--save", "x.gguf"], "kept in .safetensors"),
        (["--erase", "two", *SITE, "--save", "nowhere/x.safetensors"], "there is no folder nowhere"),
        (["--erase", "no.safetensors"], "no such file"),
        (["--erase", "no.safetensors", *SITE], "give it alone"),
    ],
)
def test_bad_input_is_one_line_before_the_model_is_loaded(
    console: Any,  # noqa: F811
    tree: str,
    options: list[str],
    message: str,
) -> None:
    hierarchy = [] if "safetensors" in options[1] else ["--hierarchy", tree]
    status, _, err = console(*options, *hierarchy, PROMPT)
    assert status == 2
    assert message in err
    assert err.count("\n") == 1
    assert not console.loaded


def test_what_the_model_lacks_is_refused_too(console: Any, tree: str) -> None:  # noqa: F811
    for options, message in (
        (["--erase", "two", "--site", "9"], "no block 9"),
        (["--erase", "all", *SITE], "lie outside"),
    ):
        status, _, err = console(*options, "--hierarchy", tree, PROMPT)
        assert (status, message in err) == (2, True)
