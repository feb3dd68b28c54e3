"""The study of behaviours on a family of one's own, in a small model whose words and prompts have planted classes."""

import html
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import ByteLevel
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

import geometry as geo
from analysis import behaviours
from geometry.experiments import BehavioursStudy, FigureSpec, session
from geometry.experiments.behaviours.result import BehavioursResult
from geometry.experiments.evaluator import BOUND

WORDS = {"glad": ["glad", "happy"], "gloomy": ["gloomy", "glo"], "hurried": ["hurried", "hur"]}
SAID = {
    "glad": ["It went so well that I sang all the way", "What a lovely day this has been for singing"],
    "gloomy": ["Nothing worked and I cried all evening", "It hurts to think of how it ended crying"],
    "hurried": ["Quick, we must leave this very second", "Run, or the doors will close before seconds"],
}
FIGURES = ("layers", "routes", "contrasts", "contrast-pairs", "levels", "steering", "pairs", "composed", "transfer")
WITH_TEXTS = ("class difference", "contrast-pair direction", "prompting", "unsteered", "random direction")
MEASURES = ("any_class", "right_class")
BLOCKS, WIDTH = 4, 48


def family(folder: Path) -> Path:
    lines = ["name: moods", "templates: {speech: said, message: written}", "domains: {work: offices, home: families}"]
    lines.append("classes:")
    for name, (one, other) in SAID.items():
        lines += [f"  {name}:", f"    words: [{', '.join(WORDS[name])}]", "    prompts:"]
        for domain in ("work", "home"):
            lines.append(f"      {domain}:")
            for template, text in (("speech", one), ("message", other)):
                lines.append(f"        {template}:")
                lines += [
                    f"          - 'At {domain} ({template}): {text}'",
                    f"          - '{domain} {template} {text}'",
                ]
    path = folder / "moods.yaml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama whose blocks do little: the words of a class, and those its prompts end with, share a direction."""
    split = ByteLevel(add_prefix_space=True)
    texts = [f"At work home speech message ( ) : {text}" for pair in SAID.values() for text in pair]
    texts += [text for name in ("plain", "neutral") for text in geo.steering.load_prompts(name).texts]
    texts += [" ".join(pair) for contrast in geo.concepts.load_opposites().values() for pair in contrast.pairs]
    texts += [word for words in WORDS.values() for name in words for word in (name, name.capitalize())]
    pieces = dict.fromkeys(piece for text in texts for piece, _ in split.pre_tokenize_str(text))
    vocabulary = {piece: index for index, piece in enumerate(["<unk>", "</s>", *pieces])}
    torch.manual_seed(0)
    rows = 0.4 * torch.randn(len(vocabulary), WIDTH)
    for name, said in SAID.items():
        direction = torch.randn(WIDTH)
        named = [word for each in WORDS[name] for word in (each, each.capitalize())]
        for word in [*named, *(text.split()[-1] for text in said)]:
            rows[vocabulary[f"Ġ{word}"]] += direction
    config = LlamaConfig(
        vocab_size=len(rows),
        hidden_size=WIDTH,
        intermediate_size=32,
        num_hidden_layers=BLOCKS,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=128,
        initializer_range=0.05,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=1,
    )
    llama = LlamaForCausalLM(config)
    llama.get_input_embeddings().weight.data = rows
    llama.model.norm.weight.data *= 0.1
    folder = tmp_path_factory.mktemp("models") / "planted"
    llama.save_pretrained(folder)
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer, tokenizer.decoder = split, decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", unk_token="<unk>").save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def result(model: Path, tmp_path_factory: pytest.TempPathFactory) -> BehavioursResult:
    """On a family that one file adds."""
    path = family(tmp_path_factory.mktemp("families"))
    return BehavioursStudy(model=str(model), families=(str(path),), n_permutations=19).run()  # type: ignore[return-value]


@pytest.fixture(scope="module")
def folder(result: BehavioursResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return result.write(tmp_path_factory.mktemp("out") / "behaviours")


@pytest.fixture(scope="module")
def moods(folder: Path) -> Any:
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))["results"]["families"]["moods"]


def test_one_file_adds_a_behaviour(folder: Path, moods: Any) -> None:
    # Three classes have no shape to compare.
    pictures = {f"{name}.{ending}" for name in FIGURES for ending in ("png", "svg")}
    assert {path.name for path in folder.iterdir()} == pictures | {"results.json", "results.npz", "generations.html"}
    assert {name: entry["prompts"] for name, entry in moods["classes"].items()} == dict.fromkeys(SAID, 8)
    assert moods["classes"]["glad"]["words"] == ["glad", "Glad", "happy", "Happy"]
    assert moods["shape"] is None


def test_classes_are_probed_beside_shuffled_labels(result: BehavioursResult, moods: Any) -> None:
    for kind, sweep in result.families["moods"].probes.items():
        assert len(sweep.accuracy) == BLOCKS + 1
        # The last words of a class share a direction, in whatever template or domain.
        assert sweep.accuracy.min() > 0.9 > sweep.threshold > 1 / 3
        assert moods["layers"][kind]["first"] == 0
        assert moods["layers"][kind]["at_best"]["n_permutations"] == {"shuffled": 19}
    assert moods["steering"]["block"] < 2 / 3 * BLOCKS


def test_words_and_prompts_of_one_direction_match(result: BehavioursResult, folder: Path, moods: Any) -> None:
    routes = moods["routes"]
    assert routes["value"] > 0.8
    assert routes["n_permutations"] == {"permuted": 5, "shuffled": 19, "neutral_prompts": 19}
    assert max(routes["p_values"][null] for null in ("shuffled", "neutral_prompts")) == 0.05
    # Three classes have six orders, too few to decide.
    assert routes["p_values"]["permuted"] == pytest.approx(1 / 6)
    assert not result.families["moods"].routes.agree  # type: ignore[union-attr]
    assert np.mean(list(routes["classes"].values())) == pytest.approx(routes["value"])
    assert len(routes["by_block"]) == BLOCKS
    with np.load(folder / "results.npz") as arrays:
        assert arrays["moods/routes"].shape == (3, 3)


def test_differences_of_classes_are_consistent_over_contexts(moods: Any) -> None:
    assert list(moods["contrasts"]) == ["glad - gloomy", "glad - hurried", "gloomy - hurried"]
    for contrast in moods["contrasts"].values():
        assert (contrast["n"], contrast["p_value"]) == (8, 0.01)
        assert contrast["value"] > 0.8 > contrast["nulls"]["sign_flip"]
    assert list(moods["contrast_pairs"]) == list(geo.concepts.load_opposites())
    assert all(list(by_class) == list(SAID) for by_class in moods["contrast_pairs"].values())


def test_levels_are_tested_by_words_and_by_prompts(result: BehavioursResult, folder: Path) -> None:
    words, prompts = result.levels.about("words"), result.levels.about("prompts")
    assert prompts["separation"].value > 0.9 > prompts["separation"].nulls["permuted"].mean
    assert words["separation"].nulls.keys() == {"permuted", "random_subset"}
    # One family of classes under one kind: nothing that orthogonality could be judged by.
    for test in (words["orthogonality-a"], prompts["orthogonality-b"]):
        assert re.fullmatch(r"not measurable \(needs at least 8 families, has [0-3]\)", test.verdict)
    # There are no steps and no siblings above the classes of one family.
    assert words["orthogonality-c"].n == words["orthogonality-d"].n == 0
    listed = json.loads((folder / "results.json").read_text(encoding="utf-8"))["results"]["levels"]
    assert [(entry["hierarchy"], entry["claim"]) for entry in listed][:2] == [
        ("words", "separation"),
        ("words", "orthogonality-a"),
    ]


def test_steering_stands_beside_contrast_pairs_prompting_and_controls(
    result: BehavioursResult, folder: Path, moods: Any
) -> None:
    steering = moods["steering"]
    assert steering["pairs"] == [["glad", "gloomy"], ["gloomy", "hurried"], ["hurried", "glad"]]
    vectors = {"class difference", "contrast-pair direction", "single sentence pair", "random direction"}
    assert steering["perplexity"].keys() == vectors
    vectors |= {"shuffled labels", "neutral prompts"}
    assert steering["log_odds"].keys() == vectors
    assert steering["success"].keys() == vectors | {"prompting", "unsteered"}
    assert steering["generated"].keys() == {*WITH_TEXTS}
    assert steering["perplexity"]["class difference"] <= BOUND
    assert steering["within_bound"]
    # Three pairs, two folds, a sentence for each of a template's two domains; and four openings.
    assert steering["success"]["class difference"]["n"] == 3 * 2 * 2
    assert steering["generated"]["class difference"]["n"] == 3 * 2 * 4
    assert steering["log_odds"]["class difference"]["n"] == 3 * 24
    with np.load(folder / "results.npz") as arrays:
        reached, axis = (arrays[f"moods/success/{way}"] for way in ("class difference", "contrast-pair direction"))
        assert set(np.unique(reached)) <= {0.0, 1.0}
        assert steering["success"]["class difference"]["mean"] == reached.mean()
        assert steering["over_contrast_pair"]["success"]["mean"] == pytest.approx((reached - axis).mean())
        # The way between pairs is the same as in the square of all pairs.
        cells = [(list(SAID).index(source), list(SAID).index(target)) for source, target in steering["pairs"]]
        assert np.mean([arrays["moods/matrix"][cell] for cell in cells]) == pytest.approx(reached.mean())


def test_what_is_planted_is_reached_and_controls_do_not_reach_it(moods: Any) -> None:
    success, odds, generated = (
        {way: entry["mean"] for way, entry in moods["steering"][measure].items()}
        for measure in ("success", "log_odds", "generated")
    )
    assert success["class difference"] == 1
    # One axis of three classes is half a way for two of the three pairs.
    assert success["contrast-pair direction"] < 1
    assert max(success[way] for way in ("unsteered", "prompting", "neutral prompts")) < 0.2
    assert max(success["random direction"], success["shuffled labels"]) < 0.5
    assert odds["class difference"] > 3 > 1 > max(odds["random direction"], odds["neutral prompts"])
    assert generated["class difference"] > 0.8 > 0.4 > generated["unsteered"]
    transfer = {way: entry["mean"] for way, entry in moods["steering"]["transfer"].items()}
    assert transfer["own domain"] == transfer["other domain"] == 1 > transfer["shuffled labels"]
    matrix = np.array(moods["steering"]["matrix"])
    assert matrix.shape == (3, 3)
    assert matrix.min() == 1


def test_family_mean_and_class_offset_compose(moods: Any) -> None:
    any_class, right = ({way: entry["mean"] for way, entry in moods["steering"][m].items()} for m in MEASURES)
    assert list(right) == ["family mean", "class offset", "family mean + class offset", "random direction", "unsteered"]
    assert right["family mean + class offset"] == any_class["family mean"] == 1
    # The family's mean is the same vector for every class, and can be right for one of three at most.
    assert right["family mean"] <= 1 / 3 + 1e-9
    assert any_class["unsteered"] == 0


def test_each_class_is_generated_side_by_side(folder: Path, moods: Any) -> None:
    page = (folder / "generations.html").read_text(encoding="utf-8")
    for opening, by_class in moods["steering"]["generations"].items():
        assert list(by_class) == ["unsteered", *SAID]
        assert html.escape(opening) in page
    assert page.count("<table") == 1
    assert "temperature 0.7" in page
    assert "://" not in page


def test_shapes_say_which_are_beyond_permuted_orders(result: BehavioursResult) -> None:
    rng = np.random.default_rng(0)
    line = np.arange(7.0)[:, None] * rng.standard_normal((1, 30)) + 0.1 * rng.standard_normal((7, 30))
    noise = rng.standard_normal((7, 30))
    named = {}
    for name, means in {"line": line, "noise": noise}.items():
        shape = geo.evidence.compare_shapes(means, tuple("abcdefg"), n_permutations=99)
        named[name] = replace(result.families["moods"], shape=shape)
    families = replace(result, families={**result.families, **named})
    spec = next(spec for spec in families.figures() if spec.name == "shapes")
    assert spec.title == "Classes lie on a shape beyond permuted orders in 1 of 2 families: line (line)"
    assert "Fewer than four classes: moods." in spec.caption
    drawn = "".join(text.get_text() for axes in spec.figure().axes for text in [*axes.texts, axes.title])
    assert "noise: no shape" in drawn


def test_titles_captions_and_summary_are_short_and_plain(result: BehavioursResult) -> None:
    for spec in result.figures():
        assert len(spec.title) <= 140, spec.name
        assert len(spec.caption) <= 380, spec.name
    assert result.summary()[0].startswith("Class differences steer 100% of held-out sentences to their target")
    assert "generated texts show it in 1 of 1" in result.summary()[0]
    assert "class difference" in str(result)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("        message:\n", "        letter:\n", "moods.yaml, line 12: classes.glad.prompts.work.letter: unknown"),
        ("words: [hurried, hur]", "words: [hurried, glad]", "'glad' stands in glad already"),
        (
            "          - 'home speech Quick, we must leave this very second'\n",
            "",
            "class 'hurried' has a single sentence under speech in home; steering needs two",
        ),
        ("words: [hurried, hur]", "words: [floccinaucinihil]", "none of the words of 'moods: hurried'"),
    ],
)
def test_a_bad_file_is_one_line_before_the_model_is_loaded(
    model: Path, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch, old: str, new: str, complaint: str
) -> None:
    monkeypatch.setattr(session, "load_model", lambda *_, **__: pytest.fail("the model is loaded"))
    path, out = family(tmp_path), tmp_path / "out"
    path.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    arguments = [str(model), "--families", str(path), "--out", str(out)]
    assert geo.cli.script(BehavioursStudy, behaviours.main, behaviours.__doc__, arguments) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert complaint in error
    assert not out.exists()


def test_word_vectors_are_refused_before_anything_is_read() -> None:
    with pytest.raises(geo.errors.ModelError, match="no language model behind them"):
        BehavioursStudy(model="glove-6b-100d", families=("lost.yaml",)).run()


def test_the_script_prints_what_it_tested_and_writes_its_folder(
    result: BehavioursResult, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BehavioursStudy, "run", lambda _: result)
    monkeypatch.setattr(FigureSpec, "figure", lambda _: None)
    monkeypatch.setattr(geo.output.OutputFolder, "figure", lambda *_: None)
    assert geo.cli.script(BehavioursStudy, behaviours.main, behaviours.__doc__, ["--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "moods, held_out_template: 1.000" in printed
    assert "moods: glad – gloomy, contrast: 0.9" in printed
    assert (tmp_path / "results.json").is_file()
