"""A judge that asks a model at an address which speaks as OpenAI's does: chat completions over HTTP."""

import http.client
import json
import math
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any
from urllib.parse import SplitResult, urlsplit

import numpy as np
from numpy.typing import NDArray

from geometry.arguments import checked
from geometry.errors import EstimationError
from geometry.judging.instruct import check_question
from geometry.judging.judge import Judge

_TEMPLATE = "Here is a text:\n\n{text}\n\n{question} Answer with one whole number from 0 (not at all) to 10 (entirely)."
# Whole, with its sign: of -3 no 3, of 1e3 no 1.
_NUMBER = re.compile(r"(?<![\w.,])[-−]?\d+(?:[.,]\d+)?(?![\w%])")
_OUT_OF = re.compile(r"(?<=\d)\s*(?:/|(?:out )?of)\s*10\b")
_MOST = 10.0
_LARGEST = 1 << 20  # bytes of an answer
_AGAIN = frozenset({408, 429, 500, 502, 503, 504})


@checked
def address_judge(
    address: str,
    model: str,
    question: str,
    *,
    key_variable: str = "OPENAI_API_KEY",
    timeout: float = 30.0,
    retries: int = 2,
    wait: float = 1.0,
    name: str = "",
) -> Judge:
    """A number from 0 to 10 by which a model at an address answers a question on each text.

    Example::

        judge = geo.judging.address_judge("http://localhost:8000/v1", "my-model", "How much is this text about birds?")

    Each text is one request to `{address}/chat/completions`, at temperature 0. Every text that is scored is sent there;
    neither texts nor the key are put in any message or file.

    Parameters:
        address: http:// or https://, up to and with "/v1".
        model: as the server calls it.
        question: to be answered by a number.
        key_variable: the environment variable that holds the key, looked up at every call; none is sent if it is unset.
        timeout: seconds that each request may take.
        retries: further requests after one that got no answer, or a busy server's (408, 429, 5xx).
        wait: seconds before the first of these, doubled each time.

    Raises EstimationError: no such address or question; when it is called, no answer, a refusal, or one without a
        number from 0 to 10, or several of which none stands first. The message says which text by its number.
    """
    question = check_question(question)
    parts = _parts(address)
    if not model.strip():
        raise EstimationError("a judge at an address needs the name of a model there")
    if not 0 < timeout < math.inf or retries < 0 or not 0 <= wait < math.inf:
        raise EstimationError(
            f"timeout above 0, retries and wait of at least 0, all finite, not {timeout}, {retries}, {wait}"
        )
    url = f"{address.rstrip('/')}/chat/completions"

    def score(texts: Sequence[str]) -> NDArray[np.float64]:
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get(key_variable):
            if not key.isascii() or not key.isprintable():
                raise EstimationError(f"{key_variable} holds characters that no key has")
            headers["Authorization"] = f"Bearer {key}"
        return np.array([rated(index, text, headers) for index, text in enumerate(texts)])

    def rated(index: int, text: str, headers: dict[str, str]) -> float:
        content = _TEMPLATE.format(text=text.strip() or "(empty)", question=question)
        body = {"model": model, "messages": [{"role": "user", "content": content}], "temperature": 0, "max_tokens": 8}
        request = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310 (http and https alone)
        said = f"{parts.hostname}, text {index}"
        for attempt in range(retries + 1):
            try:
                return _number(_asked(request, timeout), said)
            except _Busy as busy:
                if attempt == retries:
                    raise EstimationError(f"{said}: {busy}, asked {retries + 1} times") from None
                time.sleep(wait * 2**attempt)
        raise AssertionError  # the last attempt has returned or raised

    return Judge(name or question, "0 to 10", score, (f"{model} at {parts.hostname} was asked",))


def _parts(address: str) -> SplitResult:
    try:
        parts = urlsplit(address)
        known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port or a bracket that is none
        known = False
    plain = address.isascii() and not any(map(str.isspace, address))
    if not known or not plain or parts.username or parts.password:
        raise EstimationError(
            "the address of a judge is such as http://localhost:8000/v1, without spaces, a user or a password"
        )
    return parts


class _Busy(Exception):  # noqa: N818 (it may pass)
    """No answer for now, and why."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A key is for the address that it was given for."""

    def redirect_request(self, *_: Any) -> None:
        """No request elsewhere."""


_OPENER = urllib.request.build_opener(_NoRedirects)


def _asked(request: urllib.request.Request, timeout: float) -> bytes:
    try:
        with _OPENER.open(request, timeout=timeout) as response:
            answer, end = b"", time.monotonic() + timeout
            # The timeout of a socket is one of every read: an answer that drips in would never meet it.
            while part := response.read1(_LARGEST - len(answer)):
                answer += part
                if time.monotonic() > end:
                    raise TimeoutError("timed out")
            return answer
    except urllib.error.HTTPError as error:
        with error:
            reason = f"the server answered {error.code} {error.reason}"
        if error.code in _AGAIN:
            raise _Busy(reason) from None
        raise EstimationError(f"{urlsplit(request.full_url).hostname}: {reason}") from None
    except (OSError, http.client.HTTPException) as error:
        cause = getattr(error, "reason", None) or error
        raise _Busy(f"no answer ({type(error).__name__}: {cause})") from None


def _number(answer: bytes, said: str) -> float:
    try:
        content = json.loads(answer)["choices"][0]["message"]["content"]
        content = _OUT_OF.sub("", content).strip()
    except (ValueError, LookupError, TypeError, RecursionError):
        raise EstimationError(f"{said}: the answer is no chat completion") from None
    numbers = _NUMBER.findall(content)
    if len(numbers) > 1 and not content.startswith(numbers[0]):
        raise EstimationError(f"{said}: the answer holds several numbers, and none stands first")
    rating = float(numbers[0].replace(",", ".").replace("−", "-")) if numbers else -1.0
    if not 0 <= rating <= _MOST:
        raise EstimationError(f"{said}: the answer holds no number from 0 to 10")
    return rating
