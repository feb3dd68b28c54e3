"""The console makes vectors of pairs, lists of pairs and classes as Python does, at any block, plainly or in a chat."""

import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import geometry as geo
from geometry.cli import main
from geometry.steering.chat import chat_prompts
from tests.steering import tiny

PROMPT = "w7 w8 w9 w10 w11"
PAIRS = [("w2 w3 w4", "w5 w6"), ("w7", "w8 w9"), ("w10 w11", "w12")]
CLASSES = {"calm": ["w2", "w3"], "firm": ["w4", "w5"], "cross": ["w6", "w7"]}
TEMPLATE = "<s> {% for m in messages %}w12 {{ m['content'] }} {% endfor %}{% if add_generation_prompt %}w13{% endif %}"


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs `steer` on a tiny model of four blocks: status, output and error output."""
    model, loaded = tiny.build("llama"), []

    def run(*options: str, tokenizer: Any = None) -> tuple[int, str, str]:
        monkeypatch.setattr("geometry.cli.steer.require_language_model", lambda _: None)
        with_it = (model, tokenizer or tiny.tokenizer())
        monkeypatch.setattr("geometry.cli.steer.load_model", lambda *_, **__: loaded.append(1) or with_it)
        status = main(["steer", "--tokens", "6", *options])
        return status, *capsys.readouterr()

    run.model, run.loaded = model, loaded  # type: ignore[attr-defined]
    return run


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """The pairs and the classes in files of the user's own."""
    rows = "\n".join(",".join(pair) for pair in PAIRS)
    objects = "\n".join(f'{{"positive": "{first}", "negative": "{second}"}}' for first, second in PAIRS)
    cells = list(product(["home", "work"], ["said", "told"]))
    classes = {}
    for name, words in CLASSES.items():
        prompts: dict[str, Any] = {"home": {}, "work": {}}
        for index, (domain, template) in enumerate(cells):
            prompts[domain][template] = [f"{word} w{index + 14}" for word in words]
        classes[name] = {"words": [name], "prompts": prompts}
    family = {
        "name": "manner",
        "ordered": True,
        "templates": {"said": "said", "told": "told"},
        "domains": {"home": "home", "work": "work"},
        "classes": classes,
    }
    written = {"csv": f"positive,negative\n{rows}\n", "jsonl": objects, "yaml": yaml.safe_dump(family, sort_keys=False)}
    for ending, text in written.items():
        (tmp_path / f"own.{ending}").write_text(text)
    return {ending: str(tmp_path / f"own.{ending}") for ending in written}


def steered(output: str) -> list[str]:
    return [line.split(maxsplit=1)[1] for line in output.splitlines() if line.startswith("  steered")]


def by_hand(console: Any, vector: geo.SteeringVector, positions: str, prompt: str = PROMPT) -> list[str]:
    with geo.steer(console.model, vector, positions=positions):
        ((one,),) = geo.generate(
            console.model, tiny.tokenizer(), [prompt], max_new_tokens=6, frequency_penalty=1.0, bos=vector.bos
        )
    return [" ".join(one.text.split())]


def test_a_pair_of_texts_is_activation_addition(console: Any) -> None:
    vector = 2 * geo.activation_addition(console.model, tiny.tokenizer(), "w2 w3 w4", "w5 w6 w2", site=2)
    status, output, _ = console("--pair", "w2 w3 w4", "w5 w6 w2", "w7 w8 w9")
    assert status == 0
    assert output.startswith("2 × ('w2 w3 w4' − 'w5 w6 w2'), at output.2 of 4 blocks, the middle one; --site chooses")
    assert (
        steered(output)
        == by_hand(console, vector, "first", "w7 w8 w9")
        != by_hand(console, 0 * vector, "first", "w7 w8 w9")
    )
    _, output, _ = console("--pair", "w2 w3 w4", "w5 w6 w2", "--positions", "back", "--site", "input.3", PROMPT)
    assert output.startswith("2 × ('w2 w3 w4' − 'w5 w6 w2'), at input.3 of 4 blocks\n")
    vector = 2 * geo.activation_addition(console.model, tiny.tokenizer(), "w2 w3 w4", "w5 w6 w2", block=3)
    assert steered(output) == by_hand(console, vector, "last") != by_hand(console, vector, "first")


def test_a_site_of_activation_addition_is_where_it_is_read(llama: Any) -> None:
    pair = "w2 w3 w4", "w5 w6 w2"
    at_input = geo.activation_addition(llama, tiny.tokenizer(), *pair, block=2)
    at_output = geo.activation_addition(llama, tiny.tokenizer(), *pair, site=1)
    assert at_output["output.1"].tolist() == at_input["input.2"].tolist()
    for wrong in ({}, {"block": 2, "site": 1}):
        with pytest.raises(geo.errors.SteeringError, match="a block or a site"):
            geo.activation_addition(llama, tiny.tokenizer(), *pair, **wrong)


@pytest.fixture
def llama() -> Any:
    return tiny.build("llama")


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_file_of_pairs_is_contrastive_activation_addition(console: Any, files: dict[str, str], ending: str) -> None:
    vector = geo.contrastive_activation_addition(console.model, tiny.tokenizer(), PAIRS, [2])
    status, output, _ = console("--pairs", files[ending], PROMPT)
    assert status == 0
    assert output.startswith("2 × mean difference of 3 pairs, at output.2 of 4 blocks, the middle one")
    assert steered(output) == by_hand(console, 2 * vector, "last")
    _, output, _ = console("--pairs", files[ending], "--coefficient", "9", "--positions", "all", PROMPT)
    assert steered(output) == by_hand(console, 9 * vector, "all") != by_hand(console, 0 * vector, "all")


@pytest.mark.parametrize("other", ["calm", None])
def test_a_class_less_another_or_all_others(console: Any, files: dict[str, str], other: str | None) -> None:
    texts = geo.load_behaviour(files["yaml"]).texts()
    means = geo.class_means(console.model, tiny.tokenizer(), texts, ["1"])
    vector = geo.steering.class_difference(means, "cross") if other is None else means["cross"] - means[other]
    asked = f"{files['yaml']}:cross" + (f"/{other}" if other else "")
    options = ["--site", "1", "--coefficient", "9", "--positions", "all"]
    status, output, _ = console("--behaviour", asked, *options, PROMPT)
    assert status == 0
    assert output.startswith(f"9 × ({vector.provenance}), at output.1 of 4 blocks\n")
    assert steered(output) == by_hand(console, 9 * vector, "all") != by_hand(console, 0 * vector, "all")


def test_several_of_a_kind_have_coefficients_of_their_own_and_are_kept(
    console: Any, files: dict[str, str], tmp_path: Path
) -> None:
    options = ["--coefficient", "3", "--coefficient", "-1", "--save", str(tmp_path / "v.safetensors")]
    both = ["--behaviour", f"{files['yaml']}:cross/calm", "--behaviour", f"{files['yaml']}:firm/calm"]
    assert console(*both, *options)[0] == 0
    means = geo.class_means(console.model, tiny.tokenizer(), geo.load_behaviour(files["yaml"]).texts(), [2])
    wanted = 3 * (means["cross"] - means["calm"]) - (means["firm"] - means["calm"])
    kept = geo.load_vector(tmp_path / "v.safetensors")
    assert kept.sites == wanted.sites
    assert kept.cosine(wanted) == pytest.approx(1, abs=1e-5)
    assert kept.norm() == pytest.approx(wanted.norm(), rel=1e-4)


def test_a_strength_is_a_fraction_of_the_residual_norm(console: Any, files: dict[str, str], tmp_path: Path) -> None:
    for ending, norm, site in (("safetensors", 0.5, "output.2.relative"), ("gguf", None, "output.2")):
        path = tmp_path / f"v.{ending}"
        assert console("--pairs", files["csv"], "--strength", "0.5", "--save", str(path))[0] == 0
        kept = geo.load_vector(path)
        assert [str(site) for site in kept.sites] == [site]
        assert norm is None or kept.norm() == pytest.approx(norm)


def test_what_is_saved_for_servers_is_what_they_can_express(
    console: Any, files: dict[str, str], tmp_path: Path
) -> None:
    assert console("--pairs", files["csv"], "--strength", "0.5", "--save", str(tmp_path / "v.pt"), PROMPT)[0] == 0
    rows = torch.load(tmp_path / "v.pt", weights_only=True)
    assert [bool(row.any()) for row in rows] == [False, False, True]
    assert console("--pair", "w2 w3", "w5 w6", "--strength", "0.5", "--save", str(tmp_path / "v.json"))[0] == 0
    entries = json.loads((tmp_path / "v.json").read_text())
    # A row is zero, that of the beginning-of-text token.
    assert [entry["scale"] > 0 for entry in entries] == [False, True, True]
    assert {tuple(entry["layer_indices"]) for entry in entries} == {(2,)}
    assert all(entry["norm_match"] for entry in entries)


def test_a_vector_of_another_program_steers_and_says_how_it_was_taken(console: Any, tmp_path: Path) -> None:
    parts = tiny.vector("output.1", "output.2").parts
    directions = {str(site.block): [part.tolist()] for site, part in parts.items()}
    (tmp_path / "v.svec").write_text(json.dumps({"model_type": "llama", "directions": directions}))
    status, output, error = console("--vector", str(tmp_path / "v.svec"), "--positions", "all", PROMPT)
    vector = geo.SteeringVector(parts)
    assert status == 0
    assert steered(output) == by_hand(console, vector, "all") != by_hand(console, 0 * vector, "all")
    assert error.startswith("note: AISteer360 steers at one of these 2 blocks")


def test_a_chat_has_the_template_and_one_beginning(console: Any, files: dict[str, str]) -> None:
    tokenizer = tiny.tokenizer()
    tokenizer.chat_template = TEMPLATE
    (asked,) = chat_prompts(tokenizer, [PROMPT])
    assert asked == f"<s> w12 {PROMPT} w13"
    assert geo.steering.encode(tokenizer, [asked]).input_ids.tolist() == [[0, 12, 7, 8, 9, 10, 11, 13]]
    vector = 2 * geo.contrastive_activation_addition(console.model, tokenizer, PAIRS, [2])
    status, output, _ = console("--chat", "--pairs", files["csv"], PROMPT, tokenizer=tokenizer)
    assert status == 0
    assert output.splitlines()[2] == PROMPT
    assert steered(output) == by_hand(console, vector, "last", asked) != by_hand(console, vector, "last")


@pytest.mark.parametrize("template", [None, "{{ raise_exception('only system turns') }}", "{% for"])
def test_a_chat_without_a_working_template_is_one_line(
    console: Any, files: dict[str, str], template: str | None
) -> None:
    tokenizer = tiny.tokenizer()
    tokenizer.chat_template = template
    status, output, error = console("--chat", "--pairs", files["csv"], PROMPT, tokenizer=tokenizer)
    assert (status, output, error.count("\n")) == (2, "", 1)
    assert "chat template" in error


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--pair", "w2", "w3", "--add", "bird"], "say what to add"),
        (["--pair", "w2", "w2"], "two different texts"),
        (["--pair", "w2", " "], "two different texts"),
        (["--pair", "w2", "w3", "--positions", "all"], "a row for each token"),
        (["--pair", "w2", "w3", "--save", "v.gguf"], "no rows"),
        (["--pair", "w2", "w3", "--save", "v.pt"], "a .pt file holds no rows"),
        (["--pairs", "{csv}", "--site", "after_norm", "--save", "v.json"], "blocks from 0 on"),
        (["--pairs", "{csv}", "--site", "input.0", "--save", "v.pt"], "blocks from 0 on"),
        (["--pair", "w2", "w3", "--save", "v.txt"], "kept in .safetensors or .gguf"),
        (["--pair", "w2", "w3", "--hierarchy", "organisms"], "--hierarchy says"),
        (["--pair", "w2", "w3", "--site", "2.relative"], "--strength makes"),
        (["--pair", "w2", "w3", "--coefficient", "1", "--coefficient", "2"], "not 2"),
        (["--pair", "w2", "w3", "--completions", "2"], "add --temperature"),
        (["--pair", "w2", "w3", "--chat", " "], "empty prompt"),
        (["--pairs", "nothing.csv"], "nothing.csv: no such file"),
        (["--pairs", "{csv}", "--site", "0", "--save", "v.gguf"], "blocks from 1 on"),
        (["--pairs", "{csv}", "--site", "after_norm", "--save", "v.gguf"], "blocks from 1 on"),
        (["--behaviour", "{yaml}"], "the classes of manner are calm, firm, cross; write for example"),
        (["--behaviour", "{yaml}:cross/clam"], "the classes of manner are"),
        (["--behaviour", "{yaml}:cross/cross"], "the classes of manner are"),
        (["--behaviour", "{yaml}:cross/"], "the classes of manner are"),
        (["--behaviour", "nothing:cross"], "nothing"),
    ],
)
def test_bad_sources_are_one_line_before_the_model_is_loaded(
    console: Any, files: dict[str, str], options: list[str], message: str
) -> None:
    status, output, error = console(*(option.format(**files) for option in options), PROMPT)
    assert not console.loaded
    assert (status, output, error.count("\n")) == (2, "", 1)
    assert message in error


def test_that_nothing_changed_is_said(console: Any, files: dict[str, str]) -> None:
    _, _, error = console("--pairs", files["csv"], "--coefficient", "0", PROMPT)
    assert error.startswith("note: no text changed")
    _, _, error = console("--pairs", files["csv"], "--coefficient", "9", "--positions", "all", PROMPT)
    assert error == ""
