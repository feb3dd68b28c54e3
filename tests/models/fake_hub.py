"""A hub on this machine with one repository, which counts what it sends and can be made to misbehave."""

import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import torch
from safetensors.torch import save_file

from tests.models.checkpoints import TOKENS, write_config, write_tokenizer

NEW, OLD = "0123456789abcdef0123456789abcdef01234567", "89abcdef0123456789abcdef0123456789abcdef"
SHARDS = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
INDEX = "model.safetensors.index.json"
EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"
_PIECE = 1 << 14


@dataclass
class Answer:
    """What is to be sent for a file; the span is that of the range asked for, None for the whole file."""

    name: str
    span: tuple[int, int] | None
    body: bytes
    status: int
    headers: dict[str, str]


@dataclass
class FakeHub:
    """A repository `lab/tiny`: the folder of each of its commits, what revisions are, and what was asked and sent."""

    root: Path
    revisions: dict[str, str] = field(default_factory=lambda: {"main": NEW, "v1": OLD, "pr/1": OLD})
    ranges: bool = True
    # Given each answer to a GET of a file before it is sent.
    twist: Callable[[Answer], object] = lambda _: None
    requested: list[str] = field(default_factory=list)
    sent: Counter[str] = field(default_factory=Counter)
    tokens: list[str | None] = field(default_factory=list)
    # When so many bytes of a file were sent, nothing more comes until the hub is left.
    stalls_after: int | None = None
    stalled: threading.Event = field(default_factory=threading.Event)
    left: threading.Event = field(default_factory=threading.Event)
    endpoint: str = ""

    def commit(self, revision: str = "main") -> Path:
        folder = self.root / self.revisions.get(revision, revision)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs that is to find this hub alone, and caches of its own."""
        caches = {"HF_HOME": "home", "HF_HUB_CACHE": "theirs", "CONCEPT_GEOMETRY_CACHE": "ours"}
        return {"HF_ENDPOINT": self.endpoint} | {name: str(self.root / folder) for name, folder in caches.items()}

    @property
    def kept(self) -> Path:
        """What our cache has of the repository."""
        return self.root / "ours" / "hub" / "models--lab--tiny"

    def forget(self) -> None:
        """Count anew."""
        self.requested.clear()
        self.sent.clear()


@contextmanager
def serving(hub: FakeHub) -> Iterator[FakeHub]:
    """The hub answers on a port of its own as long as the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, *, body: bool) -> None:
            _, _, rest = self.path.partition("/lab/tiny")
            revision, _, name = rest.removeprefix("/resolve/").partition("/")
            if self.path.startswith("/api/"):
                revision = rest.removeprefix("/revision/").replace("%2F", "/") or "main"
            folder = hub.commit(sha) if (sha := hub.revisions.get(revision, revision)) in (NEW, OLD) else None
            hub.tokens.append(self.headers["Authorization"])
            if not rest and not self.path.startswith("/api/models/lab/tiny"):
                self.refuse("RepoNotFound")
            elif folder is None:
                self.refuse("RevisionNotFound")
            elif self.path.startswith("/api/"):
                found = [file for file in folder.rglob("*") if file.is_file()]
                files = [{"rfilename": file.relative_to(folder).as_posix()} for file in found]
                self.send(json.dumps({"id": "lab/tiny", "sha": sha, "siblings": files}).encode(), 200, {}, body=body)
            elif not (folder / name).exists():
                self.refuse("EntryNotFound")
            else:
                self.file(name, sha, (folder / name).read_bytes(), body=body)

        def file(self, name: str, sha: str, content: bytes, *, body: bool) -> None:
            headers = {"X-Repo-Commit": sha, "ETag": f'"{hashlib.sha256(content).hexdigest()}"'}
            asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers["Range"] or "")
            span, status, sent = None, 200, content
            if asked and hub.ranges:
                span = int(asked[1]), min(int(asked[2]) + 1, len(content))
                status, sent = 206, content[slice(*span)]
                headers["Content-Range"] = f"bytes {span[0]}-{span[1] - 1}/{len(content)}"
            answer = Answer(name, span, sent, status, headers | {"Content-Length": str(len(sent))})
            if body:
                hub.requested.append(name)
                hub.twist(answer)
            self.send(answer.body, answer.status, answer.headers, body=body, name=name)

        def refuse(self, code: str) -> None:
            self.send_response(404)
            self.send_header("X-Error-Code", code)
            self.end_headers()

        def send(self, content: bytes, status: int, headers: dict[str, str], *, body: bool, name: str = "") -> None:
            self.send_response(status)
            for header, value in ({"Content-Length": str(len(content))} | headers).items():
                self.send_header(header, value)
            self.end_headers()
            for at in range(0, len(content) if body else 0, _PIECE):
                if name and hub.stalls_after is not None and hub.sent[name] >= hub.stalls_after:
                    hub.stalled.set()
                    hub.left.wait()
                    return
                try:
                    self.wfile.write(content[at : at + _PIECE])
                except OSError:  # whoever asked has gone
                    return
                if name:
                    hub.sent[name] += len(content[at : at + _PIECE])

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        hub.left.set()
        server.shutdown()
        server.server_close()


def fill(repository: Path, width: int = 8) -> torch.Tensor:
    """Two shards, of which only the second is needed."""
    head = torch.randn(len(TOKENS), width)
    shard(repository, [{"model.layers.0.mlp.weight": torch.randn(width, 32)}, {HEAD: head}])
    write_config(repository, model_type="llama")
    write_tokenizer(repository)
    return head


def shard(repository: Path, tensors: list[dict[str, torch.Tensor]]) -> None:
    """Shards of these tensors, and their index."""
    for file, held in zip(SHARDS, tensors, strict=True):
        save_file(held, repository / file)
    index = {name: file for file, held in zip(SHARDS, tensors, strict=True) for name in held}
    (repository / INDEX).write_text(json.dumps({"weight_map": index}))
