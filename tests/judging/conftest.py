"""Fixtures of judging: the tiny models of steering."""

from tests.steering.conftest import _one_thread, llama, model  # noqa: F401
