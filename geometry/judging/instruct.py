"""A judge that asks an instruct model on this machine: the probability of yes against no to a fixed question."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.arguments import checked
from geometry.errors import SteeringError
from geometry.judging.judge import Judge
from geometry.steering import Architecture, chat_prompts, encode
from geometry.steering.architecture import evaluating
from geometry.steering.hook_manager import HookManager
from geometry.steering.padding import heeds_padding
from geometry.steering.prompts import LanguageModel, Tokenizer

TEMPLATE = "Here is a text:\n\n{text}\n\n{question} Answer with one word, yes or no."
_BATCH = 16


def asked(question: str, text: str) -> str:
    """What a judge that answers in words is asked."""
    return TEMPLATE.format(text=text.strip() or "(empty)", question=question)


def check_question(question: str) -> str:
    """The question; SteeringError where there is none."""
    if not question.strip():
        raise SteeringError("an instruct model needs a question, such as 'Is this text about birds?'")
    return question.strip()


@checked
def instruct_judge(
    model: LanguageModel, tokenizer: Tokenizer, question: str, *, name: str = "", batch_size: int = _BATCH
) -> Judge:
    """P(yes) / (P(yes) + P(no)) as the next word, after the text and a question in the model's chat template.

    Example::

        judge = geo.judging.instruct_judge(model, tokenizer, "Is this text about birds?")
        scores = judge(["A robin sang in the hedge.", "The bank was closed."])

    It is as good as the model: a small one may answer yes to anything, which texts that are known tell. The model
    answers unsteered.

    Parameters:
        question: to be answered by yes or no.
        name: default, the question.
        batch_size: texts at a time.

    Raises SteeringError: no question, a tokenizer without a chat template or one that writes yes and no as the same
        token; when it is called, a vector at work in the model.
    """
    question = check_question(question)
    if batch_size < 1:
        raise SteeringError(f"a batch holds at least one text, not {batch_size}")
    chat_prompts(tokenizer, [question])  # refuses a tokenizer without a template
    answers = [_first_tokens(tokenizer, word) for word in ("yes", "no")]
    if not all(answers) or answers[0] & answers[1]:
        raise SteeringError("this tokenizer begins yes and no with the same token; another judge is needed")
    architecture = Architecture.of(model)

    def score(texts: Sequence[str]) -> NDArray[np.float64]:
        if HookManager.at_work(model) is not None:
            raise SteeringError("a judge answers unsteered; remove the vector at work in its model first")
        prompts = chat_prompts(tokenizer, [asked(question, text) for text in texts])
        size = batch_size if heeds_padding(architecture) else 1
        chances = []
        with torch.no_grad(), evaluating(architecture.model):
            for start in range(0, len(prompts), size):
                batch = encode(tokenizer, prompts[start : start + size], device=architecture.device)
                architecture.check_tokens(batch.input_ids)
                logits = model(**architecture.accepted(batch.arguments)).logits[:, -1].float().cpu()
                yes, no = (logits[:, sorted(tokens)].logsumexp(dim=1) for tokens in answers)
                chances.append(torch.sigmoid(yes - no))
        return np.asarray(torch.cat(chances).double().numpy())

    return Judge(name or question, "P(yes) against no", score, (f"{type(architecture.model).__name__} was asked",))


def _first_tokens(tokenizer: Tokenizer, word: str) -> set[int]:
    """The first tokens of a word in either case, at the beginning of a text and after a space, if it is whole there."""
    forms = (form for cased in (word, word.capitalize()) for form in (cased, f" {cased}"))
    rows = (tokenizer.encode(form, add_special_tokens=False) for form in forms)
    return {int(row[0]) for row in rows if len(row) == 1}
