"""A file of a repository on a hub, read in part: every answer is checked for being what was asked, and trouble is met
by asking again for what is missing.

The client is the hub's own, so that a user's endpoint, token, proxies and certificates are honoured; it takes the token
to no other host, wherever it is redirected.
"""

import io
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from geometry.errors import ModelError, shown

_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", re.ASCII)
_TRIES = 5  # without a byte
_PAUSE = 1.0  # seconds before the second of them, twice as long before each further one


class NoRangesError(Exception):
    """The server sends whole files only."""


class _CutShortError(Exception):
    """The answer ended too early."""


@dataclass(frozen=True)
class RemoteFile:
    """A file at one commit of a repository; `model` is what messages call it.

    ModelError, of each method: the file is not there or not to be had, the answer is not what was asked, or there is
    none after several tries.
    """

    model: str
    repository: str
    commit: str
    name: str

    def whole(self, most: int) -> bytes:
        """All of a file that may have so many bytes."""
        sink = io.BytesIO()

        def receive() -> None:
            sink.seek(0)
            sink.truncate()
            self._receive(sink.write, None, most)

        self._persist(receive, lambda: 0)
        return sink.getvalue()

    def start(self, length: int) -> tuple[bytes, int]:
        """The first so many bytes, or fewer where there are no more, and the size of the file.

        NoRangesError: the server sends whole files only.
        """
        sink, size = io.BytesIO(), 0

        def receive() -> None:
            nonlocal size
            sink.seek(0)
            sink.truncate()
            size = self._receive(sink.write, (0, length), length)

        self._persist(receive, lambda: 0)
        return sink.getvalue(), size

    def copy(self, write: Callable[[bytes], object], start: int, stop: int, size: int) -> None:
        """Write the bytes from `start` to `stop` of a file of that size as they come.

        NoRangesError: the server sends whole files only.
        """
        reached = start

        def count(piece: bytes) -> None:
            nonlocal reached
            write(piece)
            reached += len(piece)

        def receive() -> None:
            if reached < stop and (found := self._receive(count, (reached, stop), stop - reached)) != size:
                raise ModelError(f"{self.model}: {self.name} has {found} bytes, where it had {size} before; try again")

        self._persist(receive, lambda: reached)

    def part(self, start: int, stop: int, size: int) -> bytes:
        """The bytes from `start` to `stop`, as `copy` writes them."""
        sink = io.BytesIO()
        self.copy(sink.write, start, stop, size)
        return sink.getvalue()

    def _persist(self, receive: Callable[[], None], reached: Callable[[], int]) -> None:
        """Call until it succeeds, as long as something comes or tries are left."""
        from huggingface_hub.errors import GatedRepoError, HfHubHTTPError

        failures = 0
        while True:
            before = reached()
            try:
                return receive()
            except (ModelError, NoRangesError):
                raise
            except GatedRepoError as error:
                raise ModelError(gated(self.model)) from error
            except HfHubHTTPError as error:
                raise ModelError(f"{self.model}: could not download {self.name}: {error}") from error
            except Exception as error:  # whatever the HTTP backend raises when a connection fails
                if isinstance(error, OSError) and error.errno is not None:
                    raise  # the disk's
                failures = 1 if reached() > before else failures + 1
                if failures >= _TRIES:
                    why = str(error) or type(error).__name__
                    raise ModelError(f"{self.model}: could not download {self.name}: {why}; try again") from error
                time.sleep(_PAUSE * 2 ** (failures - 1))

    def _receive(self, write: Callable[[bytes], object], span: tuple[int, int] | None, most: int) -> int:
        """Write what is sent of that span, or all, and return the size of the file."""
        # Imported here: most runs read local files, and the hub client takes a second to import.
        from huggingface_hub import constants, hf_hub_url, utils

        client: Any = utils
        headers = client.build_hf_headers() | {"Accept-Encoding": "identity"}
        if span:
            headers["Range"] = f"bytes={span[0]}-{span[1] - 1}"
        url = hf_hub_url(self.repository, self.name, revision=self.commit)
        timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
        answer = client.http_stream_backoff("GET", url, headers=headers, timeout=timeout, retry_on_exceptions=())
        with answer as response:
            client.hf_raise_for_status(response)
            told = {name.lower(): value for name, value in response.headers.items()}
            if span and (response.status_code != 206 or told.get("content-encoding", "identity") != "identity"):
                raise NoRangesError
            expected, size = self._announced(told, span, most)
            received = 0
            for piece in response.iter_bytes():
                received += len(piece)
                if received > (limit := most if expected is None else expected):
                    raise ModelError(f"{self.model}: {self.name}: the hub sent more than {limit} bytes")
                write(piece)
        if expected is not None and received < expected:
            raise _CutShortError(f"the answer ended after {received} of {expected} bytes")
        return size

    def _announced(self, told: dict[str, str], span: tuple[int, int] | None, most: int) -> tuple[int | None, int]:
        """(bytes to come, if that is said, size of the file) by the answer's head."""
        if span:
            said = _RANGE.fullmatch(told.get("content-range", ""))
            first, last, size = map(int, said.groups()) if said else (-1, -1, -1)
            if first != span[0] or last + 1 != min(span[1], size):
                sent = shown(told.get("content-range"))
                asked = f"bytes {span[0]}-{span[1] - 1} were asked for"
                raise ModelError(f"{self.model}: {self.name}: {asked}, and the hub sent {sent}")
            return last + 1 - first, size
        length = told.get("content-length", "") if told.get("content-encoding", "identity") == "identity" else ""
        if not length.isdecimal():
            return None, 0
        if int(length) > most:
            raise ModelError(f"{self.model}: {self.name} has {length} bytes, where at most {most} are read")
        return int(length), int(length)


def gated(model: str) -> str:
    """What is to be said of a repository whose licence has not been accepted."""
    return f"{model}: access is gated; accept its licence on the hub, then run: hf auth login"
