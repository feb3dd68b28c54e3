"""The study of erasure: planted concepts that go and stay, parts on numbers made by hand, and the whole on a model."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import geometry as geo
from geometry.errors import EstimationError
from geometry.experiments import ErasureStudy
from geometry.experiments.erasure.behaviour import ABOUT, ASKED, COSTED, KINDS, BehaviourPart, held_out
from geometry.experiments.erasure.downstream import CONDITIONS, Downstream
from geometry.experiments.erasure.kinds import KindsPart
from geometry.experiments.erasure.methods import ERASURE, MEAN, METHODS, PERMUTED, RANDOM, by_method
from geometry.experiments.erasure.probes import aucs, both_ways, linear, neighbours
from geometry.experiments.erasure.removal import RemovalPart
from geometry.experiments.erasure.result import ErasureResult
from geometry.experiments.erasure.setup import Bench, Target, _looked_for, divided
from geometry.experiments.erasure.sweep import NEAREST, Sweep, swept
from geometry.experiments.erasure.tree import TreePart
from geometry.experiments.study import Step
from geometry.selectivity import RELATIONS, TreeRelations

D, EACH = 16, 70
LEAVES = ("crow", "owl", "cod", "eel")


def planted() -> Bench:
    """Two families of two leaves; each concept lies along an axis of its own."""
    words = {leaf: [f"{leaf} {n}x" for n in range(EACH)] for leaf in LEAVES}
    tree = {"bird": {"crow": words["crow"], "owl": words["owl"]}, "fish": {"cod": words["cod"], "eel": words["eel"]}}
    phrases = [word for leaf in LEAVES for word in words[leaf]]
    hierarchy = geo.load_hierarchy(tree, geo.concepts.AnyPhrase())
    hierarchy = hierarchy.over(geo.Vocabulary([f" {phrase}" for phrase in phrases]))
    rng = np.random.default_rng(0)
    samples = 2 + rng.standard_normal((2, len(phrases), D)) + 0.3 * rng.standard_normal((len(phrases), D))
    for axis, name in enumerate(hierarchy.names):
        samples[:, [phrases.index(word) for word in hierarchy[name].words], axis] += 3
    kept, members, parts = _looked_for(hierarchy, 0)
    study, model = ErasureStudy(n_controls=1), SimpleNamespace(config=SimpleNamespace(model_type="llama"))
    owl, bird = kept.index("owl"), kept.index("bird")
    targets = (Target("owl", np.array([owl])), Target("bird", np.array([bird, kept.index("crow"), owl])))
    return Bench(
        study, model, None, geo.Site("output", 1), geo.layers.Contexts("c", ("{}",)), kept, tuple(phrases),  # type: ignore[arg-type]
        samples.astype(np.float32), members, *parts, targets=targets,
    )  # fmt: skip


@pytest.fixture(scope="module")
def bench() -> Bench:
    return planted()


@pytest.fixture(scope="module")
def sweep(bench: Bench) -> Sweep:
    return swept(bench, Step())


def test_no_last_word_stands_in_two_parts() -> None:
    words = tuple(f"{first} {last}" for first in "ab" for last in map(str, range(100)))
    parts = divided(words, 0)
    assert sorted(np.concatenate(parts).tolist()) == list(range(200))
    assert [len(part) for part in parts] == [100, 50, 50]
    ends = [{words[row].split()[-1] for row in part} for part in parts]
    assert len(set.union(*ends)) == sum(map(len, ends))


def test_aucs_and_neighbours_by_hand() -> None:
    members = np.array([[1, 0], [0, 0], [1, 0], [0, 0]], dtype=bool)
    found = aucs(np.array([[0.9, 0], [0.1, 0], [0.5, 0], [0.5, 0]]), members)
    assert found[0] == pytest.approx((2 + 1.5) / 4)
    assert np.isnan(found[1])
    points = np.array([[0.0], [0.1], [5.0], [5.1]] * 10, dtype=np.float32)
    labels = np.array([[1], [1], [0], [0]] * 10, dtype=bool)
    np.testing.assert_allclose(neighbours(points, labels, points[:4])[:, 0], [1, 1, 0, 0])
    rows = np.arange(40)
    assert both_ways(points, labels, rows[:20], rows[20:], neighbours)[0] == 1
    assert both_ways(points, labels, rows[:20], rows[20:], linear)[0] == 1


def test_methods_are_of_one_rank_and_permuted_labels_are_real_ones_exchanged(bench: Bench) -> None:
    for target, rank in zip(bench.targets, (1, 2), strict=True):  # bird is crow and owl together
        made = dict(by_method(bench, target))
        assert list(made) == list(METHODS)
        assert {eraser.rank for name, eraser in made.items() if name != PERMUTED} == {rank}
        assert made[PERMUTED].rank == rank
        states = bench.samples[:, bench.fitted].reshape(-1, D)
        np.testing.assert_allclose(made[MEAN].erase(states).mean(0), states.mean(0), atol=1e-5)


def test_what_is_erased_goes_and_what_is_unrelated_stays(bench: Bench, sweep: Sweep) -> None:
    owl, bird, crow, cod = map(bench.hierarchy.index, ("owl", "bird", "crow", "cod"))
    assert sweep.covariance.max() < 1e-6
    assert sweep.before.min() > 0.95
    assert sweep.linear[ERASURE][0, owl] < 0.75 < 0.9 < sweep.linear[RANDOM][0, owl]
    assert sweep.linear[PERMUTED][0, owl] > 0.9
    assert sweep.linear[ERASURE][0, cod] > 0.9
    assert max(sweep.linear[ERASURE][1, [owl, crow, bird]]) < 0.75
    assert sweep.linear[ERASURE][1, cod] > 0.9
    # Of its contrast nearly all is gone, of one that the parts share little of.
    assert sweep.contrast[ERASURE][0, owl] > 0.9
    assert abs(sweep.contrast[PERMUTED][0, owl]) < 0.2
    assert sweep.by_count[0].mean() > sweep.by_count[-1].mean()
    assert sweep.counts == tuple(round(len(bench.fitted) * part) for part in (1 / 8, 1 / 4, 1 / 2, 1))


def removal(bench: Bench, sweep: Sweep, downstream: bool = True) -> RemovalPart:
    sites = tuple(map(geo.Site.parse, ("output.1", "output.5")))
    auc = {name: np.array([[0.6 + 0.1 * n, 0.7 + 0.1 * n]] * 5) for n, name in enumerate(CONDITIONS)}
    down = Downstream(sites, ("owl", "crow", "cod", "eel", "x"), auc) if downstream else None
    return RemovalPart(site="output.1", targets=bench.targets, sweep=sweep, downstream=down, sizes=(9, 5, 5), seed=0)


def test_the_removal_says_what_is_left_and_rebuilt(bench: Bench, sweep: Sweep) -> None:
    part = removal(bench, sweep)
    owl = bench.hierarchy.index("owl")
    assert part.before()[0] == sweep.before[owl]
    assert part.after(ERASURE)[1] == pytest.approx(sweep.linear[ERASURE][1, bench.targets[1].columns].mean())
    np.testing.assert_allclose(part.rebuilt(), 0.1)
    assert "+0.10 [+0.10, +0.10]" in part.summary()[-1]
    both = part.figures()
    assert "by +0.100 [+0.100, +0.100] (nothing erased +0.100)" in both[1].title
    assert "The more words" in both[1].title
    for spec in both:
        assert spec.figure().axes
    assert removal(bench, sweep, downstream=False).rebuilt() is None
    assert len(removal(bench, sweep, downstream=False).summary()) == 3
    assert set(part.to_dict()["linear"]) == {"before", *METHODS}
    assert set(part.to_dict()["nearest"]) == {"before", *NEAREST}


def test_the_tree_takes_all_that_was_erased_for_the_target_itself(bench: Bench, sweep: Sweep) -> None:
    part = TreePart(targets=bench.targets, relations=TreeRelations.of(bench.hierarchy), sweep=sweep)
    owl, bird, crow = map(bench.hierarchy.index, ("owl", "bird", "crow"))
    assert part.places(bench.targets[0], "sibling").tolist() == [crow]
    assert part.places(bench.targets[0], "parent").tolist() == [bird]
    assert sorted(part.places(bench.targets[1], "self").tolist()) == sorted([owl, bird, crow])
    assert not len(part.places(bench.targets[1], "child"))
    assert part.change(ERASURE, "self")[0] == pytest.approx(sweep.linear[ERASURE][0, owl] - sweep.before[owl])
    assert "unrelated" in part.summary()[0]
    assert part.figures()[0].figure().axes
    assert part.to_dict()["subtrees"]["auc"][ERASURE]["child"]["mean"] is None


def behaviour() -> BehaviourPart:
    rng = np.random.default_rng(1)
    change: Any = {
        kind: {method: {name: rng.normal(-(method == ERASURE), 0.1, 6) for name in RELATIONS} for method in ASKED}
        for kind in KINDS
    }
    change[ABOUT][RANDOM]["child"] = np.full(6, np.nan)
    kl = {kind: {method: rng.random(6) for method in ASKED} for kind in KINDS}
    names = [f"c{n}" for n in range(6)]
    return BehaviourPart(
        targets=names, prompts={ABOUT: 3, "neutral": 4}, change=change, kl=kl, ratio={m: rng.random(6) for m in COSTED}
    )


def kinds() -> KindsPart:
    before, after = np.array([0.8, 0.6, 0.7]), np.array([[0.2, 0.6, 0.7], [0.8, 0.1, 0.5], [0.8, 0.6, 0.1]])
    kin = np.array([[False, False, False], [False, False, True], [False, True, False]])
    return KindsPart(
        names=["a", "b", "c"], before=before, after=after, random=np.tile(before, (3, 1)), odds=np.diag([-2.0, -1, -3]),
        random_odds=np.zeros((3, 3)), kin=kin, words=[8, 8, 7],
    )  # fmt: skip


def test_behaviour_and_kinds_say_their_numbers_beside_their_controls() -> None:
    said = behaviour()
    assert "after prompts about the concept leace changes" in said.summary()[0].lower()
    assert "permuted labels" in said.summary()[0]
    assert said.figures()[0].figure().axes
    assert said.tables()[0].rows[3][2] == "–"
    asked = kinds()
    np.testing.assert_allclose(asked.own, [-0.6, -0.5, -0.6])
    np.testing.assert_allclose(asked.others(), [0, -0.1, 0])
    np.testing.assert_allclose(asked.others(True), [np.nan, -0.2, 0])
    assert "70% of held-out words (chance 33%)" in asked.summary()[0]
    assert "change by -2.00 [-3.00, -1.00] nats" in asked.summary()[1]
    assert "−2.00 [−3.00, −1.00] nats on its own words" in asked.figures()[0].title
    assert "log-odds" in asked.figures()[0].figure().axes[0].get_xlabel()
    assert "7 to 8 words judge each" in asked.figures()[0].caption


def test_words_that_were_fitted_are_no_judges_in_any_form() -> None:
    words = {
        "bird": ["crow", "Crows", "owl", "gull", "tern", "rook", "kite"],
        "fish": ["cod", "eel", "ray", "perch", "pike"],
        "tool": ["saw", "axe", "adze", "file", "drill"],
    }
    vocabulary = geo.Vocabulary([f" {word}" for own in words.values() for word in own])
    hierarchy = geo.load_hierarchy({"thing": words}, vocabulary)
    left = held_out(hierarchy, ["carrion crow", "saw", "Polar bear"])
    assert set(left["bird"].words) == {"owl", "gull", "tern", "rook", "kite"}
    assert "tool" not in left.names
    assert set(left["thing"].words) >= {"adze", "pike"}
    with pytest.raises(EstimationError, match="where 3 are needed"):
        held_out(hierarchy, ["saw", "owl", "gull", "tern", "cod"])


def test_bad_sites_and_small_hierarchies_are_refused_before_the_model_is_loaded() -> None:
    for site, message in (
        ("after_norm", "must be at a block"),
        ("mlp.2", "can be read, not steered"),
        ("x", "no site|unknown"),
    ):
        with pytest.raises(geo.GeometryError, match=message):
            ErasureStudy(model="stories15m", site=site).run()


@pytest.mark.long
def test_the_whole_study_runs_and_gives_the_same_again() -> None:
    study = ErasureStudy(
        model="stories15m", n_concepts=40, words_per_concept=24, n_erased=4, n_subtrees=1, n_contexts=1, n_controls=1,
        n_downstream=2, n_kinds=3, n_prompts=4,
    )  # fmt: skip
    result = study.run()
    assert isinstance(result, ErasureResult)
    assert set(result.parts) == {"removal", "tree", "behaviour", "kinds"}, result.left_out
    assert result.parts["removal"].sweep.covariance.max() < 1e-6  # type: ignore[attr-defined]
    assert len(result.figures()) == 5
    assert len({spec.title for spec in result.figures()}) == 5
    assert study.run().to_dict()["removal"] == result.to_dict()["removal"]
