from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE, WordLevel
from transformers import PreTrainedTokenizerFast

import geometry as geo
from geometry import Site
from tests.steering import tiny

SITES = ["input.0", "input.2", "output.1", "before_norm", "after_norm"]
PROMPTS = ["w2 w3 w4", "w5", "w6 w7 w8 w9 w10 w11", "w12 w13", "w3 w14 w15 w16", "w17 w18 w19"]


def letters(*, bos: bool = True, merges: bool = True) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer, in which a space is a token of its own and begins none but " a"."""
    words = ["<s>", "</s>", "Ġ", *"abcdefgh", *(["Ġa"] if merges else [])]
    inner = Tokenizer(BPE({word: i for i, word in enumerate(words)}, [("Ġ", "a")] if merges else []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=inner, **({"bos_token": "<s>"} if bos else {}), eos_token="</s>")


def residual(model: Any, ids: list[int], site: str) -> torch.Tensor:
    """The residual stream at a site on one prompt without padding, by a plain hook."""
    transformer = model.transformer if hasattr(model, "transformer") else model.model
    blocks = transformer.h if hasattr(transformer, "h") else transformer.layers
    norm = transformer.ln_f if hasattr(transformer, "ln_f") else transformer.norm
    place, _, block = site.partition(".")
    module = blocks[int(block)] if block else norm
    seen = []

    def before(_: Any, args: Any, kwargs: Any) -> None:
        seen.append(args[0] if args else kwargs["hidden_states"])

    def after(_: Any, __: Any, output: Any) -> None:
        seen.append(output[0] if isinstance(output, tuple) else output)

    if place in ("input", "before_norm"):
        hook = module.register_forward_pre_hook(before, with_kwargs=True)
    else:
        hook = module.register_forward_hook(after)
    with torch.no_grad():
        model(torch.tensor([ids]))
    hook.remove()
    return seen[0][0]


def ids_of(prompt: str) -> list[int]:
    return [int(word[1:]) for word in prompt.split()]


def test_activations_are_those_of_each_prompt_alone(model: Any) -> None:
    ways: dict[Any, Any] = {-1: lambda rows: rows[-1], 0: lambda rows: rows[0], "mean": lambda rows: rows.mean(dim=0)}
    for token, of in ways.items():
        found = geo.read_activations(model, tiny.tokenizer(), PROMPTS, SITES, token=token, batch_size=4)
        assert list(map(str, found)) == SITES
        for site in SITES:
            alone = [residual(model, ids_of(prompt), site) for prompt in PROMPTS]
            wanted = torch.stack([of(rows) for rows in alone])
            torch.testing.assert_close(found[Site.parse(site)], wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("batch", [1, 2, 5, 100])
def test_the_order_of_prompts_is_kept_whatever_the_batch(llama: Any, batch: int) -> None:
    prompts = PROMPTS * 3
    found = geo.read_activations(llama, tiny.tokenizer(), prompts, ["output.1"], batch_size=batch)[Site("output", 1)]
    alone = [
        geo.read_activations(llama, tiny.tokenizer(), [one], ["output.1"])[Site("output", 1)][0] for one in prompts
    ]
    torch.testing.assert_close(found, torch.stack(alone), rtol=1e-4, atol=1e-4)


def test_tokens_are_counted_from_either_end(llama: Any) -> None:
    longer = [prompt for prompt in PROMPTS if len(prompt.split()) > 2]
    for token in (1, 2, -2, -3):
        found = geo.read_activations(llama, tiny.tokenizer(), longer, ["output.3"], token=token)[Site("output", 3)]
        wanted = torch.stack([residual(llama, ids_of(prompt), "output.3")[token] for prompt in longer])
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_the_beginning_of_text_counts_as_a_token(llama: Any) -> None:
    found = geo.read_activations(llama, tiny.tokenizer(), PROMPTS, ["output.0"], token=0, bos=True)[Site("output", 0)]
    torch.testing.assert_close(found, residual(llama, [0], "output.0").expand(len(PROMPTS), -1), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("positions", [None, "all", "first"])
def test_each_prompt_is_read_under_its_own_vector(llama: Any, positions: Any) -> None:
    """Whatever the order in which prompts share batches, as if each were steered alone."""
    prompts = ["w5 w6 w7 w9", "w8", "w2 w3", "w4 w5 w6 w7 w8"]
    up, down = (tiny.vector("output.1", seed=seed) for seed in (1, 2))
    vectors = [up, None, down, up]
    how: Any = {"vectors": vectors, "batch_size": 2, "positions": positions}
    found = geo.read_activations(llama, tiny.tokenizer(), prompts, ["output.1", "after_norm"], **how)
    plain = geo.read_activations(llama, tiny.tokenizer(), prompts, ["output.1"])
    for place, (prompt, vector) in enumerate(zip(prompts, vectors, strict=True)):
        with geo.steer(llama, vector, positions=positions) if vector else nullcontext():
            alone = geo.read_activations(llama, tiny.tokenizer(), [prompt], ["output.1", "after_norm"])
        for site, rows in found.items():
            torch.testing.assert_close(rows[place], alone[site][0], atol=1e-5, rtol=0)
    assert torch.equal(found[geo.Site("output", 1)][1], plain[geo.Site("output", 1)][1])
    with pytest.raises(geo.errors.SteeringError, match="1 vectors for 4 prompts"):
        geo.read_activations(llama, tiny.tokenizer(), prompts, ["output.1"], vectors=[up])


@pytest.mark.parametrize(
    ("sites", "blocks"), [(["input.0"], 1), (["input.2", "output.1"], 3), (["output.1"], 2), (["before_norm"], 4)]
)
def test_nothing_is_computed_after_the_last_site(
    llama: Any, sites: list[str], blocks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = ["w5 w6 w7", "w8"]
    ids = torch.tensor([[5, 6, 7]])
    plain = tiny.run(llama, ids)
    monkeypatch.setattr(llama.lm_head, "forward", None)
    with tiny.counting(llama) as ran:
        found = geo.read_activations(llama, tiny.tokenizer(), prompts, sites, batch_size=1)
    assert len(ran) == 2 * blocks
    for site in sites:
        assert torch.equal(found[geo.Site.parse(site)][0], plain[site][0, -1])
    assert tiny.hook_count(llama) == 0


def test_reading_leaves_no_hooks_and_shows_steering(llama: Any) -> None:
    tokenizer = tiny.tokenizer()
    plain = geo.read_activations(llama, tokenizer, PROMPTS, ["output.1"])[Site("output", 1)]
    vector = tiny.vector("output.1")
    with geo.steer(llama, vector, positions="all"):
        steered = geo.read_activations(llama, tokenizer, PROMPTS, ["output.1"])[Site("output", 1)]
    torch.testing.assert_close(steered - plain, vector["output.1"].expand_as(plain), rtol=1e-4, atol=1e-5)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in llama.modules())


@pytest.mark.parametrize("name", ["gpt2", "llama", "gemma3"])
@pytest.mark.parametrize("block", [0, 2])
def test_activation_addition_by_hand(name: str, block: int) -> None:
    model, tokenizer = tiny.build(name), letters()
    love, hate = [0, 3, 4, 5, 6], [0, 7, 8]
    assert tokenizer.encode("abcd", add_special_tokens=False) == love[1:]
    vector = geo.activation_addition(model, tokenizer, "abcd", "ef", block)
    space = 2
    difference = residual(model, love, f"input.{block}") - residual(model, [*hate, space, space], f"input.{block}")
    assert vector.sites == (Site("input", block),)
    assert vector[f"input.{block}"].shape == (5, tiny.WIDTH)
    assert not vector[f"input.{block}"][0].any()
    torch.testing.assert_close(vector[f"input.{block}"][1:], difference[1:], rtol=1e-4, atol=1e-4)
    # The other way round it is padded the other way round.
    torch.testing.assert_close(
        geo.activation_addition(model, tokenizer, "ef", "abcd", block)[f"input.{block}"],
        -vector[f"input.{block}"],
        rtol=1e-4,
        atol=1e-4,
    )
    assert "'abcd'" in vector.provenance
    assert "'ef'" in vector.provenance
    assert vector.model == name


def test_the_row_of_the_beginning_of_text_is_zero_whatever_is_read_there(llama: Any) -> None:
    apart = torch.linspace(0, 1, 2)[:, None, None]
    hook = llama.get_input_embeddings().register_forward_hook(lambda *call: call[-1] + apart)
    rows = geo.activation_addition(llama, letters(), "abcd", "efab", 2)["input.2"]
    hook.remove()
    assert not rows[0].any()
    assert (rows[1:].norm(dim=1) > 0.1).all()


def test_without_a_beginning_of_text_the_first_row_counts() -> None:
    model, tokenizer = tiny.build("gpt2"), letters(bos=False)
    with pytest.raises(geo.errors.SteeringError, match="no beginning-of-text token"):
        geo.activation_addition(model, tokenizer, "ab", "ef", 1)
    vector = geo.activation_addition(model, tokenizer, "ab", "ef", 1, bos=False)
    difference = residual(model, [3, 4], "input.1") - residual(model, [7, 8], "input.1")
    torch.testing.assert_close(vector["input.1"], difference, rtol=1e-4, atol=1e-4)
    assert vector["input.1"][0].norm() > 0.1


def test_a_space_of_several_tokens_or_none_is_refused(llama: Any) -> None:
    inner = Tokenizer(WordLevel({"<s>": 0, "a": 1, "b": 2, "▁": 3}, unk_token="<s>"))
    # As SentencePiece does: a space goes before every text, so that one alone is two.
    inner.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    inner.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    several = PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>")
    assert len(several.encode(" ", add_special_tokens=False)) > 1
    for tokenizer, two, one in ((several, "ab", "b"), (tiny.tokenizer(), "w2 w3", "w4")):
        with pytest.raises(geo.errors.SteeringError, match="made equally long"):
            geo.activation_addition(llama, tokenizer, two, one, 1)
        assert geo.activation_addition(llama, tokenizer, two, two, 1)["input.1"].norm() < 1e-3


def test_class_means_and_differences_against_plain_means(model: Any) -> None:
    classes = {"one": PROMPTS[:1], "two": PROMPTS[1:3], "three": PROMPTS[3:]}
    means = geo.class_means(model, tiny.tokenizer(), classes, ["output.1", "before_norm"])
    plain = {
        name: torch.stack([residual(model, ids_of(prompt), "output.1")[-1] for prompt in prompts]).mean(dim=0)
        for name, prompts in classes.items()
    }
    for name in classes:
        torch.testing.assert_close(means[name]["output.1"], plain[name], rtol=1e-4, atol=1e-4)
        assert means[name].provenance == f"mean of {name}"
        assert means[name].model == geo.steering.Architecture.of(model).family
    wanted = plain["two"] - (plain["one"] + plain["three"]) / 2
    torch.testing.assert_close(geo.steering.class_difference(means, "two")["output.1"], wanted, rtol=1e-4, atol=1e-4)
    some = {name: means[name] for name in ("one", "two")}
    torch.testing.assert_close(
        geo.steering.class_difference(some, "one")["output.1"], plain["one"] - plain["two"], rtol=1e-4, atol=1e-4
    )


PAIRS = [("w2 w3 w4", "w5 w6"), ("w7", "w8 w9 w10"), ("w11 w12", "w13 w14"), ("w15 w16 w17 w18", "w19"), ("w20", "w21")]


@pytest.mark.parametrize(
    ("token", "of"), [(-1, lambda rows: rows[-1]), ("mean", lambda rows: rows.mean(dim=0))], ids=["last", "mean"]
)
def test_contrastive_addition_is_the_mean_difference(model: Any, token: Any, of: Any) -> None:
    vector = geo.contrastive_activation_addition(model, tiny.tokenizer(), PAIRS, ["input.1", "output.2"], token=token)
    for site in ("input.1", "output.2"):
        ends = [[of(residual(model, ids_of(prompt), site)) for prompt in pair] for pair in PAIRS]
        wanted = torch.stack([a - b for a, b in ends]).mean(dim=0)
        torch.testing.assert_close(vector[site], wanted, rtol=1e-4, atol=1e-4)
    assert vector.provenance == "mean difference of 5 pairs"


def test_the_principal_component_difference_is_the_first_axis_of_pca(model: Any) -> None:
    sites = ["output.0", "output.3", "after_norm"]
    vector = geo.contrastive_activation_addition(model, tiny.tokenizer(), PAIRS, sites, method="pca")
    for site in sites:
        rows = [[residual(model, ids_of(prompt), site)[-1].double() for prompt in pair] for pair in PAIRS]
        differences = torch.stack([a - b for a, b in rows]).numpy()
        axis = PCA(n_components=1).fit(np.concatenate([differences, -differences])).components_[0]
        assert abs(float(axis @ vector[site].double().numpy())) == pytest.approx(1, abs=1e-5)
        assert vector[site].norm() == pytest.approx(1, abs=1e-5)
        assert differences.mean(axis=0) @ vector[site].numpy() > 0
    turned = geo.contrastive_activation_addition(
        model, tiny.tokenizer(), [pair[::-1] for pair in PAIRS], sites, method="pca"
    )
    for site in sites:
        torch.testing.assert_close(turned[site], -vector[site], rtol=1e-3, atol=1e-4)


def test_pairs_that_differ_by_rounding_alone_have_no_direction(llama: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # Equal prompts at different places of a batch come out with other rounding errors, on some machines.
    def rounded(*arguments: Any, **options: Any) -> dict[Site, torch.Tensor]:
        found = geo.read_activations(*arguments, **options)
        noise = torch.Generator().manual_seed(0)
        return {site: rows * (1 + 1e-7 * torch.randn(rows.shape, generator=noise)) for site, rows in found.items()}

    same = [(prompt, prompt) for prompt in PROMPTS]
    for reading in (geo.read_activations, rounded):
        monkeypatch.setattr("geometry.steering.activation_vectors.read_activations", reading)
        with pytest.raises(geo.errors.SteeringError, match=r"do not differ at output\.1"):
            geo.contrastive_activation_addition(llama, tiny.tokenizer(), same, ["output.1"], method="pca")


def test_mean_vectors_are_class_means_of_what_was_read(llama: Any) -> None:
    classes = {"up": ["w5 w6", "w7"], "down": ["w8 w9 w2"]}
    wanted = geo.class_means(llama, tiny.tokenizer(), classes, SITES)
    read = geo.read_activations(llama, tiny.tokenizer(), ["w8 w9 w2", "w5 w6", "w7"], SITES)
    found = geo.steering.mean_vectors(read, ["down", "up", "up"], model="llama")
    assert list(found) == ["down", "up"]
    for name, mean in found.items():
        assert mean.provenance == f"mean of {name}"
        for site in SITES:
            torch.testing.assert_close(mean[site], wanted[name][site])
    with pytest.raises(geo.errors.SteeringError, match="2 labels for activations of"):
        geo.steering.mean_vectors(read, ["up", "down"])


def test_nonsense_is_refused(llama: Any) -> None:
    tokenizer, site = tiny.tokenizer(), ["output.1"]
    pairs: Any
    for pairs in ([], ["w2"], ["ab"], ("w2", "w3"), [("w2",)], [("w2", "w3", "w4")], [("w2", "")], [("w2", 3)]):
        for method in ("mean", "pca"):
            with pytest.raises(geo.GeometryError):
                geo.contrastive_activation_addition(llama, tokenizer, pairs, site, method=method)
    for attempt in (
        lambda: geo.class_means(llama, tokenizer, {}, site),
        lambda: geo.class_means(llama, tokenizer, {"a": []}, site),
        lambda: geo.class_means(llama, tokenizer, {"a": "w2 w3"}, site),
        lambda: geo.class_means(llama, tokenizer, {"a": ["w2", ""]}, site),
        lambda: geo.steering.class_difference({"a": tiny.vector("output.1")}, "a"),
        lambda: geo.steering.class_difference({}, "a"),
        lambda: geo.steering.class_difference({"a": tiny.vector("output.1"), "b": tiny.vector("output.1")}, "c"),
        lambda: geo.activation_addition(llama, tokenizer, "", "w2", 1),
        lambda: geo.activation_addition(llama, tokenizer, "w2", "w3", tiny.DEPTH),
        lambda: geo.activation_addition(llama, tokenizer, "w2", "w3", -1),
        lambda: geo.read_activations(llama, tokenizer, ["w2"], []),
        lambda: geo.read_activations(llama, tokenizer, ["w2"], ["output.1.relative"]),
        lambda: geo.read_activations(llama, tokenizer, ["w2"], [f"output.{tiny.DEPTH}"]),
        lambda: geo.read_activations(llama, tokenizer, [], site),
        lambda: geo.read_activations(llama, tokenizer, "w2", site),
        lambda: geo.read_activations(llama, tokenizer, ["w2 w3", "w2"], site, token=1),
        lambda: geo.read_activations(llama, tokenizer, ["w2 w3", "w2"], site, token=-2),
        lambda: geo.read_activations(llama, tokenizer, ["w2"], site, token=True),
        lambda: geo.read_activations(llama, tokenizer, ["w2"], site, token="last"),
    ):
        with pytest.raises(geo.GeometryError):
            attempt()
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in llama.modules())


@pytest.mark.parametrize("batch", [0, -1])
def test_a_batch_without_prompts_is_refused(llama: Any, batch: int) -> None:
    with pytest.raises(geo.errors.SteeringError):
        geo.read_activations(llama, tiny.tokenizer(), ["w2"], ["output.1"], batch_size=batch)
