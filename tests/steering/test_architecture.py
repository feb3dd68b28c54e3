import copy
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import accelerate
import pytest
import torch
import transformers
from torch import nn

import geometry as geo
from tests.steering import tiny

IDS = tiny.tokens(2, 6)
_SMALL = {"vocab_size": 64, "hidden_size": 16, "intermediate_size": 24, "initializer_range": 0.4} | dict.fromkeys(
    ["num_hidden_layers", "num_attention_heads"], 4
)
_T5 = {"vocab_size": 64, "d_model": 16, "d_kv": 8, "d_ff": 24, "num_heads": 2}
_BOTH = {"vocab_size": 64, "d_model": 16} | {
    f"{side}_{size}": 2 for side in ("encoder", "decoder") for size in ("layers", "attention_heads", "ffn_dim")
}


def made(kind: str, config: str, **settings: Any) -> Any:
    torch.manual_seed(0)
    return getattr(transformers, kind)(getattr(transformers, config)(**settings)).eval()


def test_the_parts_are_found_in_every_architecture(model: Any) -> None:
    architecture = geo.steering.Architecture.of(model)
    assert architecture.blocks is tiny.blocks(model)
    assert architecture.norm is tiny.final_norm(model)
    assert architecture.head is model.lm_head
    assert (architecture.width, len(architecture.blocks), architecture.dtype) == (tiny.WIDTH, tiny.DEPTH, torch.float32)
    assert architecture.family == {"gemma3_text": "gemma3"}.get(model.config.model_type, model.config.model_type)
    assert geo.steering.Architecture.of(model.base_model).blocks is architecture.blocks


FOREIGN: dict[str, Callable[[], Any]] = {
    "BERT": lambda: made("BertModel", "BertConfig", **_SMALL),
    "BERT as a decoder": lambda: made("BertLMHeadModel", "BertConfig", **_SMALL, is_decoder=True),
    "T5": lambda: made("T5ForConditionalGeneration", "T5Config", **_T5),
    "T5 encoder": lambda: made("T5EncoderModel", "T5Config", **_T5),
    "BART": lambda: made("BartForConditionalGeneration", "BartConfig", **_BOTH),
    # Its one norm beside the blocks is that of the embedding.
    "BART as a decoder": lambda: made("BartForCausalLM", "BartConfig", **_BOTH),
    "Whisper": lambda: made(
        "WhisperForConditionalGeneration", "WhisperConfig", **_BOTH, pad_token_id=0, bos_token_id=0, eos_token_id=0
    ),
    "vision": lambda: made("ViTModel", "ViTConfig", hidden_size=16, num_hidden_layers=2, num_attention_heads=2),
    "a linear map": lambda: nn.Linear(16, 16),
    "a name": lambda: "gpt2",
    "nothing": lambda: None,
}


@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_no_decoder_is_refused_in_a_line(name: str) -> None:
    foreign = FOREIGN[name]()
    with pytest.raises(geo.GeometryError) as refusal:
        geo.steer(foreign, tiny.vector("before_norm"), positions="last")
    assert "\n" not in str(refusal.value)
    assert not isinstance(foreign, nn.Module) or tiny.hook_count(foreign) == 0


REFUSED: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "a block beyond the last": ("blocks 0 to 3", lambda m: geo.steer(m, tiny.vector("output.4"), positions="all")),
    "an input beyond the last": ("blocks 0 to 3", lambda m: geo.steer(m, tiny.vector("input.99"), positions="all")),
    "another width": (
        "wide",
        lambda m: geo.steer(m, geo.SteeringVector({"output.1": torch.ones(15)}), positions="all"),
    ),
    "another family": (
        "is for a mistral, this is a",
        lambda m: geo.steer(m, geo.SteeringVector({"output.1": torch.ones(16)}, model="mistral"), positions="all"),
    ),
    "an unknown place": ("unknown place", lambda m: geo.steer(m, tiny.vector("middle.1"), positions="all")),
    "a negative block": ("is no site", lambda m: geo.steer(m, tiny.vector("output.-1"), positions="all")),
    "no block": ("needs a block", lambda m: geo.steer(m, tiny.vector("output"), positions="all")),
    "unknown positions": ("positions must be one of", lambda m: geo.steer(m, tiny.vector("output.1"), positions="end")),
    "an unknown mode": (
        "mode must be one of",
        lambda m: geo.steer(m, tiny.vector("output.1"), mode="multiply", positions="all"),
    ),
    "NaN": ("NaN", lambda m: geo.steer(m, tiny.vector("output.1") * float("nan"), positions="all")),
    "infinity": ("NaN or infinite", lambda m: geo.steer(m, tiny.vector("output.1") * float("inf"), positions="all")),
    "no vector": ("vector must be SteeringVector", lambda m: geo.steer(m, torch.ones(16), positions="all")),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_does_not_fit_is_refused_before_any_block_runs(model: Any, what: str) -> None:
    match, attempt = REFUSED[what]
    with tiny.counting(model) as ran, pytest.raises(geo.GeometryError, match=match) as refusal:
        attempt(model)
        model(input_ids=IDS)
    assert not ran
    assert "\n" not in str(refusal.value)
    assert tiny.hook_count(model) == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_numbers_too_large_for_float16_are_refused_there(dtype: torch.dtype) -> None:
    model, large = tiny.build("llama", dtype), geo.SteeringVector({"output.1": torch.full((16,), 7e4)})
    with tiny.counting(model) as ran:
        if dtype == torch.float16:
            with pytest.raises(geo.errors.SteeringError, match="too large for"):
                geo.steer(model, large, positions="all")
        else:
            with geo.steer(model, large, positions="all"):
                model(input_ids=IDS)
    assert bool(ran) == (dtype != torch.float16)


def padded(*real: str) -> dict[str, torch.Tensor]:
    return {"input_ids": IDS, "attention_mask": (tiny.pattern(*real) >= 0).long()}


CALLS: dict[str, tuple[Any, int, dict[str, Any]]] = {
    "an index beyond the prompt": ([6], 0, {"input_ids": IDS}),
    "an index before the prompt": ([-7], 0, {"input_ids": IDS}),
    "an index on padding": ([-5], 0, padded("000000", "..0000")),
    "a prompt too short": ("first", 7, {"input_ids": IDS}),
    "a prompt too short without its padding": ("last", 5, padded("000000", "0000..")),
    "a mask too long": (torch.ones(2, 7, dtype=torch.bool), 0, {"input_ids": IDS}),
    "a mask for more prompts": (torch.ones(3, 6, dtype=torch.bool), 0, {"input_ids": IDS}),
    "an empty prompt": ("all", 0, {"input_ids": torch.zeros((1, 0), dtype=torch.long)}),
    "no prompt": ("all", 0, {}),
    "a prompt of padding alone": ("last", 0, padded("000000", "......")),
}


@pytest.mark.parametrize("what", CALLS)
def test_calls_that_do_not_fit_are_refused_before_any_block_runs(model: Any, what: str) -> None:
    positions, rows, call = CALLS[what]
    plain = tiny.run(model, IDS)
    with (
        tiny.counting(model) as ran,
        # Vectors that could act stand before and after it.
        geo.steer(model, tiny.vector("input.0"), positions="all"),
        geo.steer(model, tiny.vector("output.1", rows=rows), positions=positions),
        geo.steer(model, tiny.vector("output.2"), positions="prompt"),
        pytest.raises(geo.errors.SteeringError),
    ):
        model(**call)
    assert not ran
    assert tiny.hook_count(model) == 0
    again = tiny.run(model, IDS)
    assert all(torch.equal(again[place], plain[place]) for place in plain)


def prefilled(model: Any) -> Any:
    with torch.no_grad():
        return model(input_ids=IDS[:, :4], use_cache=True).past_key_values


def test_a_cache_filled_before_steering_is_refused_but_for_all_positions(model: Any) -> None:
    past, vector = prefilled(model), tiny.vector("output.1")
    for positions in ("prompt", "generated", "first", "middle", "last", [0], torch.ones(2, 6, dtype=torch.bool)):
        with tiny.counting(model) as ran, geo.steer(model, vector, positions=positions):
            with pytest.raises(geo.errors.SteeringError, match="before steering began"):
                model(input_ids=IDS[:, 4:], past_key_values=past)
            assert not ran
    plain = tiny.run(model, IDS[:, 4:], past_key_values=copy.deepcopy(past))
    with geo.steer(model, vector, positions="all"):
        steered = tiny.run(model, IDS[:, 4:], past_key_values=copy.deepcopy(past))
    assert torch.equal(steered["output.1"], torch.add(plain["output.1"], vector["output.1"]))


def test_a_cache_filled_before_steering_is_refused_after_another_prompt_too(llama: Any) -> None:
    past = prefilled(llama)
    with geo.steer(llama, tiny.vector("output.1"), positions="last"):
        llama(input_ids=tiny.tokens(2, 5, seed=3))
        with tiny.counting(llama) as ran, pytest.raises(geo.errors.SteeringError):
            llama(input_ids=IDS[:, 4:], past_key_values=past)
    assert not ran


class Consumed(nn.ModuleList):
    """Blocks whose consumer runs them otherwise than the model's own code does."""

    def __init__(self, blocks: nn.ModuleList, call: Callable[..., Any]) -> None:
        super().__init__(blocks)
        self.call = call

    def __iter__(self) -> Iterator[Any]:
        return iter([self.consumer(block) for block in self._modules.values()])

    def __getitem__(self, index: Any) -> Any:
        return list(self)[index] if isinstance(index, slice) else super().__getitem__(index)

    def consumer(self, block: nn.Module) -> Callable[..., Any]:
        return lambda residual, *rest, **options: self.call(block, residual, *rest, **options)


def by_keyword(block: nn.Module, residual: torch.Tensor, *rest: Any, **options: Any) -> Any:
    assert not rest
    return block(hidden_states=residual, **options)


def first_of_tuple(block: nn.Module, *rest: Any, **options: Any) -> Any:
    output = block(*rest, **options)
    assert isinstance(output, tuple)
    return output[0]


@pytest.mark.parametrize("site", ["input.1", "output.1", "output.3.relative", "before_norm"])
@pytest.mark.parametrize("positions", ["all", "last"])
@pytest.mark.parametrize("style", ["tuples", "keywords"])
def test_tuples_and_keywords_are_steered_as_plain_residual_streams_are(style: str, positions: Any, site: str) -> None:
    plain, other, vector = tiny.build("llama"), tiny.build("llama"), tiny.vector(site)
    if style == "tuples":
        for block in other.model.layers:
            block.forward = lambda *args, inner=block.forward, **options: (inner(*args, **options), "more")
    call = first_of_tuple if style == "tuples" else by_keyword
    other.model.layers = Consumed(other.model.layers, call)
    assert torch.equal(other(IDS).logits, plain(IDS).logits)
    with geo.steer(plain, vector, positions=positions), geo.steer(other, vector, positions=positions):
        assert torch.equal(other(IDS).logits, plain(IDS).logits)
        assert torch.equal(tiny.generated(other, IDS), tiny.generated(plain, IDS))
    with geo.record_activations(other, ["input.1", "output.1"]) as seen:
        other(IDS)
    assert torch.equal(seen[geo.Site("output", 1)], tiny.run(plain, IDS)["output.1"])


@pytest.mark.parametrize("positions", ["all", "last"])
def test_blocks_that_return_tuples_of_themselves_are_steered(positions: Any) -> None:
    falcon = made("FalconForCausalLM", "FalconConfig", **_SMALL)
    plain, vector = tiny.run(falcon, IDS), tiny.vector("output.1")
    with geo.steer(falcon, vector, positions=positions):
        steered = tiny.run(falcon, IDS)
    where = tiny.pattern(*["000000" if positions == "all" else ".....0"] * 2)
    assert torch.equal(steered["output.1"], tiny.moved(plain["output.1"], vector["output.1"], where))
    assert torch.equal(steered["output.0"], plain["output.0"])
    assert not torch.equal(steered["logits"], plain["logits"])


def offloaded(name: str, way: str) -> Any:
    model = tiny.build(name)
    if way == "offloaded":
        return accelerate.cpu_offload(model, execution_device=torch.device("cpu"))
    return accelerate.dispatch_model(model, {"": "cpu"}, main_device="cpu", force_hooks=True)


@pytest.mark.parametrize("site", ["input.0", "output.1", "before_norm", "after_norm", "output.1.relative"])
@pytest.mark.parametrize("way", ["offloaded", "dispatched"])
@pytest.mark.parametrize("name", tiny.ALL)
def test_a_model_placed_by_accelerate_is_steered_as_it_is_in_one_place(name: str, way: str, site: str) -> None:
    plain, placed, vector = tiny.build(name), offloaded(name, way), tiny.vector(site)
    for positions in ("all", "last"):
        with geo.steer(plain, vector, positions=positions), geo.steer(placed, vector, positions=positions):
            assert torch.equal(tiny.run(placed, IDS)["logits"], tiny.run(plain, IDS)["logits"])
    assert torch.equal(tiny.run(placed, IDS)["logits"], tiny.run(plain, IDS)["logits"])


@pytest.mark.parametrize("way", ["offloaded", "dispatched"])
def test_a_model_placed_by_accelerate_generates_and_is_read(llama: Any, way: str) -> None:
    placed, prompts = offloaded("llama", way), ["w3 w4 w5", "w6"]
    read, written = (
        [run(model, tiny.tokenizer(), prompts, *rest) for model in (llama, placed)]
        for run, rest in ((geo.read_activations, (["output.1"],)), (geo.generate, ()))
    )
    assert torch.equal(*(found[geo.Site("output", 1)] for found in read))
    assert written[0] == written[1]


@pytest.mark.parametrize("kind", ["Mamba2", "Rwkv"])
def test_a_past_that_is_no_cache_is_heeded_or_refused(kind: str) -> None:
    # A state has no length: every generated token could be taken for another prompt.
    shape = {"num_heads": 4, "head_dim": 8, "n_groups": 1, "state_size": 4, "intermediate_size": 32}
    model, wrong = made(f"{kind}ForCausalLM", f"{kind}Config", **{**_SMALL, **shape}), []
    model.generation_config.eos_token_id = None
    for name, (positions, _) in tiny.KINDS.items():
        try:
            with geo.steer(model, tiny.steering(name), positions=positions):
                whole, stepwise = (tiny.generated(model, tiny.tokens(1, 9), use_cache=cache) for cache in (False, True))
        except geo.errors.SteeringError:
            continue
        if not torch.equal(whole, stepwise):
            wrong.append(name)
    assert not wrong


@pytest.mark.parametrize("site", ["input.1", "output.1", "before_norm", "after_norm"])
@pytest.mark.parametrize("name", ["llama", "gemma2", "qwen3"])
@pytest.mark.filterwarnings("ignore")
def test_a_model_of_8_bit_integers_is_steered_exactly(name: str, site: str) -> None:
    quantised = torch.ao.quantization.quantize_dynamic(tiny.build(name), {nn.Linear}, dtype=torch.qint8)
    vector, plain = tiny.vector(site), tiny.run(quantised, IDS)
    with geo.steer(quantised, vector, positions="last"):
        steered = tiny.run(quantised, IDS)
    wanted = tiny.moved(plain[site], vector[site], tiny.pattern(".....0", ".....0"))
    assert torch.equal(steered[site], wanted)
    assert not torch.equal(steered["logits"], plain["logits"])
    assert torch.equal(tiny.run(quantised, IDS)["logits"], plain["logits"])


def test_a_compiled_model_is_steered_or_refused(llama: Any) -> None:
    llama.compile(backend="eager")
    with torch.no_grad():
        plain = llama(input_ids=IDS).logits
        with suppress(geo.errors.SteeringError), geo.steer(llama, tiny.vector("output.1"), positions="all"):
            assert not torch.equal(llama(input_ids=IDS).logits, plain)
    torch.compiler.reset()
