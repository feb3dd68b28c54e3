"""The study of layers: what is planted in a model is found, files are there, sentences agree with numbers."""

import json
from typing import Any

import numpy as np
import pytest

import geometry as geo
from analysis import layers
from geometry.errors import GeometryError
from geometry.experiments import LayersStudy
from geometry.experiments.layers.by_block import ClaimByBlock, claims_by_block
from geometry.experiments.layers.depth import DepthOrder
from geometry.experiments.layers.result import LayersResult
from geometry.results import Results, TestResult
from geometry.steering import Site

SITES = [Site("input", 0), *(Site("output", block) for block in range(4))]
SMALL: dict[str, Any] = {
    "model": "stories15m", "hierarchy": "organisms", "n_concepts": 15, "words_per_concept": 12, "n_contexts": 2,
    "n_permutations": 19, "n_twins": 2, "n_twin_blocks": 2, "every": 5, "beside": ("metrics", "held-out", "tree"),
}  # fmt: skip


@pytest.fixture(scope="module")
def result() -> LayersResult:
    found = LayersStudy(**SMALL).run()
    assert isinstance(found, LayersResult)
    return found


@pytest.fixture(scope="module")
def content(result: LayersResult, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = result.write(tmp_path_factory.mktemp("out") / "layers")
    assert {path.stem for path in folder.glob("*.png")} == {spec.name for spec in result.figures()}
    read: dict[str, Any] = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return read


def test_every_claim_stands_at_every_site_beside_its_null(result: LayersResult, content: dict[str, Any]) -> None:
    assert [str(site) for site in result.sites] == ["input.0", "output.0", "output.5"]
    assert list(content["results"]["sites"]) == list(result.tests)
    for claim in result.claims.values():
        assert len(claim.values) == 3
        for test in claim.tests.values():
            assert test.nulls["permuted"].values.shape[0] == 19
        assert claim.twins()[0].tolist() == [1, 6]
    assert content["command"].startswith("concept-geometry run layers stories15m --hierarchy organisms")


def test_real_words_are_there_after_blocks_and_more_than_at_the_embedding(result: LayersResult) -> None:
    existence = result.claims["existence"]
    assert (existence.values[1:] > existence.nulls[1:] + 0.1).all()
    assert existence.sharpest != Site("input", 0)


def test_other_metrics_contexts_and_lemmas_stand_beside(result: LayersResult) -> None:
    assert set(result.metrics) == {"euclidean", "causal", "fisher"}
    assert all(len(values) == 2 for values in result.held_out_context.values())
    assert set(result.of_the_tree) >= {"leave_one_lemma_out", "spectral_order", "depth_probe", "distance_probe"}
    lemma = result.of_the_tree["leave_one_lemma_out"]
    assert lemma.values[-1] > lemma.nulls[-1] + 0.05


@pytest.mark.long
def test_the_claims_alone_are_what_they_are_with_all_beside_them(result: LayersResult) -> None:
    alone = LayersStudy(**SMALL | {"beside": ("none",)}).run()
    assert isinstance(alone, LayersResult)
    for name, claim in result.claims.items():
        np.testing.assert_array_equal(alone.claims[name].values, claim.values)
        np.testing.assert_array_equal(alone.claims[name].nulls, claim.nulls)
    assert not alone.metrics
    assert not alone.held_out_context


def by_block(values: list[float], null: float = 0.0, n_permutations: int = 99) -> ClaimByBlock:
    rng = np.random.default_rng(0)
    labels = tuple("abcdef")
    tests = {
        site: Results(
            [
                TestResult(
                    name="existence", labels=labels, values=np.full(6, value), measure="projection, held out",
                    nulls={"permuted": null + 0.01 * rng.standard_normal((n_permutations, 6))},
                )
            ]
        )
        for site, value in zip(SITES, values, strict=True)
    }  # fmt: skip
    return claims_by_block(tests, None)["existence"]


def test_where_a_claim_appears_and_is_sharpest() -> None:
    claim = by_block([0.0, 0.4, 0.75, 0.8, 0.5])
    assert (claim.appears, claim.sharpest) == (Site("output", 1), Site("output", 2))
    nothing = by_block([0.0] * 5)
    assert nothing.appears is None
    few = by_block([0.0, 0.4, 0.75, 0.8, 0.5], n_permutations=3)
    assert few.appears is None


def test_coarse_before_fine_is_told_where_it_is_planted_and_not_where_it_is_not() -> None:
    words = {f"leaf{n}": [f"word{n} {m}" for m in range(4)] for n in range(54)}
    parents = {f"leaf{n}": (f"twig{n // 3}",) for n in range(54)} | {
        f"twig{n}": (f"branch{n // 3}",) for n in range(18)
    }
    parents |= {f"branch{n}": ("root",) for n in range(6)}
    words |= {f"twig{n}": [] for n in range(18)} | {f"branch{n}": [] for n in range(6)} | {"root": []}
    hierarchy = geo.concepts.hierarchy_from_words("toy", words, parents, geo.concepts.AnyPhrase(), forms="none")
    rng = np.random.default_rng(0)

    def planted(onset: Any) -> DepthOrder:
        tests = {
            site: Results(
                [
                    TestResult(
                        name="existence",
                        labels=hierarchy.names,
                        values=np.where(place >= onset(hierarchy.depths), 0.8, 0.0) + 0.01 * rng.random(len(hierarchy)),
                        nulls={"permuted": 0.01 * rng.standard_normal((99, len(hierarchy)))},
                    )
                ]
            )
            for place, site in enumerate(SITES)
        }
        return DepthOrder.of(claims_by_block(tests, None)["existence"], hierarchy)

    coarse_first = planted(lambda depths: 1 + depths)
    assert coarse_first.slope == pytest.approx(1, abs=0.1)
    assert coarse_first.p_value < 0.05
    assert coarse_first.interval[0] > 0
    anyhow = planted(lambda depths: 1 + rng.permutation(np.arange(len(depths)) % 3))
    assert anyhow.p_value > 0.05
    assert coarse_first.appears.keys() == {1, 2, 3}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"claims": ("exists",)}, "no claim is called 'exists'"),
        ({"claims": ()}, "at least one claim"),
        ({"beside": ("everything",)}, "beside must be of"),
        ({"contexts": "I saw a bird"}, "I saw a bird"),
        ({"metric": "cosine"}, "metric must be one of"),
        ({"model": "glove-6b-100d"}, "word vectors"),
        ({"hierarchy": "nowhere.yaml"}, "nowhere.yaml"),
    ],
    ids=["claim", "no claims", "beside", "contexts", "metric", "word vectors", "hierarchy"],
)
def test_bad_options_are_refused_before_the_model_is_loaded(
    options: dict[str, Any], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("geometry.experiments.session.load_model", lambda *_, **__: pytest.fail("it was loaded"))
    with pytest.raises(GeometryError, match=says):
        LayersStudy(**SMALL | options).run()


def test_the_script_names_what_appears_first(capsys: pytest.CaptureFixture[str], result: LayersResult) -> None:
    class Done(LayersStudy):
        def run(self, *_: Any) -> LayersResult:  # type: ignore[override]
            return result

    layers.main(Done(**SMALL))
    assert "existence: level 1 after" in capsys.readouterr().out
