"""Metrics pulled back through the model, beside Jacobians by brute force and KL divergences."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import geometry as geo
from geometry.layers import PulledBackMetrics
from geometry.layers import pulled_back_metrics as module
from tests.steering import families, tiny

TOKENS = 24
IDS = tiny.tokens(3, TOKENS, seed=5)
TEXTS = [tiny.text(row) for row in IDS]
KINDS = ["llama", "gpt2", "gemma2"]


def unembedding(model: Any) -> geo.Unembedding:
    matrix = model.get_output_embeddings().weight.detach().float().clone()
    return geo.Unembedding(matrix, geo.Vocabulary([f"Ġw{number}" for number in range(len(matrix))]), "tiny")


def measured(model: Any, sites: list[str], texts: list[str] = TEXTS, **options: Any) -> PulledBackMetrics:
    space = geo.CausalSpace.fit(unembedding(model))
    return PulledBackMetrics.of(model, tiny.tokenizer(), space, sites=sites, texts=texts, progress=False, **options)


def place(model: Any, site: str) -> nn.Module:
    kind, block = site.split(".")
    found = tiny.blocks(model)[int(block)]
    if kind == "output":
        return found
    return found.mlp if kind == "mlp" else (found.attn if hasattr(found, "attn") else found.self_attn)


def moved(model: Any, ids: torch.Tensor, site: str) -> Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]:
    """What the last token's final hidden state and logits are with a step added at the last token of a site."""

    def run(step: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        final: list[torch.Tensor] = []

        def add(_: nn.Module, __: Any, output: Any) -> Any:
            residual = output[0] if isinstance(output, tuple) else output
            new = torch.cat([residual[:, :-1], residual[:, -1:] + step], dim=1)
            return (new, *output[1:]) if isinstance(output, tuple) else new

        hooks = [
            place(model, site).register_forward_hook(add),
            tiny.final_norm(model).register_forward_hook(lambda *seen: final.append(seen[-1])),
        ]
        try:
            logits = model(input_ids=ids[None], use_cache=False).logits[0, -1]
        finally:
            for hook in hooks:
                hook.remove()
        return final[0][0, -1], logits

    return run


def jacobians(model: Any, site: str, which: int = 0) -> list[torch.Tensor]:
    """∂λ/∂h, or of 1 ∂logits/∂h, at the last token of every text."""
    zero = torch.zeros(tiny.WIDTH, dtype=next(model.parameters()).dtype)
    return [
        torch.autograd.functional.jacobian(lambda step, ids=ids: moved(model, ids, site)(step)[which], zero).double()
        for ids in IDS
    ]


def laws(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=IDS, use_cache=False).logits[:, -1].double().softmax(dim=1)


def every_axis(space: geo.CausalSpace, count: int, _: object) -> Callable[[], torch.Tensor]:
    """In the place of random draws a complete set of them, one after the other: their mean uuᵀ is Σ."""
    axes = iter(torch.eye(space.width, dtype=torch.float64) * space.width**0.5)
    return lambda: (next(axes) @ space.colourer).expand(count, -1)


def quantiles() -> Callable[..., torch.Tensor]:
    """In the place of random tokens one quantile of the law of each text after the other."""
    levels = iter([(0.5 + number * 0.6180339887498949) % 1 for number in range(1000)])

    def draw(law: torch.Tensor, _: int, **__: Any) -> torch.Tensor:
        level = torch.full((len(law), 1), next(levels), dtype=law.dtype)
        return torch.searchsorted(law.cumsum(dim=1), level).clamp(max=law.shape[1] - 1)

    return draw


@pytest.mark.parametrize("kind", KINDS)
def test_the_causal_metric_is_that_of_the_jacobian(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, sites = tiny.build(kind), ["output.0", "attention.2", "mlp.1", "output.3"]
    monkeypatch.setattr(module, "_causal", every_axis)
    found = measured(model, sites, n_vectors=tiny.WIDTH)
    space = geo.CausalSpace.fit(unembedding(model))
    sigma = space.colourer @ space.colourer
    for site in sites:
        expected = torch.stack([matrix.T @ sigma @ matrix for matrix in jacobians(model, site)]).mean(dim=0)
        matrix = found.metric("causal", site).matrix
        torch.testing.assert_close(matrix, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))


@pytest.mark.parametrize("kind", KINDS)
def test_the_fisher_metric_is_that_of_the_logits(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, sites = tiny.build(kind), ["output.0", "output.2"]
    monkeypatch.setattr(torch, "multinomial", quantiles())
    found = measured(model, sites, n_vectors=400)
    for site in sites:
        parts = []
        for law, matrix in zip(laws(model), jacobians(model, site, which=1), strict=True):
            covariance = torch.diag(law) - torch.outer(law, law)
            parts.append(matrix.T @ covariance @ matrix)
        expected = torch.stack(parts).mean(dim=0)
        difference = float((found.metric("fisher", site).matrix - expected).norm() / expected.norm())
        assert difference < 0.05, (site, difference)


@pytest.mark.parametrize("kind", KINDS)
def test_the_fisher_metric_is_twice_the_divergence(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, site = tiny.build(kind, torch.float64), "output.1"
    monkeypatch.setattr(torch, "multinomial", quantiles())
    fisher = measured(model, [site], TEXTS[:1], n_vectors=400).metric("fisher", site).matrix
    run, generator = moved(model, IDS[0], site), torch.Generator().manual_seed(0)
    with torch.no_grad():
        before = run(torch.zeros(tiny.WIDTH, dtype=torch.float64))[1].log_softmax(dim=0)
        for _ in range(5):
            step = 1e-4 * torch.randn(tiny.WIDTH, generator=generator, dtype=torch.float64)
            after = run(step)[1].log_softmax(dim=0)
            divergence = float((before.exp() * (before - after)).sum())
            assert divergence == pytest.approx(float(step @ fisher @ step) / 2, rel=0.1)


def test_random_vectors_agree_within_their_sampling_error() -> None:
    model, site = tiny.build("llama"), "output.2"
    found = measured(model, [site], n_vectors=300)
    space = geo.CausalSpace.fit(unembedding(model))
    sigma = space.colourer @ space.colourer
    inner = {"causal": [sigma] * len(IDS)}
    gamma = space.unembedding.matrix.double()
    inner["fisher"] = [gamma.T @ (torch.diag(law) - torch.outer(law, law)) @ gamma for law in laws(model)]
    for name, middles in inner.items():
        pairs = zip(jacobians(model, site), middles, strict=True)
        expected = torch.stack([matrix.T @ middle @ matrix for matrix, middle in pairs]).mean(dim=0)
        matrix = found.metric(name, site).matrix
        assert float((matrix - expected).norm() / expected.norm()) < 0.25, name
        assert float(matrix.trace()) == pytest.approx(float(expected.trace()), rel=0.2)


def test_of_few_vectors_the_rank_is_their_number() -> None:
    found = measured(tiny.build("llama"), ["output.1"], TEXTS[:2], n_vectors=3)
    rows = geo.layers.PhraseVectors(torch.eye(tiny.WIDTH), geo.Vocabulary([f" w{n}" for n in range(tiny.WIDTH)]), "x")
    for name in ("causal", "fisher"):
        space = geo.CausalSpace.with_metric(rows, found.metric(name, "output.1").matrix)
        assert space.rank == 6
        between = space.whitener @ space.colourer
        torch.testing.assert_close(between @ between, between, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_they_are_symmetric_and_positive_semi_definite(kind: str) -> None:
    found = measured(tiny.build(kind), ["input.0", "output.0", "output.3"], n_vectors=3)
    assert (found.samples, found.vectors) == (3, 3)
    for name in ("causal", "fisher"):
        for site in ("input.0", "output.0", "output.3"):
            metric = found.metric(name, site)
            torch.testing.assert_close(metric.matrix, metric.matrix.T, rtol=1e-12, atol=1e-12)
            values = torch.linalg.eigvalsh(metric.matrix)
            assert values[0] > -1e-6 * values[-1]
            assert int((values > 1e-5 * values[-1]).sum()) <= 9
            assert metric.note == "pulled back from 3 texts × 3 vectors"


def test_seeds_are_reproduced_and_differ() -> None:
    model = tiny.build("llama")
    first, again, other = (measured(model, ["output.1"], n_vectors=2, seed=seed) for seed in (0, 0, 1))
    for name in ("causal", "fisher"):
        assert torch.equal(first.metric(name, 1).matrix, again.metric(name, 1).matrix)
        assert not torch.allclose(first.metric(name, 1).matrix, other.metric(name, 1).matrix)


@pytest.mark.parametrize("state", ["no gradients", "training", "inference"])
def test_whatever_state_the_model_is_in(state: str) -> None:
    model = tiny.build("gpt2")
    expected = measured(model, ["output.1"], n_vectors=2)
    if state == "no gradients":
        model.requires_grad_(False)
    elif state == "training":
        model.train()
    with torch.no_grad() if state == "inference" else torch.enable_grad():
        found = measured(model, ["output.1"], n_vectors=2)
    assert model.training == (state == "training")
    assert all(parameter.grad is None for parameter in model.parameters())
    assert tiny.hook_count(model) == 0
    torch.testing.assert_close(found.fisher, expected.fisher)


def test_what_stands_before_the_last_token_is_run_once_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny.build("gemma3")  # of a window shorter than the texts
    expected = measured(model, ["output.0", "output.2"], n_vectors=4)
    monkeypatch.setattr(module, "keys_and_values", lambda *_: None)
    found = measured(model, ["output.0", "output.2"], n_vectors=4)
    for site in ("output.0", "output.2"):
        scale = float(expected.metric("causal", site).matrix.abs().max())
        torch.testing.assert_close(
            found.metric("causal", site).matrix, expected.metric("causal", site).matrix, rtol=1e-3, atol=1e-5 * scale
        )


@pytest.mark.parametrize("family", ["jamba", pytest.param("falcon_h1", marks=pytest.mark.long)])
def test_of_models_that_keep_other_states_texts_are_run_whole(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = families.build(family)
    found = measured(model, ["output.0"], n_vectors=2)
    monkeypatch.setattr(module, "keys_and_values", lambda *_: None)
    torch.testing.assert_close(measured(model, ["output.0"], n_vectors=2).fisher, found.fisher)


def test_a_steered_model_is_measured_steered() -> None:
    model = tiny.build("llama")
    plain = measured(model, ["output.1"], n_vectors=2)
    with geo.steer(model, tiny.vector("output.0"), positions="last"):
        steered = measured(model, ["output.1"], n_vectors=2)
    assert not torch.allclose(plain.metric("causal", 1).matrix, steered.metric("causal", 1).matrix)
    # The same, by weights that always add it.
    with torch.no_grad():
        block, part = tiny.blocks(model)[0], tiny.vector("output.0").parts[geo.Site("output", 0)]
        block.register_forward_hook(lambda _, __, out: torch.cat([out[:, :-1], out[:, -1:] + part], dim=1))
    torch.testing.assert_close(measured(model, ["output.1"], n_vectors=2).causal, steered.causal)


def test_at_most_so_many_texts_are_taken_and_short_ones_passed_over() -> None:
    model = tiny.build("llama")
    texts = [tiny.text(IDS[0, :-1]), f"{TEXTS[0]} w7 w8", *TEXTS[1:]]
    found = measured(model, ["output.1"], texts, n_samples=2, n_vectors=2)
    assert found.samples == 2
    torch.testing.assert_close(found.causal, measured(model, ["output.1"], TEXTS[:2], n_vectors=2).causal)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"sites": ["after_norm"]}, "pulled back to blocks", id="a norm"),
        pytest.param({"sites": ["output.7"]}, "has blocks 0 to 3", id="no such block"),
        pytest.param({"sites": []}, "at least one site", id="no sites"),
        pytest.param({"sites": ["output.1.relative"]}, "none that is relative", id="relative"),
        pytest.param({"n_samples": 0}, "a sample and a vector at least", id="no samples"),
        pytest.param({"n_vectors": 0}, "a sample and a vector at least", id="no vectors"),
        pytest.param({"texts": [tiny.text(IDS[0, :-1])]}, "at the 24th token; none of 1 texts", id="short texts"),
        pytest.param({"texts": []}, "none of 0 texts", id="no texts"),
    ],
)
def test_bad_requests_are_refused(options: dict[str, Any], message: str) -> None:
    settings = {"sites": ["output.1"], "texts": TEXTS, **options}
    with pytest.raises(geo.errors.SteeringError, match=message):
        measured(tiny.build("llama"), **settings)


def test_a_space_of_another_model_is_refused() -> None:
    model = tiny.build("llama")
    other = geo.CausalSpace.fit(unembedding(tiny.build("llama", seed=1)))
    with pytest.raises(geo.errors.SteeringError, match="is not the unembedding of this"):
        PulledBackMetrics.of(model, tiny.tokenizer(), other, sites=["output.1"], texts=TEXTS, progress=False)


@pytest.mark.parametrize(("name", "site"), [("euclidean", "output.1"), ("causal", "output.2")])
def test_a_metric_that_was_not_measured_is_refused(name: str, site: str) -> None:
    found = measured(tiny.build("llama"), ["output.1"], n_vectors=1)
    with pytest.raises(geo.errors.SteeringError, match=r"there is no metric .* but to output\.1"):
        found.metric(name, site)
