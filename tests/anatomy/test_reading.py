"""Readings of vectors: z-scores and cosines by hand, planted concepts found, random vectors found to say nothing."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import geometry as geo
from geometry.anatomy import VectorReading, explain
from geometry.cli.main import main
from geometry.errors import SteeringError
from tests.steering import tiny

WIDTH = 16


@pytest.fixture(scope="module")
def llama() -> Any:
    return tiny.build("llama")


@pytest.fixture(scope="module")
def space(llama: Any) -> geo.CausalSpace:
    vocabulary = geo.Vocabulary([f" w{number}" for number in range(tiny.VOCABULARY)])
    return geo.CausalSpace.fit(geo.Unembedding(llama.lm_head.weight.detach(), vocabulary))


@pytest.fixture(scope="module")
def directions(space: geo.CausalSpace) -> geo.ConceptDirections:
    words = {"thing": range(2, 32), "animal": range(2, 22), "bird": range(2, 10), "fish": range(10, 18)}
    vocabulary = space.unembedding.vocabulary
    made = tuple(
        geo.concepts.Concept.from_words(name, [f"w{i}" for i in ids], vocabulary) for name, ids in words.items()
    )
    parents = {"animal": ("thing",), "bird": ("animal",), "fish": ("animal",)}
    return geo.ConceptDirections.fit(space, geo.ConceptHierarchy("words", made, parents))


def test_z_scores_are_standardised_logit_shifts(space: Any, directions: Any) -> None:
    shift = torch.randn(WIDTH, generator=torch.Generator().manual_seed(3))
    reading = explain(geo.SteeringVector({"after_norm": shift}, "mine"), space, directions, n_tokens=3)
    rows = space.unembedding.rows
    logits = (space.unembedding.matrix[torch.from_numpy(rows)].double() @ shift.double()).numpy()
    z = (logits - logits.mean()) / logits.std()
    order = np.argsort(-z)
    for pairs, places in ((reading.promoted, order[:3]), (reading.suppressed, order[::-1][:3])):
        assert [token for token, _ in pairs] == [space.unembedding.vocabulary.text(int(rows[i])) for i in places]
        np.testing.assert_allclose([value for _, value in pairs], z[places], rtol=1e-4)


def test_before_the_norm_its_weight_is_multiplied_with(llama: Any, space: Any, directions: Any) -> None:
    with torch.no_grad():
        llama.model.norm.weight.copy_(torch.linspace(0.5, 2.0, WIDTH))
    try:
        part = torch.randn(WIDTH, generator=torch.Generator().manual_seed(4))
        inside = geo.SteeringVector({"output.2": part}, "inside")
        after = geo.SteeringVector({"after_norm": part * torch.linspace(0.5, 2.0, WIDTH)}, "after")
        first, second = explain(inside, space, directions, llama), explain(after, space, directions)
        assert [token for token, _ in first.promoted] == [token for token, _ in second.promoted]
        np.testing.assert_allclose([z for _, z in first.promoted], [z for _, z in second.promoted], rtol=1e-4)
        assert "final norm" in first.notes[-1]
    finally:
        with torch.no_grad():
            llama.model.norm.weight.fill_(1.0)


def test_composed_vectors_are_taken_apart_and_random_ones_say_nothing(space: Any, directions: Any) -> None:
    steering = geo.ConceptSteering(space, directions, unit=False)
    reading = explain(2 * steering["bird"] + steering["fish"], space, directions)
    assert reading.decomposition is not None
    weights = dict(zip(reading.decomposition.names, reading.decomposition.coefficients, strict=True))
    assert weights == pytest.approx({"bird": 2.0, "fish": 1.0}, rel=1e-3)
    assert reading.decomposition.residual_share < 1e-6
    assert reading.nearest[0][0] == "bird"
    assert reading.nearest[0][1] > reading.chance_cosine
    found = [explain(steering.random(steering["bird"], seed), space, directions) for seed in range(12)]
    assert sum(bool(each.decomposition and each.decomposition.names) for each in found) <= 4


def test_random_residual_vectors_are_made_of_nothing_whatever_the_norms_weight(
    llama: Any, space: Any, directions: Any
) -> None:
    # One that turns most residual vectors towards one concept.
    atoms, names = directions.vectors.double(), list(directions.hierarchy.names)
    weight = (space.unify_hidden(torch.eye(WIDTH).double()) @ atoms[1]).abs() ** 3
    weight = (weight / weight.mean()).float()
    with torch.no_grad():
        llama.model.norm.weight.copy_(weight)
    try:
        draws = torch.randn((60, WIDTH), generator=torch.Generator().manual_seed(9))
        found = [
            explain(geo.SteeringVector({"output.2": part}), space, directions, llama, seed=seed)
            for seed, part in enumerate(draws)
        ]
    finally:
        with torch.no_grad():
            llama.model.norm.weight.fill_(1.0)
    said = [
        [bool(each.decomposition and each.decomposition.names) for each in found],
        [each.nearest[0][1] > each.chance_cosine for each in found],
        [max(abs(each.promoted[0][1]), abs(each.suppressed[0][1])) > each.chance_z for each in found],
    ]
    assert (np.mean(said, axis=1) <= 0.15).all()  # 5% is the aim
    # Beside isotropic vectors of the unified space far more were said to be made of concepts.
    unified = space.unify_hidden(draws.double() * weight).numpy()
    found_of = [geo.anatomy.decompose(row, atoms.numpy(), names, seed=seed) for seed, row in enumerate(unified)]
    lenient = [bool(each.names) for each in found_of]
    assert np.mean(lenient) > 0.15


def test_a_vector_stands_beside_the_null_that_is_given(space: Any, directions: Any) -> None:
    steering = geo.ConceptSteering(space, directions, unit=False)
    drawn = torch.randn((40, WIDTH), generator=torch.Generator().manual_seed(2)).double()
    part = steering["bird"]["after_norm"].double()
    drawn *= part.norm() / drawn.norm(dim=1, keepdim=True)
    bird = geo.SteeringVector({"after_norm": part + 0.05 * drawn[0]}, "bird")
    alone = explain(bird, space, directions)
    # Where others of its making are nearer still to the concept, it is not made of it.
    beside = explain(bird, space, directions, null=part + 0.01 * drawn)
    assert alone.decomposition is not None
    assert beside.decomposition is not None
    assert alone.decomposition.names[0] == "bird"
    assert beside.decomposition.names == ()
    assert (alone.null, beside.null) == ("random vectors", "vectors without the trait")
    assert beside.to_dict()["null"] == {"of": "vectors without the trait", "n": 40}
    assert "95% of vectors without the trait stay below" in str(beside)
    assert alone.chance_cosine < alone.nearest[0][1] < beside.chance_cosine
    for null in (drawn[:5], drawn[:, :3], drawn * torch.nan):
        with pytest.raises(SteeringError, match="null is finite vectors"):
            explain(bird, space, directions, null=null)


def test_rows_are_read_by_their_mean(space: Any) -> None:
    rows = torch.randn((3, WIDTH), generator=torch.Generator().manual_seed(5))
    several, one = (explain(geo.SteeringVector({"after_norm": part}), space) for part in (rows, rows.mean(dim=0)))
    assert several.promoted == one.promoted
    assert several.decomposition is None
    assert "3 rows" in several.notes[0]


def test_it_prints_and_draws_itself(space: Any, directions: Any) -> None:
    reading = explain(geo.ConceptSteering(space, directions)["bird"], space, directions)
    assert "nearest concepts: bird +1.00" in str(reading)
    assert len(reading.plot().axes) == 3
    assert set(reading.to_dict()["made_of"]["atoms"]) == {"bird"}
    assert isinstance(reading, VectorReading)


def test_refusals(llama: Any, space: Any, directions: Any) -> None:
    ones = torch.ones(WIDTH)
    for vector, says in [
        (geo.SteeringVector({"output.0": ones, "output.1": ones}), "explain one of them"),
        (geo.SteeringVector({"after_norm": torch.ones(8)}), "wide"),
        (geo.SteeringVector({"output.1": ones}), "give explain the model"),
        (geo.SteeringVector({"after_norm": torch.zeros(WIDTH)}), "nothing of it is left"),
    ]:
        with pytest.raises(SteeringError, match=says):
            explain(vector, space, directions)
    with pytest.raises(SteeringError, match=r"output\.99: .* has blocks 0 to 3, no block 99"):
        explain(geo.SteeringVector({"output.99": ones}), space, directions, llama)
    with pytest.raises(SteeringError, match="gpt2"):
        explain(geo.SteeringVector({"output.1": ones}, model="gpt2"), space, directions, llama)


def test_the_console_refuses_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vector = geo.SteeringVector({"output.3": torch.ones(576), "output.5": torch.ones(576)})
    path = geo.save_vector(vector, tmp_path / "v.safetensors")
    for arguments, says in [
        ([str(tmp_path / "nothing.safetensors")], "no such file"),
        ([str(path), "--site", "output.4"], "parts at output.3, output.5"),
        ([str(path), "--save", "picture.bmp"], ".png, .svg or .pdf"),
        ([str(path), "--save", str(tmp_path / "no" / "folder" / "x.png")], "no folder"),
        ([str(path), "--site", "somewhere"], "unknown place"),
    ]:
        assert main(["explain", *arguments]) == 2
        error = capsys.readouterr().err
        assert says in error
        assert error.count("\n") == 1
