"""The study of searched vectors: whole on a tiny model; the real model in the long tier."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest

import geometry as geo
from geometry.errors import EstimationError, GeometryError, SteeringError
from geometry.experiments import SearchStudy, session
from geometry.experiments.search.concepts import ConceptsPart
from geometry.experiments.search.held_out import HeldOutPart
from geometry.experiments.search.kinds import FILTERED, RANDOM, REVERSED, SEARCHED, SHUFFLED
from geometry.experiments.search.labels import (
    AGREEMENT,
    BY_VECTOR,
    CHANGE,
    COSINE,
    FACTORS,
    HELD_OUT,
    KEPT,
    KL_HELD_OUT,
    ON_PROMPTS,
    SPREAD,
)  # fmt: skip
from geometry.experiments.search.laws import LawReader, agreement
from geometry.experiments.search.measure import measure_with
from geometry.experiments.search.norms import NormsPart
from geometry.experiments.search.result import SearchResult
from geometry.experiments.search.setup import Bench
from geometry.experiments.search.stability import StabilityPart
from geometry.experiments.search.texts import TextsPart
from geometry.experiments.study import Step
from geometry.search import later_changes
from tests.experiments import block_steering_worlds as worlds
from tests.steering import tiny

PROMPTS = [f"w{number} w{number + 1} w{62 - number}" for number in range(2, 18)]


@pytest.fixture(scope="module")
def bench() -> Bench:
    world = worlds.world(turned=True)
    study = SearchStudy(n_vectors=3, n_steps=6, n_searches=2, n_prompts=2, n_held_out=6, n_random=12)
    model = tiny.build("llama")
    sites = geo.Site.parse("output.0"), geo.Site.parse("output.3")
    texts = tuple(PROMPTS[:2]), tuple(PROMPTS[2:8]), tuple(PROMPTS[8:10]), tuple(PROMPTS[10:])
    return Bench(study, model, tiny.tokenizer(), world.causal.unembedding, world.directions.hierarchy, *sites, *texts)


@pytest.fixture(scope="module")
def result(bench: Bench) -> SearchResult:
    return measure_with(bench, Step())


def part(result: SearchResult, name: str) -> Any:
    return result.parts[name]


def test_it_measures_on_prompts_that_vectors_were_not_searched_on(bench: Bench, result: SearchResult) -> None:
    held_out: HeldOutPart = part(result, "held out")
    found = held_out.found
    assert set(held_out.found.prompts).isdisjoint(bench.held_out)
    changes = later_changes(bench.model, bench.tokenizer, found.vectors, bench.held_out, "output.3")
    np.testing.assert_allclose(held_out.measured[HELD_OUT][SEARCHED], changes.moved())
    np.testing.assert_allclose(held_out.measured[ON_PROMPTS][SEARCHED], found.change, rtol=1e-4)
    laws = geo.steering.next_token_laws(bench.model, bench.tokenizer, bench.held_out)
    steered = geo.steering.next_token_laws(bench.model, bench.tokenizer, bench.held_out, -found[1], positions="last")
    expected = geo.steering.kl_divergence(steered, laws)
    np.testing.assert_allclose(held_out.measured[KL_HELD_OUT][REVERSED][1], expected, rtol=1e-3, atol=1e-5)
    assert held_out.mean(ON_PROMPTS, SEARCHED) > held_out.mean(ON_PROMPTS, FILTERED) > held_out.mean(ON_PROMPTS, RANDOM)
    assert SHUFFLED in held_out.coordinates


def test_norms_are_swept_around_the_whole(bench: Bench, result: SearchResult) -> None:
    norms: NormsPart = part(result, "norms")
    measured = norms.measured[SEARCHED]
    np.testing.assert_allclose(measured[COSINE][FACTORS.index(1.0)], 1, rtol=1e-6)
    half = [0.5 * vector for vector in part(result, "held out").found]
    changes = later_changes(bench.model, bench.tokenizer, half, bench.held_out, "output.3")
    np.testing.assert_allclose(measured[CHANGE][FACTORS.index(0.5)], changes.moved())
    np.testing.assert_allclose(measured[KEPT], 1)  # 16 of its 16 coordinates
    assert (measured[CHANGE][-1] > measured[CHANGE][0]).all()


def test_log_odds_are_those_of_the_concepts_words(bench: Bench) -> None:
    vector = tiny.vector("output.0", size=0.5)
    read = LawReader(bench, bench.held_out).at([vector])
    texts = [*bench.held_out, *bench.held_out]
    laws = geo.steering.next_token_laws(
        bench.model, bench.tokenizer, texts, [None] * 6 + [vector] * 6, positions="last"
    ).exp()
    inside = laws[:, list(bench.hierarchy["fish"].tokens)].sum(dim=1).double().numpy()
    odds = np.log(inside / (1 - inside))
    where = bench.hierarchy.names.index("fish")
    np.testing.assert_allclose(read.odds[0, :, where], odds[6:] - odds[:6], rtol=1e-3, atol=1e-4)


def test_agreement_is_a_correlation_with_all_other_prompts() -> None:
    rng = np.random.default_rng(0)
    odds, reference = rng.standard_normal((2, 4, 9)), rng.standard_normal((2, 4, 9))
    expected = np.corrcoef(odds[1, 2], np.delete(reference[1], 2, axis=0).mean(axis=0))[0, 1]
    assert agreement(odds, reference)[1, 2] == pytest.approx(expected)


def test_concepts_are_compared_at_equal_kl(result: SearchResult) -> None:
    concepts: ConceptsPart = part(result, "concepts")
    for kind, read in concepts.read.items():
        reached = concepts.reached(kind)
        np.testing.assert_allclose(read.kl[reached].mean(axis=1), 0.5, rtol=0.03)
    random = concepts.read[RANDOM].profile[concepts.reached(RANDOM)]
    first = (random[0] - random[1:].mean(axis=0)) / random[1:].std(axis=0, ddof=1)
    np.testing.assert_allclose(concepts.z[RANDOM][0], first)
    own = concepts.read[SEARCHED]
    np.testing.assert_allclose(concepts.statistics[SEARCHED][SPREAD], own.odds.mean(axis=1).std(axis=1))
    assert np.abs(concepts.statistics[SEARCHED][AGREEMENT]).max() <= 1


def test_searches_are_compared_with_each_other_alone(result: SearchResult) -> None:
    stability: StabilityPart = part(result, "stability")
    matrix = stability.alike[SEARCHED][BY_VECTOR]
    np.testing.assert_allclose(matrix[:3, :3], np.eye(3), atol=1e-6)
    best = np.concatenate([matrix[:3, 3:].max(axis=1), matrix[3:, :3].max(axis=1)])
    np.testing.assert_allclose(stability.best(SEARCHED, BY_VECTOR), best)
    np.testing.assert_allclose(stability.overlap[SEARCHED], [np.square(matrix[:3, 3:]).sum() / 3])


def test_clusters_are_named_by_what_their_vectors_do_to_concepts(result: SearchResult) -> None:
    stability: StabilityPart = part(result, "stability")
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((6, 4))
    planted = noise[rng.permutation(6)] + 5.0 * np.array([0, 1, -1, 0])
    apart = np.eye(6) + np.kron(np.eye(2), np.ones((3, 3)) - np.eye(3)) * 0.9
    one = replace(
        stability,
        alike={kind: dict.fromkeys(by, apart) for kind, by in stability.alike.items()},
        profiles={SEARCHED: planted, FILTERED: noise}, names=("none", "up", "down", "nothing"),
    )  # fmt: skip
    first, second = one.named()
    for vectors, searches, concepts, largest, null in (first, second):
        assert (vectors, searches) == (3, 1)
        assert concepts.startswith("+ up")
        assert "− down" in concepts
        assert largest > 2 * null
    unreached = replace(one, profiles={SEARCHED: np.full((6, 4), np.nan), FILTERED: noise})
    assert [named[2] for named in unreached.named()] == ["–", "–"]


def test_it_says_what_was_found_and_draws_it(result: SearchResult) -> None:
    assert result.left_out == {}
    said = "\n".join(result.summary())
    for piece in ("3 orthogonal vectors", "held-out", "filtered random", "of every search", "if it were linear"):
        assert piece in said
    specs = result.figures()
    assert [spec.name for spec in specs] == ["held_out", "objective", "norms", "concepts", "coherence", "stability"]
    assert len({spec.title for spec in specs}) == 6
    drawn = {spec.name: spec.figure().axes for spec in specs}
    stability: StabilityPart = part(result, "stability")
    assert len(drawn["stability"][0].get_yticklabels()) == len(stability.search)
    norms: NormsPart = part(result, "norms")
    assert all(
        [norms.norm] * 2 in [np.asarray(line.get_xdata()).tolist() for line in axes.lines] for axes in drawn["norms"]
    )
    plt.close("all")
    for table in result.tables():
        assert all(len(row) == len(table.head) for row in table.rows)
    assert result.to_dict()["held out"]["seed"] == 0
    assert np.shape(result.arrays()["norms/searched/change"]) == (5, 3, 6)
    json.dumps(result.document([], {}))


def test_generated_text_is_escaped_on_its_page() -> None:
    written = TextsPart(prompts=("a <b> c",), texts={"unsteered": ("<script>x</script>",)}, seed=3)
    page = written.page()
    assert "<script>x" not in page
    assert "&lt;script&gt;x" in page
    assert "seed 3" in page
    assert "n = 1" in page


def test_bad_settings_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    for options, says in (({"norm": 0.0}, "norm: a positive"), ({"norm": float("nan")}, "norm"),
                          ({"penalty": -0.1}, "penalty"), ({"n_vectors": 1}, "n_vectors")):  # fmt: skip
        with pytest.raises(EstimationError, match=says):
            SearchStudy(**options)
    few = tmp_path / "few.json"
    few.write_text('{"prompts": {"beginnings": ["a", "b"], "texts": ["a b"]}}')
    twice = tmp_path / "twice.json"
    twice.write_text(json.dumps({"prompts": {"beginnings": [*map(str, range(19)), "3"], "texts": ["a b"]}}))
    for options, says in (({"prompts": str(few)}, "2 beginnings, 20 are needed"), ({"site": "nowhere"}, "nowhere"),
                          ({"prompts": str(twice)}, "'3' is there twice"),
                          ({"neutral": "neutral"}, "would undo the search")):  # fmt: skip
        with pytest.raises(SteeringError, match=says), pytest.MonkeyPatch.context() as patch:
            patch.setattr(session.Session, "unembedding", lambda *_: pytest.fail("the unembedding was read"))
            SearchStudy(**options).run()
    with pytest.raises(GeometryError):
        SearchStudy(model="glove-6b-100d").run()


@pytest.mark.long
def test_on_the_real_model_searched_vectors_change_held_out_prompts_more(smollm2_model: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "load_model", lambda _, **__: smollm2_model)
        found = SearchStudy(n_vectors=2, n_steps=25, n_searches=2, n_held_out=6, n_random=9).run()
    held_out: HeldOutPart = part(found, "held out")
    assert held_out.less_random(HELD_OUT, SEARCHED)["interval"][0] > 0
