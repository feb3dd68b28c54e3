"""An adapter by which lm-evaluation-harness evaluates a steered model; of lm_eval the base class alone is used."""

import importlib
from collections.abc import Sequence
from typing import Any

from geometry.arguments import checked
from geometry.errors import SteeringError
from geometry.judging.continuations import Continuations, Pair
from geometry.progress import progress_bar
from geometry.steering import Condition, Positions, SteeringVector, encode, generate, steer
from geometry.steering.prompts import LanguageModel, Tokenizer

_LONGEST = 2048  # tokens, of models that name no limit
_NEW_TOKENS = 256  # where a task says nothing


@checked
def harness_model(
    model: LanguageModel,
    tokenizer: Tokenizer,
    vector: SteeringVector | None,
    *,
    positions: Positions | None = None,
    when: Condition | None = None,
    batch_size: int = 8,
) -> Any:
    """An `lm_eval.api.model.LM`, for `lm_eval.simple_evaluate(model=…)`: its answers are those of the steered model.

    Example::

        import lm_eval  # pip install lm-eval
        steered = geo.judging.harness_model(model, tokenizer, vector, positions="all")
        results = lm_eval.simple_evaluate(steered, tasks=["arc_easy"], limit=100)

    Parameters:
        vector: None: unsteered, to compare with by the same adapter.
        positions, when: as of `steer`; the prompt is what lm_eval calls the context. Positions are names or indices.
        batch_size: texts at a time.

    Texts are tokenised as everywhere here: with what the tokenizer puts before a text, without what it puts after.
    Contexts that are too long lose their beginning. Perplexity of whole documents (`loglikelihood_rolling`) takes all
    but one token of a window for continuation.

    Raises SteeringError: lm_eval is not installed; what `steer` refuses, and generation with a sampler other than
        temperature and top-p.
    """
    try:
        api, utils = importlib.import_module("lm_eval.api.model"), importlib.import_module("lm_eval.utils")
    except ImportError as error:
        raise SteeringError("lm-evaluation-harness is not installed; pip install lm-eval") from error
    base: Any = api.TemplateLM
    continuations = Continuations(model, tokenizer, vector, positions, when, batch_size)

    class SteeredLM(base):  # type: ignore[misc]
        """A steered model, as lm_eval asks for one."""

        def __init__(self) -> None:
            super().__init__()
            self.tokenizer = tokenizer
            limit = getattr(model.config.get_text_config(), "max_position_embeddings", None)
            self.max_length = int(limit) if isinstance(limit, int) else _LONGEST

        @property
        def eot_token_id(self) -> int:
            """What ends a text."""
            return _token(tokenizer, "eos_token_id")

        @property
        def prefix_token_id(self) -> int:
            """What a text without a context begins with."""
            return _token(tokenizer, "bos_token_id")

        @property
        def tokenizer_name(self) -> str:
            """For lm_eval's records and caches."""
            return str(tokenizer.name_or_path).replace("/", "__")

        def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
            """By the tokenizer's own template."""
            return str(
                tokenizer.apply_chat_template(chat_history, tokenize=False, add_generation_prompt=add_generation_prompt)
            )

        def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_: Any) -> list[int]:
            """Token ids of a text."""
            if add_special_tokens is False:
                return list(tokenizer.encode(string, add_special_tokens=False))
            bos = vector.bos if vector is not None else None
            return [int(token) for token in encode(tokenizer, [string], bos=bos).input_ids[0]]

        def _loglikelihood_tokens(
            self, requests: Sequence[tuple[Any, list[int], list[int]]], **_: Any
        ) -> list[tuple[float, bool]]:
            pairs = [self._fitting(context, continuation) for _, context, continuation in requests]
            return continuations.log_likelihoods(pairs)

        def _fitting(self, context: list[int], continuation: list[int]) -> Pair:
            room = self.max_length + 1 - len(continuation)
            if room < 1:
                raise SteeringError(f"a continuation of {len(continuation)} tokens is longer than {self.max_length}")
            return context[-room:], continuation

        def loglikelihood_rolling(self, requests: Sequence[Any], **_: Any) -> list[float]:
            """The log-likelihood of whole documents, window by window."""
            totals = []
            for request in requests:
                ids = list(tokenizer.encode(request.args[0], add_special_tokens=False))
                windows = utils.get_rolling_token_windows(ids, self.prefix_token_id, self.max_length, context_len=1)
                pairs = [utils.make_disjoint_window(window) for window in windows]
                totals.append(sum(value for value, _ in continuations.log_likelihoods(pairs)))
            return totals

        def generate_until(self, requests: Sequence[Any], **_: Any) -> list[str]:
            """Texts up to a string that ends them."""
            return [self._generated(*request.args) for request in progress_bar(list(requests), "generating")]

        def _generated(self, context: str, settings: dict[str, Any]) -> str:
            until = settings.get("until") or []
            stops = [until] if isinstance(until, str) else list(until)
            sampled = bool(settings.get("do_sample")) and float(settings.get("temperature") or 0.0) > 0
            sampling: dict[str, Any] = {
                name: float(settings[name]) for name in ("temperature", "top_p") if sampled and name in settings
            }
            known = {"until", "do_sample", "temperature", "top_p", "max_gen_toks", "max_new_tokens"}
            if other := sorted(settings.keys() - known):
                raise SteeringError(f"the task generates with {', '.join(other)}, which is not known here")
            count = int(settings.get("max_gen_toks") or settings.get("max_new_tokens") or _NEW_TOKENS)
            asked: dict[str, Any] = {"max_new_tokens": count, **sampling}
            if vector is None:
                ((generation,),) = generate(model, tokenizer, [context], **asked)
            else:
                with steer(model, vector, positions=positions, when=when):
                    ((generation,),) = generate(model, tokenizer, [context], **asked)
            text = generation.text
            for stop in filter(None, stops):
                text = text.split(stop)[0]
            return text

    return SteeredLM()


def _token(tokenizer: Tokenizer, name: str) -> int:
    for each in (name, "eos_token_id", "bos_token_id"):
        if (token := getattr(tokenizer, each, None)) is not None:
            return int(token)
    raise SteeringError("this tokenizer has no token that begins or ends a text, which lm_eval needs")
