"""One thread, as the models are tiny."""

from tests.steering.conftest import _one_thread as _one_thread
