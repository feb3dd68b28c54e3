"""docs/how-to.md: each task is at most five lines of public names, and gives on the real model what it must."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
import torch

import geometry as geo
from geometry.models import CATALOGUE, cached_path
from tests.docs.test_pages import FENCE, ROOT, console
from tests.loaded import loaded_once

PAGE = (ROOT / "docs" / "how-to.md").read_text(encoding="utf-8")
START, *SECTIONS = re.split(r"^### ", PAGE, flags=re.MULTILINE)
TASKS = {section.splitlines()[0]: FENCE.findall(section) for section in SECTIONS}
Names = dict[str, Any]


def cosine(first: torch.Tensor, second: torch.Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(first.flatten().double(), second.flatten().double(), dim=0))


def axes_of(figure: Any) -> list[Any]:
    return [axes for axes in figure.axes if axes.has_data()]


def own_words(names: Names) -> None:
    assert list(names["things"].names) == ["thing", "vehicle", "tool", "garment"]
    assert {"existence", "separation"} <= {claim.name for claim in names["claims"]}
    assert names["claims"]["existence"].value > names["claims"]["existence"].nulls["permuted"].mean


def graphed(names: Names) -> None:
    assert names["looks"].parents["colour"] == ("look",)
    assert set(names["looks"]["shape"].words) >= {"round", "square", "flat", "long", "wide"}


def tabled(names: Names) -> None:
    graph, table, nested = names["_"]
    assert set(names["weather"].names) == set(graph.nodes) == {"warm", "cold"}
    assert len(table) >= 2
    assert set(nested) == {"warm", "cold"}


def part_of_wordnet(names: Names) -> None:
    animals = names["animals"]
    assert {"animal.n.01", "mammal.n.01"} <= set(animals.names)
    assert "plant.n.02" not in animals


def from_a_folder(names: Names) -> None:
    assert names["my_unembedding"].family == "gpt2"
    assert "bird" in names["my_hierarchy"]


def from_memory(names: Names) -> None:
    matrix = names["in_memory"].matrix
    assert matrix.data_ptr() == names["model"].get_output_embeddings().weight.data_ptr()
    assert torch.equal(names["its_space"].mean.isfinite(), torch.ones(576, dtype=torch.bool))


def drawn_into_own_axes(names: Names) -> None:
    assert names["left"].has_data()
    assert names["right"].has_data()
    assert tuple(names["figure"].get_size_inches()) == (11, 5)


def plane_and_simplex(names: Names) -> None:
    assert isinstance(names["_"], mpl.figure.Figure)
    written = {text.get_text() for axes in names["_"].axes for text in axes.texts}
    assert {"mammal", "bird", "fish", "insect"} <= written


def mapped(names: Names) -> None:
    assert names["concept_map"].coordinates.shape == (len(names["directions"]), 2)
    page = Path("map.html").read_text(encoding="utf-8")
    assert "mammal" in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def mapper_by_own_lens(names: Names) -> None:
    assert len(names["graph"].nodes) > 1
    assert isinstance(names["_"], mpl.figure.Figure)


def steered(names: Names) -> None:
    """The text under the vector, which is another than without it."""
    prompt = {"vector": "In the garden I saw a", "love": "I hate you because", "caa": "I think that your idea"}
    made = next((name for name in ("caa", "love", "vector") if name in names), "means")
    ((steered,),) = names["_"]
    options: Any = {"max_new_tokens": 10}
    if made == "love":
        options["bos"] = True
    ((plain,),) = geo.generate(names["model"], names["tokenizer"], [prompt.get(made, "He answered:")], **options)
    assert steered.text != plain.text


def birds_from_the_console(names: Names) -> None:
    assert re.search(r"steered +\S", names["printed"])
    assert "output.15" in names["printed"]


def kept(names: Names) -> None:
    caa = names["caa"]["output.15"].double()
    for loaded in names["again"]:
        torch.testing.assert_close(loaded["output.15"].double(), caa, rtol=1e-5, atol=1e-5)


def dual_steered(names: Names) -> None:
    dual, added = names["dual"], names["added"]
    assert dual.reached.all()
    assert dual.residual.max() <= 1e-4
    assert abs(dual.probability - 0.3).max() < 1e-5
    same = geo.steering.addition_step(
        names["unembedding"], names["states"], target=names["birds"], probe_value=dual.probe_value
    )
    assert (dual.reverse_kl < same.reverse_kl).all()
    same = geo.steering.addition_step(
        names["unembedding"], names["states"], target=names["birds"], expectation=dual.expectation
    )
    assert (same.kl < dual.kl)[same.reached].all()
    assert names["differences"]["reached"]["second"] == added.reached.sum()


def tuned(names: Names) -> None:
    chosen = names["tuned"]
    assert chosen.cost <= 0.5
    assert chosen.effect > 5 * chosen.unsteered.mean()
    assert chosen.passes <= chosen.exhaustive_passes / 10
    assert len(names["_"]) == len(chosen.trials)


def mixed(names: Names) -> None:
    assert names["mixture"].reached.all()
    assert [row[1] for row in names["_"]] == pytest.approx([0.4, 0.6])
    assert names["mixture"].total == pytest.approx(names["mixture"].total_unsteered, rel=1e-3)


def selective(names: Names) -> None:
    effects = names["effects"]
    assert effects.kl.mean() == pytest.approx(0.5, rel=1e-3)
    assert effects.change("self").mean() > effects.change("sibling").mean()
    assert len(effects.to_frame()) == len(names["hierarchy"])


def conditioned(names: Names) -> None:
    assert names["handle"].decisions.tolist() == [True, False]
    prompts = ["Two geese walked up to the", "The bank opens at"]
    unsteered = geo.generate(names["model"], names["tokenizer"], prompts, max_new_tokens=5)
    assert names["generations"][1] == unsteered[1]
    assert names["generations"][0] != unsteered[0]


def raised(names: Names) -> None:
    laws = names["laws"]
    (divergence,) = geo.steering.kl_divergence(laws[1:], laws[:1])
    assert float(names["contributions"].sum()) == pytest.approx(divergence, rel=1e-3)
    assert names["raised"].strip()


def taken_apart(names: Names) -> None:
    assert " than" in dict(names["reading"].promoted)
    assert cosine(names["pruned"]["output.15"], names["vector"]["output.15"]) > 0.7
    assert len(names["components"].shares) >= 1


def without_demonstrations(names: Names) -> None:
    answers = names["found"].answers
    assert answers["zero-shot"].accuracy == 0
    assert answers["residual"].accuracy > answers["random"].accuracy


def erased(names: Names) -> None:
    rows = torch.randn(5, 576, generator=torch.Generator().manual_seed(0))
    once = names["eraser"].erase(rows)
    torch.testing.assert_close(names["eraser"].erase(once), once)
    unsteered = geo.generate(names["model"], names["tokenizer"], ["The robin is a kind of"], max_new_tokens=5)
    assert names["generations"] != unsteered


def searched(names: Names) -> None:
    assert len(names["found"].vectors) == 8
    at_random = [vector.random(1) for vector in names["found"].vectors]
    same = geo.search.later_changes(
        names["model"], names["tokenizer"], at_random, names["prompts"][4:8], names["found"].read_site
    )
    assert names["_"].mean() > same.moved().mean()


def trained(names: Names) -> None:
    assert geo.dictionaries.load_dictionary("sae").n_features == 64
    assert names["training"].dictionary.site == geo.Site("output", 2)


def compared(names: Names) -> None:
    assert list(names["four"].names) == ["animal", "mammal", "bird", "fish"]
    assert {measure.name for measure in names["comparison"]} == {each.name for each in geo.compare.PAIR_MEASURES}


def read(names: Names) -> None:
    states = names["states"]
    assert len(states) == 31
    assert all(rows.shape == (2, 576) for rows in states.values())
    assert torch.equal(names["at_block_15"], states[geo.Site("output", 15)])
    assert names["in_the_unified_space"].shape == (2, 576)


def phrases_at_a_layer(names: Names) -> None:
    assert names["inside"]["output.9"].shape == (1, len(names["phrases"].words), 576)
    existence = names["at_a_layer"]["existence"]
    assert existence.value > existence.nulls["permuted"].mean + 0.1


def other_representations(names: Names) -> None:
    for results in names["of_all"]:
        assert results["separation"].value > results["separation"].nulls["permuted"].mean


def table_of_vectors(names: Names) -> None:
    assert names["array"].shape == (len(names["names"]), 576)
    assert Path("directions.csv").read_text(encoding="utf-8").count("\n") == len(names["names"]) + 1
    assert torch.equal(names["_"], names["directions"]["bird"])


def shown(names: Names) -> None:
    for value in (names["directions"], names["claims"]):
        assert value._repr_html_().count("<tr") > 3
        assert len(repr(value)) < 2000


def repeated(names: Names) -> None:
    assert names["sparse"].max_tokens == 32
    assert not torch.equal(names["sparse"]["animal"], names["directions"]["animal"])
    assert len(names["repeated"]["existence"].nulls["permuted"].values) == 99


MUST_GIVE = {
    "Test concepts of my own from a YAML file": own_words,
    "Use a networkx tree whose leaves are words": graphed,
    "Use a table of parents and children": tabled,
    "Take a part of WordNet": part_of_wordnet,
    "Load a model that lies in a folder, such as a GPT-2 of my own": from_a_folder,
    "Use a model that is already in memory": from_memory,
    "Draw a heatmap into axes of my own": drawn_into_own_axes,
    "Draw the plane of any three concepts": plane_and_simplex,
    "Map the concepts, and walk through the map": mapped,
    "Draw a Mapper graph through a lens of my own": mapper_by_own_lens,
    "Steer with parent + child": steered,
    "Steer at a middle block, from the console": birds_from_the_console,
    "Add the activations of two prompts (ActAdd)": steered,
    "Make a vector from ten pairs of texts (CAA)": steered,
    "Steer between levels of politeness": steered,
    "Keep a vector, for llama.cpp too": kept,
    "Steer the output distribution with the least off-target change": dual_steered,
    "Let site and strength be chosen": tuned,
    "Mix siblings: 40% bird, 60% mammal": mixed,
    "See what steering does to all other concepts": selective,
    "Steer only where a prompt mentions something": conditioned,
    "See which tokens a vector raises": raised,
    "See what a vector and its pairs are made of": taken_apart,
    "Let a vector stand for demonstrations": without_demonstrations,
    "Erase a concept": erased,
    "Find vectors without saying what for": searched,
    "Train a sparse autoencoder of my own": trained,
    "Compare two models on four concepts": compared,
    "Read hidden states at every layer": read,
    "Test a hierarchy of phrases at a middle layer": phrases_at_a_layer,
    "Test any other representation": other_representations,
    "Take the vectors as a table or an array": table_of_vectors,
    "See results in a notebook": shown,
    "Repeat with another seed, size and number of permutations": repeated,
}


@pytest.fixture(scope="module")
def start() -> Iterator[Names]:
    names: Names = {}
    ((_, code),) = FENCE.findall(START)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(geo, "load_model", loaded_once)
        patch.setattr("geometry.cli.steer.load_model", loaded_once)
        exec(compile(code, "how-to.md", "exec", dont_inherit=True), names)  # noqa: S102
        yield names


@pytest.fixture
def names(start: Names, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    monkeypatch.chdir(tmp_path)
    # Nothing opens a window, wherever the tests run.
    with mpl.rc_context({"backend": "agg"}):
        yield dict(start)
        plt.close("all")


def run(code: str, names: Names) -> None:
    """As a cell of a notebook runs: what its last expression gives is `_`, that of a block at its end too."""
    tree = ast.parse(code)
    body = tree.body
    while isinstance(body[-1], ast.With):
        body = body[-1].body
    if isinstance(last := body[-1], ast.Expr):
        body[-1] = ast.copy_location(ast.Assign([ast.Name("_", ast.Store())], last.value), last)
    exec(compile(ast.fix_missing_locations(tree), "how-to.md", "exec"), names)  # noqa: S102


# What a task needs of the tasks before it on the page.
NEEDS = {
    "Draw a heatmap into axes of my own": "Test concepts of my own from a YAML file",
    "See results in a notebook": "Test concepts of my own from a YAML file",
    "Keep a vector, for llama.cpp too": "Make a vector from ten pairs of texts (CAA)",
}


@pytest.mark.parametrize("task", TASKS)
def test_a_task_gives_what_it_promises(task: str, names: Names, capsys: pytest.CaptureFixture[str]) -> None:
    for step in [NEEDS[task], task] if task in NEEDS else [task]:
        for model in re.findall(r"gemma3-270m|my-gpt2", str(TASKS[step])):
            if model == "my-gpt2":
                small_gpt2(Path(model))
            elif not cached_path(CATALOGUE[model]).exists():
                pytest.skip(f"run: concept-geometry fetch {model}")
        for language, code in TASKS[step]:
            if language == "yaml":
                Path(code.splitlines()[0].removeprefix("# ")).write_text(code, encoding="utf-8")
            elif language == "console":
                console(code.strip())
                names["printed"] = capsys.readouterr().out
            else:
                run(code, names)
    MUST_GIVE[task](names)


def small_gpt2(folder: Path) -> None:
    """GPT-2 with its real tokenizer and random weights, as `save_pretrained` leaves it."""
    from transformers import GPT2Config, GPT2LMHeadModel

    tokenizer = CATALOGUE["gpt2-tokenizer"]
    if not cached_path(tokenizer).exists():
        pytest.skip("run: concept-geometry fetch gpt2-tokenizer")
    torch.manual_seed(0)
    GPT2LMHeadModel(GPT2Config(n_layer=1, n_embd=32, n_head=2, n_positions=64)).save_pretrained(folder)
    content = json.loads(cached_path(tokenizer).read_text(encoding="utf-8"))
    (folder / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")


def test_every_task_is_known_and_says_what_it_must_give() -> None:
    assert list(TASKS) == list(MUST_GIVE)
    assert len(TASKS) >= 20


@pytest.mark.parametrize("task", TASKS)
def test_a_task_takes_at_most_five_lines_of_public_names(task: str) -> None:
    code = [text for language, text in TASKS[task] if language in ("python", "console")]
    assert code
    for text in code:
        lines = [line for line in text.splitlines() if line.strip() and not line.startswith(("import", "from"))]
        assert len(lines) <= 5
        assert not re.search(r"(\.|\b)_[a-z]", text.replace("_)", ")"))
        assert not re.search(r"import geometry|from geometry", text)
