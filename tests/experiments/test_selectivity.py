"""The selectivity study: its parts on numbers made by hand, and as a whole on the real model."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import geometry as geo
from geometry.experiments import SelectivityStudy, session
from geometry.experiments.parts import Part
from geometry.experiments.selectivity.dual import DualRun
from geometry.experiments.selectivity.dual_part import DualPart
from geometry.experiments.selectivity.generation import COUNTED, GenerationPart
from geometry.experiments.selectivity.methods import ADDITION, NATS, RANDOM
from geometry.experiments.selectivity.result import SelectivityResult
from geometry.experiments.selectivity.tree_part import TreePart
from geometry.selectivity import ConceptOdds, OutputSelectivity
from geometry.steering import addition_step, dual_step
from tests.selectivity.test_effects import FAMILIES, LAW, LEAVES, planted


def tree_part(tilt: float = 0.7, n_permutations: int = 19) -> TreePart:
    rng, targets = np.random.default_rng(0), list(LEAVES)
    gamma = planted(tilt)[0] + 0.01 * rng.standard_normal((30, 8))
    effects, null = [], []
    for draw in range(n_permutations + 1):
        odds = ConceptOdds.of(FAMILIES).permuted(rng.permutation(24) if draw else np.arange(24))
        shifts = np.stack([gamma[odds.words(FAMILIES.index(name))].mean(axis=0) for name in targets]) @ gamma.T
        found = [OutputSelectivity(odds, targets, LAW).tilted(ADDITION, shifts, nats / 4) for nats in NATS]
        found = [replace(each, nats=nats) for each, nats in zip(found, NATS, strict=True)]
        null.append(found)
    effects = [*null.pop(0), replace(null[0][0], method=RANDOM, nats=NATS[0])]
    return TreePart(hierarchy=FAMILIES, effects=effects, null=null, how={}, seed=0)


def dual_part() -> DualPart:
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn((50, 5), generator=generator, dtype=torch.float64)
    unembedding = geo.Unembedding(matrix, geo.Vocabulary([f" w{i}" for i in range(50)]))
    hidden = np.random.default_rng(1).standard_normal((6, 5))
    run = DualRun(("one", "two"), checks={"residual ≤ 1e-4 ‖νβ‖": [12, 0]}, seconds=1.0)
    for target in (np.arange(7), np.arange(7, 20)):
        given: dict[str, Any] = {"target": target, "probability": 0.4}
        run.dual.append(dual_step(unembedding, hidden, **given))
        run.addition.append(addition_step(unembedding, hidden, **given))
        run.concept.append(addition_step(unembedding, hidden, matrix[target].mean(dim=0), **given))
    return DualPart(run=run, families=[("a", "b", "parent", run.dual[0], run.addition[0])], n_tokens=50)


def generation_part() -> GenerationPart:
    shares = np.random.default_rng(0).uniform(0, 0.1, (2, len(COUNTED), 6))
    counts = {("unsteered", 0.0): shares, ("random direction", 2.0): shares}
    counts |= {("addition", nats): shares + np.array([nats / 4, 0, 0, 0])[None, :, None] for nats in NATS}
    counts["random direction", 0.5] = shares
    return GenerationPart(targets=("a.n.01", "b.n.01"), counts=counts, samples={"unsteered": "I saw a"}, seed=0)


@pytest.mark.parametrize("part", [tree_part(), dual_part(), generation_part()], ids=["tree", "dual", "generation"])
def test_every_part_says_draws_and_tabulates_what_it_found(part: Part) -> None:
    assert all(sentence.endswith(".") for sentence in part.summary())
    for spec in part.figures():
        assert spec.figure().axes
    for table in part.tables():
        assert all(len(row) == len(table.head) for row in table.rows)
    assert part.to_dict()
    assert all(np.asarray(values).size for values in part.arrays().values())


def test_titles_and_sentences_follow_the_numbers() -> None:
    grown, few, flat = tree_part(), tree_part(n_permutations=3), tree_part(tilt=0.0)
    assert "Side effects grow with closeness" in grown.summary()[1]
    assert "more than with permuted lemmas" in grown.figures()[0].title
    assert "too few permutations to decide" in few.figures()[0].title
    assert "do not significantly grow" in flat.summary()[1]
    assert "no more apart than with permuted lemmas" in flat.figures()[0].title
    dual = dual_part()
    difference = dual.values("off_target_kl") - dual.values("off_target_kl", "addition")
    assert dual.differences["off_target_kl"]["mean"] == pytest.approx(np.nanmean(difference))
    both = np.array([one.reached & two.reached for one, two in zip(dual.run.dual, dual.run.addition, strict=True)])
    np.testing.assert_array_equal(np.isfinite(difference), both)
    dual.run.checks["residual ≤ 1e-4 ‖νβ‖"][1] = 2
    assert "fails on 2" in dual.summary()[3]
    written = generation_part().to_dict()["counts"]
    more = written["addition at 2 nats"]["self"]["mean"] - written["unsteered"]["self"]["mean"]
    assert more == pytest.approx(0.5)


def test_a_result_is_all_of_its_parts_and_says_what_was_left_out() -> None:
    parts: dict[str, Part] = {"dual": dual_part(), "generation": generation_part()}
    result = SelectivityResult(
        study=SelectivityStudy(), targets=("a",), prompts=("I",), parts=parts, taken={"dual": 1.23},
        left_out={"prompting": "no words"},
    )  # fmt: skip
    assert [spec.name for spec in result.figures()] == ["dual", "generation"]
    assert result.summary()[-1] == "Not measured: prompting, no words."
    assert {"dual", "generation", "cpu_seconds"} <= set(result.to_dict())
    assert len(result.tables()) == sum(len(part.tables()) for part in parts.values())


@pytest.mark.long
def test_the_study_on_the_real_model(smollm2_model: Any, tmp_path: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "load_model", lambda *_, **__: smollm2_model)
        study = SelectivityStudy(
            n_concepts=12, n_permutations=19, n_dual=2, n_forward=2, n_prompts=6, n_completions=4, n_tokens=1000
        )
        result = study.run()
    assert not result.left_out
    tree, dual = result.parts["tree"], result.parts["dual"]
    assert isinstance(tree, TreePart)
    assert isinstance(dual, DualPart)
    for effects in tree.effects:
        if effects.nats is not None and effects.method != "mean difference at a block":
            reached = np.isfinite(effects.kl)
            np.testing.assert_allclose(effects.kl.mean(where=reached), effects.nats, rtol=0.02)
    assert tree.tests[0].p == pytest.approx(0.05)  # siblings move with their kin
    own = {effects.method: effects.change("self").mean() for effects in tree.effects if effects.nats in (None, 0.5)}
    assert own[ADDITION] > own[RANDOM] + 1
    assert own["ablation"] < 0 < own["prompting"]
    assert all(of > 0 and not fails for of, fails in dual.run.checks.values())
    folder = result.write(tmp_path / "out")
    assert {"by_relation.png", "by_distance.png", "matrix.png", "dual.png", "generation.png", "results.json"} <= {
        path.name for path in folder.iterdir()
    }
