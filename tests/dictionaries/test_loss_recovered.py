"""The loss with the residual stream replaced, against a model's own calls; components against a decomposition."""

from typing import Any

import numpy as np
import pytest
import torch

import geometry as geo
from geometry.dictionaries import measure, principal_components, replacement_losses
from tests.steering import tiny

TEXTS = [tiny.text(tiny.tokens(length, seed=length)) for length in (6, 9, 2, 9, 12)]
SITE = "output.1"
SHIFT = torch.linspace(-2, 2, tiny.WIDTH)


def by_hand(model: Any, text: str, change: Any) -> tuple[float, torch.Tensor]:
    """Summed −log p of the tokens after the second, and the laws that they have, one text at a time."""
    ids = tiny.tokenizer()(text, return_tensors="pt")["input_ids"]

    def hook(_: Any, __: Any, output: Any) -> Any:
        whole = output[0] if isinstance(output, tuple) else output
        new = torch.cat([whole[:, :1], change(whole[:, 1:])], dim=1)
        return (new, *output[1:]) if isinstance(output, tuple) else new

    handle = tiny.blocks(model)[1].register_forward_hook(hook)
    with torch.no_grad():
        law = model(input_ids=ids).logits[0, 1:-1].double().log_softmax(dim=1)
    handle.remove()
    return -float(law[torch.arange(len(law)), ids[0, 2:]].sum()), law


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_losses_are_those_of_hooks_by_hand(name: str) -> None:
    model = tiny.build(name)
    replacements: dict[str, Any] = {
        "same": lambda rows: rows, "shifted": lambda rows: rows + SHIFT, "zero": torch.zeros_like
    }  # fmt: skip
    found = replacement_losses(model, tiny.tokenizer(), SITE, TEXTS, replacements)
    used = [text for text in TEXTS if len(text.split()) > 2]
    assert found.tokens.tolist() == [len(text.split()) - 2 for text in used]
    plain = [by_hand(model, text, lambda rows: rows) for text in used]
    np.testing.assert_allclose(found.losses["unsteered"], [loss for loss, _ in plain], rtol=1e-4)
    np.testing.assert_allclose(found.losses["same"], found.losses["unsteered"])
    for key in ("shifted", "zero"):
        changed = [by_hand(model, text, replacements[key]) for text in used]
        np.testing.assert_allclose(found.losses[key], [loss for loss, _ in changed], rtol=1e-4)
        kl = [float((law.exp() * (law - before)).sum()) for (_, law), (_, before) in zip(changed, plain, strict=True)]
        np.testing.assert_allclose(found.kl[key], kl, rtol=1e-3)
    total = {key: values.sum() for key, values in found.losses.items()}
    value, (low, high) = found.recovered("shifted", ablated="zero")
    assert value == pytest.approx((total["zero"] - total["shifted"]) / (total["zero"] - total["unsteered"]))
    assert low <= value <= high
    assert found.recovered("same", ablated="zero")[0] == 1
    assert found.loss("zero")[0] == pytest.approx(total["zero"] / found.tokens.sum())
    assert found.divergence("same")[0] == 0


def test_rows_beyond_the_bound_stay_as_they_are() -> None:
    model = tiny.build("llama")
    zero: dict[str, Any] = {"zero": torch.zeros_like}
    found = replacement_losses(model, tiny.tokenizer(), SITE, TEXTS, zero, largest=1e-3)
    np.testing.assert_array_equal(found.losses["zero"], found.losses["unsteered"])
    bound = 1.05 * float(geo.dictionaries.read_tokens(model, tiny.tokenizer(), TEXTS, SITE).rows.norm(dim=1).median())
    some = replacement_losses(model, tiny.tokenizer(), SITE, TEXTS[1:2], zero, largest=bound).losses["zero"]
    expected = by_hand(
        model, TEXTS[1], lambda rows: torch.where(rows.norm(dim=2, keepdim=True) > bound, rows, torch.zeros_like(rows))
    )[0]
    np.testing.assert_allclose(some, [expected], rtol=1e-4)


def test_refusals() -> None:
    model, tokenizer = tiny.build("llama"), tiny.tokenizer()
    for texts, replacements, says in [
        (TEXTS, {}, "name what replaces"),
        (TEXTS, {"unsteered": torch.zeros_like}, "name what replaces"),
        (["w3 w4"], {"zero": torch.zeros_like}, "three tokens"),
        (TEXTS, {"less": lambda rows: rows[1:]}, "makes rows of shape"),
    ]:
        with pytest.raises(geo.errors.SteeringError, match=says):
            replacement_losses(model, tokenizer, SITE, texts, replacements)  # type: ignore[arg-type]
    with (
        geo.steer(model, tiny.vector(SITE), positions="all"),
        pytest.raises(geo.errors.SteeringError, match="before steering"),
    ):
        replacement_losses(model, tokenizer, SITE, TEXTS, {"zero": torch.zeros_like})


def test_components_are_those_of_a_singular_value_decomposition() -> None:
    rng = np.random.default_rng(3)
    rows = rng.standard_normal((300, 12)) @ rng.standard_normal((12, 12)) + 4
    basis = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)[2][:3]
    found = principal_components(rows, 3, site="output.1")
    expected = rows.mean(axis=0) + (rows - rows.mean(axis=0)) @ basis.T @ basis
    np.testing.assert_allclose(found.reconstruct(rows).numpy(), expected, atol=1e-3)
    quality = measure(found, rows)
    singular = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False) ** 2
    assert quality.explained_variance == pytest.approx(singular[:3].sum() / singular.sum(), abs=1e-4)
    assert (quality.l0, found.site) == (3, geo.Site("output", 1))
    for given, k in [(rows, 13), (rows, 0), (rows[:1], 1), (np.where(rows > 9, np.nan, rows), 2)]:
        with pytest.raises(geo.errors.EstimationError):
            principal_components(given, k)
