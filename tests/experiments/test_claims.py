"""The study of claims: what it measures and writes, its figures and words, and what it says of bad input."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import save_file

import geometry as geo
from geometry.evidence.verdicts import verdict_word
from geometry.experiments import ClaimsStudy, StudyResult
from geometry.experiments.claims.result import ClaimsResult
from geometry.models import CATALOGUE, cached_path
from tests.experiments.scripts import nonsense
from tests.models.checkpoints import TOKENS, write_tokenizer

ROOT = Path(__file__).parents[2]
CLAIMS = {claim.name for claim in geo.CLAIMS}
PAGES = {name for name in CLAIMS if name != "existence" and not name.startswith("orthogonality")}
ALWAYS = {"overview", "existence", "orthogonality", "products", "heatmap"}
ALL = ALWAYS | PAGES | {"planes", "simplex", "logit-changes", "shapes", "composition", "contrasts"}
ALL |= {"series-claims"}
KEYS = {"claim", "hierarchy", "title", "value", "interval", "nulls", "n", "alternative", "predicted"}
KEYS |= {"n_permutations", "p_value", "p_adjusted", "verdict", "differences"}
WIDTH = 24


def write_model(folder: Path, rows: torch.Tensor, tokens: list[str]) -> Path:
    folder.mkdir(parents=True)
    save_file({"lm_head.weight": rows}, folder / "model.safetensors")
    write_tokenizer(folder, tokens)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model that has all words of the packaged data, each class of organisms around a centre of its own."""
    rng = np.random.default_rng(5)
    read = {
        name: yaml.safe_load((ROOT / "data" / f"{name}.yaml").read_text())
        for name in ("hierarchies/organisms", "values/series", "pairs/contrasts")
    }
    concepts = read["hierarchies/organisms"]["concepts"]
    words: dict[str, np.ndarray] = {}
    centres: dict[str, np.ndarray] = {}
    for name, entry in concepts.items():
        above = [centres[parent] for parent in entry.get("parents", [])]
        centres[name] = sum(above, np.zeros(WIDTH)) + 1.5 * rng.standard_normal(WIDTH)
        words |= {form: centres[name] for word in entry["words"] for form in (word, word.capitalize())}
    for entry in read["values/series"]["sets"].values():
        for own in entry["values"].values():
            words |= {word: np.zeros(WIDTH) for word in own}
    for pairs in read["pairs/contrasts"]["pairs"].values():
        words |= {word: np.zeros(WIDTH) for pair in pairs for word in pair}
    words = {word: centre for word, centre in words.items() if " " not in word}
    fillers = [f"w{number}" for number in range(400)]
    tokens = ["<unk>", "</s>", *(f"Ġ{word}" for word in (*words, *fillers))]
    means = np.stack([np.zeros(WIDTH)] * 2 + list(words.values()) + [np.zeros(WIDTH)] * len(fillers))
    rows = torch.from_numpy((means + rng.standard_normal(means.shape)).astype(np.float32))
    return write_model(tmp_path_factory.mktemp("planted") / "planted", rows, tokens)


def run(model: Path, hierarchy: Path | str = "organisms", **options: Any) -> ClaimsResult:
    options = {"n_permutations": 3, "n_twins": 2, "control": "none"} | options
    result = ClaimsStudy(model=str(model), hierarchies=(str(hierarchy),), **options).run()
    assert isinstance(result, ClaimsResult)
    return result


@pytest.fixture(scope="module")
def result(model: Path) -> ClaimsResult:
    return run(model)


@pytest.fixture(scope="module")
def folder(result: ClaimsResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return result.write(tmp_path_factory.mktemp("out") / "claims")


@pytest.fixture(scope="module")
def document(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


def entry(document: dict[str, Any], claim: str, hierarchy: str) -> dict[str, Any]:
    (one,) = [
        entry for entry in document["results"]["claims"] if (entry["claim"], entry["hierarchy"]) == (claim, hierarchy)
    ]
    return one


def test_there_is_an_overview_and_a_figure_for_each_claim(folder: Path, document: dict[str, Any]) -> None:
    expected = {f"{name}.{ending}" for name in ALL for ending in ("png", "svg")}
    assert {path.name for path in folder.iterdir()} == expected | {"results.json", "results.npz"}
    assert document["figures"][0]["name"] == "overview"


def test_titles_and_captions_are_short(result: ClaimsResult) -> None:
    for spec in result.figures():
        assert len(spec.title) <= 140, spec.title
        assert len(spec.caption) <= 380, (spec.name, len(spec.caption))


def test_the_document_says_what_was_measured_and_how(document: dict[str, Any], model: Path) -> None:
    assert document["analysis"] == "claims"
    assert document["model"]["width"] == WIDTH
    assert len(document["model"]["sha256"]) == 64
    assert document["settings"] == {
        "seed": 0,
        "device": "cpu",
        "dtype": "mixed",
        "hierarchies": ["organisms"],
        "recipe": "published",
        "n_permutations": 3,
        "n_twins": 2,
        "control": "none",
    }
    options = "--hierarchies organisms --n-permutations 3 --n-twins 2 --control none"
    assert document["command"] == f"concept-geometry run claims {model} {options}"
    assert document["results"]["max_tokens"] == geo.evidence.MAX_TOKENS
    assert document["seconds"] > 0


def test_every_claim_stands_beside_its_nulls(document: dict[str, Any]) -> None:
    entries = document["results"]["claims"]
    for one in entries:
        assert set(one) >= KEYS
        assert verdict_word(one["verdict"]) in geo.evidence.VERDICTS
        assert one["nulls"]
        assert one["n_permutations"].keys() == one["nulls"].keys()
    assert {one["claim"] for one in entries if one["hierarchy"] == "organisms"} == CLAIMS
    assert {"composition", "contrast", "shape-circle", "shape-simplex"} <= {one["claim"] for one in entries}


def test_p_values_are_adjusted_over_the_whole_run(document: dict[str, Any]) -> None:
    entries = document["results"]["claims"]
    groups = [[one for one in entries if one["p_value"] is not None and (one["hierarchy"] == "organisms") is about]
              for about in (True, False)]  # fmt: skip
    # Angles have none where no permutation has a reproducible edge.
    assert len(groups[0]) in (len(CLAIMS) - 5, len(CLAIMS) - 4)
    assert len(groups[1]) == 13
    # Those on hierarchies together, and those on series and pairs together.
    for group in groups:
        adjusted = geo.significance.adjusted_p_values([one["p_value"] for one in group])
        np.testing.assert_allclose([one["p_adjusted"] for one in group], adjusted)


def test_claims_on_hierarchies_stand_beside_their_twins(document: dict[str, Any]) -> None:
    for one in (one for one in document["results"]["claims"] if one["hierarchy"] == "organisms"):
        assert one["twin"].keys() == {"exact", "tilted"}
        assert one["power"]["of"] == 2
        assert "standing" in one
        if one["claim"].startswith("orthogonality"):
            assert {"value", "interval", "bound_that_holds", "unrelated", "by_estimator"} <= one["debiased"].keys()
            assert one["published"]["value"] != one["value"]
            # Of 15 concepts no claim has eight families.
            assert re.fullmatch(r"not measurable \(needs at least 8 families, has [0-3]\)", one["verdict"])
            continue
        assert "debiased" not in one
        assert "published" not in one
        for name, difference in one["differences"].items():
            assert name in one["nulls"]
            assert difference.keys() == {"value", "interval"}
    assert document["results"]["n_twins"] == 2


def test_what_is_planted_is_found_and_stated_once(document: dict[str, Any]) -> None:
    existence = entry(document, "existence", "organisms")
    assert existence["value"] > 0.5 > abs(existence["nulls"]["shuffled"])
    assert existence["value"] > existence["nulls"]["permuted"]
    about = document["results"]["hierarchies"]["organisms"]
    per_concept = [one["held_out_projection"] for one in about["per_concept"].values()]
    assert np.nanmean([np.nan if value is None else value for value in per_concept]) == pytest.approx(
        existence["value"]
    )
    assert {"permuted", "gaussian", "random_subset"} <= about["besides"]["projection_token"]["nulls"].keys()
    assert about["lemmas"] < about["tokens"]
    separation = entry(document, "separation", "organisms")
    assert separation["value"] > separation["nulls"]["random_subset"]


def test_figures_and_tables_give_the_numbers_of_the_results(result: ClaimsResult) -> None:
    existence = result.claims["existence"]
    (figure,) = [spec for spec in result.figures() if spec.name == "existence"]
    assert f"{existence.value:.2f}" in figure.title
    on_hierarchy, on_orthogonality, products, on_series, besides, legend = result.tables()
    cosines = [test for test in result.claims if isinstance(test, geo.evidence.OrthogonalityResult)]
    others = [test for test in result.claims if test not in cosines]
    assert [row[1] for row in on_orthogonality.rows] == [test.verdict for test in cosines]
    assert len(products.rows) == sum(test.measured for test in result.claims)
    of_splits = [row for row in besides.rows if "instead of" in row[0] or "held-out" in row[0]]
    assert len(of_splits) == 3
    assert all("–" not in row for row in of_splits)
    assert f"{existence.value:.3f}" in on_hierarchy.rows[0][2]
    assert [row[1] for row in on_hierarchy.rows] == [test.verdict for test in others]
    assert len([row for row in on_series.rows if row[0].endswith("is one direction")]) == len(result.contrasts)
    seen = {verdict_word(test.verdict) for test in (*result.claims, *result.series_claims)}
    assert {row[0] for row in legend.rows} == seen
    assert 3 <= len(result.summary()) <= 8
    assert result.simplex is not None
    (figure,) = [spec for spec in result.figures() if spec.name == "simplex"]
    null = geo.plots.signed(f"{result.simplex.tests['membership'].nulls['shuffled'].mean:.2f}")
    panels = figure.figure().axes
    assert null in figure.title
    assert any(f"accuracy {null}" in axes.get_title(loc="left") + axes.get_title() for axes in panels)


def test_the_arrays_are_those_of_the_report(folder: Path, document: dict[str, Any], result: ClaimsResult) -> None:
    with np.load(folder / "results.npz", allow_pickle=False) as arrays:
        for name in ("existence", "separation", "quartets"):
            values = arrays[f"organisms.{name}:values"]
            assert np.nanmean(values) == pytest.approx(entry(document, name, "organisms")["value"])
            assert len(arrays[f"organisms.{name}:labels"]) == len(values)
            assert len(arrays[f"organisms.{name}:permuted"]) == 3
            assert len(arrays[f"organisms.{name}:exact_twin"]) == 2
        pairs = document["results"]["logit_changes"]["organisms"]["pairs"]
        assert np.isfinite(arrays["organisms.logit_changes:parent"]).all(axis=1).sum() >= pairs
        assert arrays["organisms.cosines:model"].shape == (len(result.hierarchies["organisms"]),) * 2


def test_a_run_is_repeated_bit_for_bit_and_another_seed_is_not(result: ClaimsResult, model: Path) -> None:
    again, other = run(model), run(model, seed=1)
    assert again.to_dict() == result.to_dict() or str(again.to_dict()) == str(result.to_dict())
    for name, array in result.arrays().items():
        np.testing.assert_array_equal(np.asarray(array), np.asarray(again.arrays()[name]), err_msg=name)
    assert other.claims["existence"].value != result.claims["existence"].value


def test_numbers_depend_on_hash_seed_and_threads_by_rounding_alone(
    result: ClaimsResult, model: Path, tmp_path: Path
) -> None:
    code = "from geometry.experiments import ClaimsStudy; import numpy as np, sys; arrays = ClaimsStudy("
    code += "model=sys.argv[1], hierarchies=['organisms'], n_permutations=3, n_twins=2, control='none').run().arrays()"
    code += "; np.savez(sys.argv[2], **arrays)"
    environment = {**os.environ, "PYTHONHASHSEED": "2", "OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}
    environment["OMP_WAIT_POLICY"] = "passive"  # threads that spin while they wait take the processors of other tests
    command = [sys.executable, "-c", code, str(model), str(tmp_path / "results.npz")]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    expected = result.arrays()
    with np.load(tmp_path / "results.npz") as arrays:
        assert set(arrays.files) == set(expected)
        for name in arrays.files:
            if arrays[name].dtype.kind == "U":
                assert np.array_equal(arrays[name], expected[name])
            else:
                np.testing.assert_allclose(arrays[name], expected[name], rtol=1e-5, atol=1e-7, err_msg=name)


def test_quick_and_full_differ_in_permutations_and_twins_alone(result: ClaimsResult, model: Path) -> None:
    assert ClaimsStudy.full.keys() == {"n_permutations", "n_twins"}
    assert ClaimsStudy.quick.keys() <= ClaimsStudy.full.keys()
    more = run(model, n_permutations=5, n_twins=3)
    for test, same in zip(result.claims, more.claims, strict=True):
        assert test.value == pytest.approx(same.value, nan_ok=True)
        np.testing.assert_array_equal(*(one.twin["exact"][:2] for one in (test, same)))
        if test.name.startswith("orthogonality"):
            continue
        np.testing.assert_array_equal(*(one.nulls["permuted"].means[:3] for one in (test, same)))


def test_a_null_of_ones_own_is_in_every_figure(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def reversed_rows(space: Any, cloud: Any, rng: Any) -> Any:
        return cloud.moved(cloud.points.flip(0))

    monkeypatch.setitem(geo.NULLS, "mine", geo.NullModel(reversed_rows, "reversed rows", "*", random=False))
    result = run(model, n_permutations=1)
    for spec in result.figures():
        if spec.name in {"overview", "existence", "separation"}:
            figure = spec.figure()
            texts = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
            texts += [label.get_text() for axes in figure.axes for label in axes.get_yticklabels()]
            texts += [
                text.get_text() for axes in figure.axes if (legend := axes.get_legend()) for text in legend.get_texts()
            ]
            assert any("reversed rows" in text.replace("\n", " ") for text in texts), spec.name
    assert "mine" in result.to_dict()["claims"][0]["nulls"]


def own_hierarchy(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


ANIMALS = (
    "concepts:\n  animal: {words: [animal, beast]}\n"
    "  mammal: {parents: [animal], words: [dog, cat, horse, cow, pig, sheep, goat, lion, tiger, bear]}\n"
    "  bird: {parents: [animal], words: [duck, goose, hen, eagle, hawk, owl, crow, parrot, pigeon]}\n"
)


def test_small_hierarchies_list_what_they_cannot_show(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fowl = "  fowl: {parents: [bird], words: [hen]}\n  poultry: {parents: [fowl], words: [hen]}\n"
    own = own_hierarchy(tmp_path / "own.yaml", f"name: odd\n{ANIMALS}{fowl}")
    result = run(model, own, n_permutations=1)
    about = result.to_dict()["hierarchies"]["odd"]
    assert "'poultry'" in about["notes"][0]
    assert "exactly the words of its parent 'fowl'" in about["notes"][0]
    assert "single value, fowl" in about["skipped"]["bird"]
    assert "forms of one lemma" in about["skipped"]["fowl"]
    assert result.claims["quartets"].verdict.startswith("not measurable (needs at least 1 quartet of concepts")
    specs = {spec.name: spec for spec in result.figures()}
    assert "quartets" not in specs
    specs["overview"].figure()
    specs["heatmap"].figure()
    monkeypatch.setattr(ClaimsResult, "figures", lambda _: [])
    written = result.write(tmp_path / "out")
    document = json.loads((written / "results.json").read_text(encoding="utf-8"))
    assert entry(document, "quartets", "odd")["value"] is None
    assert entry(document, "tree-correlation-disjoint", "odd")["value"] is None


def test_several_hierarchies_stand_beside_each_other(model: Path, tmp_path: Path) -> None:
    own = own_hierarchy(tmp_path / "own.yaml", f"name: two levels\n{ANIMALS}")
    study = ClaimsStudy(
        model=str(model), hierarchies=("organisms", str(own)), n_permutations=1, n_twins=2, control="none"
    )
    result = study.run()
    assert isinstance(result, ClaimsResult)
    assert [table.title for table in result.tables()][:4] == [
        "Claims on organisms", "Orthogonality on organisms", "Claims on two levels", "Orthogonality on two levels"
    ]  # fmt: skip
    pages = {spec.name: spec for spec in result.figures()}
    pages["separation"].figure()
    assert {"organisms", "two levels"} <= {test.subject for test in result.claims}
    with pytest.raises(geo.errors.EstimationError, match="organisms, two levels"):
        result.claims["existence"]


def test_a_vocabulary_without_the_words_says_so_and_goes_on(tmp_path: Path) -> None:
    model, own = nonsense(tmp_path, words=400, beside=("monday",))
    result = run(model, own, n_permutations=1)
    assert {"composition", "animal classes", "male – female", "planes", "simplex"} <= set(result.skipped)
    assert "1 of its values have a token" in result.skipped["weekdays"]
    written = result.write(tmp_path / "out")
    assert json.loads((written / "results.json").read_text())["results"]["composition"] is None
    assert {path.stem for path in written.glob("*.png")} >= ALWAYS
    assert not {path.stem for path in written.glob("*.png")} & {"shapes", "composition", "planes", "simplex"}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("concepts: {a: {parents: [b], words: [dog]}, b: {parents: [a], words: [cat]}}", "has a cycle"),
        ("concepts: {a: {words: [qwrtpx, xptrwq]}, b: {words: [dog, cat, cow]}}", "none of the words of 'a'"),
        ("concepts: {a: {words: [dog]}, a: {words: [cat]}}", "duplicate entry 'a'"),
        ("concepts: {a: {words: [dog, cat]}, b: {parents: [a], words: [hen]}}", "no claim can be measured"),
        ("concepts: !!python/object/apply:os.system ['exit 1']", "bad.yaml"),
        ("- not\n- a mapping", "bad.yaml"),
    ],
)
def test_a_bad_hierarchy_is_refused(model: Path, tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(geo.GeometryError, match=complaint):
        run(model, own_hierarchy(tmp_path / "bad.yaml", text), n_permutations=1)


def test_two_hierarchies_of_one_name_are_refused(model: Path, tmp_path: Path) -> None:
    same = tuple(str(own_hierarchy(tmp_path / f"{n}.yaml", f"name: twin\n{ANIMALS}")) for n in range(2))
    with pytest.raises(geo.GeometryError, match="two of the hierarchies have the name 'twin'"):
        ClaimsStudy(model=str(model), hierarchies=same, n_permutations=1).run()


def nan_rows() -> torch.Tensor:
    rows = torch.randn(len(TOKENS), 8)
    rows[2] = torch.nan
    return rows


@pytest.mark.parametrize(
    ("tensors", "complaint"),
    [
        ({"lm_head.weight": nan_rows()}, "NaN"),
        ({"layer.weight": torch.zeros(2, 2)}, "no unembedding"),
        ({"lm_head.weight": torch.randn(len(TOKENS), 8)}, "no synset has 51 words"),
    ],
)
def test_a_bad_model_is_refused(tmp_path: Path, tensors: dict[str, torch.Tensor], complaint: str) -> None:
    save_file(tensors, tmp_path / "model.safetensors")
    write_tokenizer(tmp_path)
    with pytest.raises(geo.GeometryError, match=complaint):
        ClaimsStudy(model=str(tmp_path)).run()


def test_damaged_weights_are_refused(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tokenizer(tmp_path)
    whole = (model / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[:-5])
    with pytest.raises(geo.GeometryError, match="corrupt or truncated"):
        run(tmp_path)
    (tmp_path / CATALOGUE["smollm2-135m"].filename).write_bytes(whole)
    monkeypatch.setenv("CONCEPT_GEOMETRY_CACHE", str(tmp_path))
    with pytest.raises(geo.GeometryError, match="sha256"):
        run(Path("smollm2-135m"))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"n_permutations": 0}, "n_permutations must be a whole number of at least 1"),
        ({"seed": -1}, "seed"),
        ({"n_twins": 1}, "n_twins must be a whole number of at least 2"),
        ({"recipe": "own"}, "recipe must be one of published, complete"),
        ({"hierarchies": ()}, "at least one hierarchy"),
        ({"hierarchies": ("no-such",)}, "no-such"),
        ({"model": "no/such/model/at-all"}, "no/such/model"),
    ],
)
def test_bad_options_are_refused(model: Path, options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(geo.GeometryError, match=complaint):
        ClaimsStudy(**{"model": str(model), "hierarchies": ("organisms",), "control": "none"} | options).run()


def script(arguments: list[str]) -> int:
    import analysis.claims as claims

    return geo.cli.script(ClaimsStudy, claims.main, claims.__doc__, arguments)


def test_the_script_writes_what_the_study_measures(
    model: Path,
    tmp_path: Path,
    document: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "out"
    monkeypatch.setattr(ClaimsResult, "figures", lambda _: [])  # drawn once in another test
    options = ["--n-permutations", "3", "--n-twins", "2", "--control", "none", "--out", str(out)]
    assert script([str(model), "--hierarchies", "organisms", *options]) == 0
    written = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert written["results"] == document["results"]
    assert document["summary"][0] in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--hierarchies", "no-such"], "no-such"),
        (["--n-permutations", "0"], "at least 1"),
        (["--recipe", "own"], "--recipe"),
        (["--what"], "--what"),
    ],
)
def test_bad_input_is_one_line_status_2_and_no_trace(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    try:
        status = script([str(model), *arguments, "--out", str(tmp_path / "out" / "deep")])
    except SystemExit as refused:  # of arguments
        status = int(refused.code or 0)
    said = capsys.readouterr().err
    assert status == 2
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert complaint in said
    assert not (tmp_path / "out").exists()


def test_an_unwritable_folder_is_refused_before_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert script(["does-not-matter.gguf", "--out", str(tmp_path / "file" / "out")]) == 2
    assert "cannot write results there" in capsys.readouterr().err


def test_results_that_fail_to_be_written_leave_the_folder_as_it_was(
    result: ClaimsResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "results.json").write_text("before")
    monkeypatch.setattr(StudyResult, "document", lambda *_: {"not": object()})
    monkeypatch.setattr(ClaimsResult, "figures", lambda _: [])
    with pytest.raises(TypeError):
        result.write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]
    assert (tmp_path / "results.json").read_text() == "before"


def test_numbers_on_smollm2() -> None:
    result = run(Path("smollm2-135m"))
    existence = result.claims["existence"]
    assert existence.value > existence.nulls["random_subset"].mean + 0.1 > 0.5
    assert existence.p_value == 1 / 4
    assert existence.standing == pytest.approx(1, abs=0.4)
    assert result.simplex is not None
    accuracy = result.simplex.tests["membership"]
    assert accuracy.value == pytest.approx(0.87, abs=0.02)
    assert accuracy.nulls["shuffled"].mean == pytest.approx(0, abs=0.1)
    assert result.planes is not None
    assert result.planes.tests["projection"].value == pytest.approx(0.81, abs=0.02)
    shapes = result.shapes
    assert [shapes[name].preferred for name in ("weekdays", "months", "ordinals")] == ["circle", "circle", "line"]
    assert "line" in shapes["months"].rivals
    composition = result.composition
    assert composition is not None
    assert composition.value > composition.nulls["shuffled_positions"].mean + 0.2
    details = composition.to_dict()
    assert details["ranks"]["months: april"] == 1
    assert details["by_series"]["months"] > details["by_series"]["weekdays"]
    contrast = result.contrasts.about("positive – comparative")[0]
    assert contrast.value > contrast.nulls["shuffled_partners"].mean > contrast.nulls["sign_flip"].mean


@pytest.mark.long
def test_numbers_on_the_verbs_of_smollm2() -> None:
    result = run(Path("smollm2-135m"), "wordnet-verb", n_permutations=19)
    claims = result.claims
    existence = claims["existence"]
    assert existence.value == pytest.approx(0.44, abs=0.03)
    assert existence.nulls["random_subset"].mean == pytest.approx(0.29, abs=0.04)
    assert abs(existence.nulls["shuffled"].mean) < 0.02
    assert existence.nulls["shuffled"].mean < existence.nulls["permuted"].mean < existence.value
    assert existence.p_value == 1 / 20
    assert result.beside["wordnet-verb"]["projection_token"].value == pytest.approx(0.82, abs=0.02)
    orthogonality = claims["orthogonality-a"]
    published = orthogonality.related["published"].absolute()
    assert published.value == pytest.approx(0.027, abs=0.01)
    assert published.nulls["random_parent"].mean > 0.5
    assert verdict_word(orthogonality.verdict) in ("contradicted", "inconclusive")
    assert orthogonality.value > orthogonality.ends[1]
    assert result.shapes["letters"].preferred == "simplex"
    logits = result.to_dict()["logit_changes"]["wordnet-verb"]
    assert logits["parent"]["mean"] > 3 * logits["child"]["mean_absolute"] > 0


@pytest.mark.long
def test_numbers_on_the_nouns_of_smollm2() -> None:
    result = run(Path("smollm2-135m"), "wordnet-noun", n_permutations=1)
    about = result.to_dict()["hierarchies"]["wordnet-noun"]
    assert 400 <= about["concepts"] <= 407
    assert about["edges"] >= about["concepts"] - 1
    assert "bird.n.01" in about["per_concept"]
    beside = result.beside["wordnet-noun"]
    expected = {"existence": 0.53, "separation": 0.795, "tree-correlation": 0.34, "tree-correlation-disjoint": 0.18}
    for name, value in expected.items():
        assert result.claims[name].value == pytest.approx(value, abs=0.02), name
    assert beside["projection_token"].value == pytest.approx(0.75, abs=0.02)
    # What belonging to the parent alone gives, in part by its lemmas on both sides of a token split.
    assert result.claims["existence"].nulls["random_subset"].mean == pytest.approx(0.37, abs=0.03)
    for name, value, subset in (("separation", 0.78, 0.50), ("separation_token", 0.89, 0.72)):
        assert beside[name].value == pytest.approx(value, abs=0.02)
        assert beside[name].nulls["random_subset"].mean == pytest.approx(subset, abs=0.03)
    published = result.claims["orthogonality-a"].related["published"].absolute()
    assert 0.04 <= published.value <= 0.06
    assert 0.03 <= published.nulls["random_subset"].mean <= 0.06 < published.nulls["random_parent"].mean
    names = ("existence", "separation", "membership", "tree-correlation-disjoint", "quartets")
    assert result.claims["orthogonality-a"].verdict == "contradicted"
    assert_readme_states([result.claims[name] for name in names])


def assert_readme_states(tests: list[geo.results.TestResult]) -> None:
    """The README holds these tests beside permutations, exact twins and random subsets, a row each."""
    measured = []
    for test in tests:
        beside = [test.nulls["random_subset"].mean] if "random_subset" in test.nulls else []
        measured.append([test.value, test.nulls["permuted"].mean, test.ends[1], *beside])
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("## What SmolLM2-135M shows")[1].split("##")[0]
    rows = [line.replace("\\|", "").split("|")[2:6] for line in section.splitlines() if line.startswith("| ")][1:]
    stated = [[float(cell.replace("\N{MINUS SIGN}", "-")) for cell in row if cell.strip()] for row in rows]
    assert [len(row) for row in stated] == [len(row) for row in measured]
    for said, found in zip(stated, measured, strict=True):
        np.testing.assert_allclose(said, found, atol=0.025)


@pytest.mark.long
@pytest.mark.skipif(
    not cached_path(CATALOGUE["gemma3-270m"]).exists(), reason="run: concept-geometry fetch gemma3-270m"
)
def test_gemma_end_to_end(tmp_path: Path) -> None:
    result = run(Path("gemma3-270m"), n_permutations=1)
    assert result.model is not None
    assert (result.model["family"], result.model["vocabulary"], result.model["width"]) == ("gemma3", 262144, 640)
    assert result.model["rows_left_out"] > 6000
    assert len(result.hierarchies["organisms"]) == 15
    assert result.beside["organisms"]["separation"].value > 0.8
