"""Prompts as the turns of a conversation, by the template that a tokenizer brings along."""

from collections.abc import Sequence

from geometry.arguments import checked
from geometry.errors import SteeringError, shown
from geometry.steering.prompts import Tokenizer


@checked
def chat_prompts(tokenizer: Tokenizer, prompts: Sequence[str]) -> list[str]:
    """Each prompt as what a user says, up to where the model's answer begins.

    Example::

        asked = geo.steering.chat_prompts(tokenizer, ["What did you see in the garden?"])
        with geo.steer(model, vector, positions="last"):
            generations = geo.generate(model, tokenizer, asked)

    A beginning-of-text token that the template writes is not put before it once more; see `encode`.

    Raises SteeringError: an empty prompt, a tokenizer without a chat template, or a template that fails.
    """
    if not getattr(tokenizer, "chat_template", None):
        raise SteeringError(f"{_name(tokenizer)} has no chat template; give the prompts as plain texts")
    if empty := [prompt for prompt in prompts if not prompt.strip()]:
        raise SteeringError(f"an empty prompt says nothing: {shown(empty[0])}")
    try:
        return [_asked(tokenizer, prompt) for prompt in prompts]
    except Exception as error:  # templates are programs, of whoever made the model
        raise SteeringError(f"the chat template of {_name(tokenizer)} fails: {error}") from error


def _asked(tokenizer: Tokenizer, prompt: str) -> str:
    turns = [{"role": "user", "content": prompt}]
    return str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))


def _name(tokenizer: Tokenizer) -> str:
    return f"the tokenizer {tokenizer.name_or_path}" if tokenizer.name_or_path else "this tokenizer"
