"""Hubs that break off, lie or lead elsewhere: a line that says so, or the right matrix, and never a wrong one."""

import json
import struct
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
import torch

import geometry as geo
from geometry.models import kept_tensors
from geometry.models.checkpoint import SINGLE
from tests.models.checkpoints import TOKENS, write_config, write_tokenizer
from tests.models.fake_hub import HEAD, INDEX, NEW, SHARDS, Answer, FakeHub, fill, shard

WIDTH = 1 << 12
SHAPE = [len(TOKENS), 8]
BYTES = len(TOKENS) * 8 * 4


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geometry.models.remote_file._PAUSE", 0.0)


def of_weights(change: Callable[[Answer], None]) -> Callable[[Answer], None]:
    """A twist of the answers that hold parts of the matrix."""

    def twist(answer: Answer) -> None:
        if answer.span and answer.span[0]:
            change(answer)

    return twist


def test_an_answer_that_breaks_off_is_gone_on_with(hub: FakeHub) -> None:
    head = fill(hub.commit(), WIDTH)

    def cut(answer: Answer) -> None:
        """Announced as a whole, it ends after a part."""
        answer.body = answer.body[:300_000]

    hub.twist = of_weights(cut)
    assert torch.equal(geo.Unembedding.load("lab/tiny").matrix, head)


def test_an_answer_that_breaks_off_at_once_is_an_error_in_the_end_and_the_next_run_goes_on(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_tensors, "_SYNCED", 1 << 16)
    head = fill(hub.commit(), WIDTH)

    def end(answer: Answer) -> None:
        if hub.sent[SHARDS[1]] > 1_000_000:
            answer.body = b""
        elif answer.span:
            answer.body = answer.body[:300_000]

    hub.twist = of_weights(end)
    with pytest.raises(geo.errors.ModelError, match=rf"lab/tiny: could not download {SHARDS[1]}: .*; try again"):
        geo.Unembedding.load("lab/tiny")
    assert not list(hub.kept.glob(f"snapshots/{NEW}/{HEAD}*"))
    hub.forget()
    hub.twist = lambda _: None
    assert torch.equal(geo.Unembedding.load("lab/tiny").matrix, head)
    assert hub.sent[SHARDS[1]] < len(TOKENS) * WIDTH * 4 - 500_000
    assert [path.name for path in (hub.kept / "snapshots").iterdir()] == [NEW]


@pytest.mark.parametrize(
    ("told", "complaint"),
    [
        ("bytes 0-3071/{size}", "and the hub sent 'bytes 0-3071/"),
        ("bytes {first}-{last}/{more}", "has .* bytes, where it had"),
        ("bytes {first}-{first}/{size}", "and the hub sent"),
        ("bytes {first}-{last}/*", "and the hub sent"),
        ("", "and the hub sent ''"),
    ],
)
def test_another_range_than_the_one_asked_for_is_refused(hub: FakeHub, told: str, complaint: str) -> None:
    fill(hub.commit(), WIDTH)
    size = (hub.commit() / SHARDS[1]).stat().st_size

    def lie(answer: Answer) -> None:
        assert answer.span
        first, stop = answer.span
        answer.headers["Content-Range"] = told.format(first=first, last=stop - 1, size=size, more=size + 1)

    hub.twist = of_weights(lie)
    with pytest.raises(geo.errors.ModelError, match=complaint):
        geo.Unembedding.load("lab/tiny")
    hub.twist = lambda _: None
    geo.Unembedding.load("lab/tiny")


def test_more_than_was_asked_for_is_refused(hub: FakeHub) -> None:
    fill(hub.commit(), WIDTH)

    def add(answer: Answer) -> None:
        answer.body += b"more"
        answer.headers["Content-Length"] = str(len(answer.body))

    hub.twist = of_weights(add)
    with pytest.raises(geo.errors.ModelError, match="sent more than 1572864 bytes"):
        geo.Unembedding.load("lab/tiny")


def test_an_encoded_answer_is_none_of_ranges(hub: FakeHub, capsys: pytest.CaptureFixture[str]) -> None:
    head = fill(hub.commit())

    def encode(answer: Answer) -> None:
        if answer.span:
            answer.headers["Content-Encoding"] = "br"

    hub.twist = encode
    assert torch.equal(geo.Unembedding.load("lab/tiny").matrix, head)
    assert "this hub sends whole files only" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("status", "headers", "complaint"),
    [
        (403, {"X-Error-Code": "GatedRepo"}, "^lab/tiny: access is gated; accept its licence on the hub"),
        (
            401,
            {"X-Error-Message": "Invalid credentials in Authorization header"},
            "could not download .*401.*Invalid credentials",
        ),
        (404, {"X-Error-Code": "EntryNotFound"}, "could not download config.json: 404 Client Error"),
        (416, {}, "could not download config.json: .*416"),
    ],
)
def test_a_file_that_is_refused_is_named(hub: FakeHub, status: int, headers: dict[str, str], complaint: str) -> None:
    fill(hub.commit())

    def refuse(answer: Answer) -> None:
        answer.status, answer.body, answer.headers = status, b"", headers

    hub.twist = refuse
    with pytest.raises(geo.errors.ModelError, match=complaint) as raised:
        geo.Unembedding.load("lab/tiny")
    assert "\n" not in str(raised.value)


def test_a_file_of_any_length_is_not_taken(hub: FakeHub) -> None:
    fill(hub.commit())

    def boast(answer: Answer) -> None:
        answer.headers["Content-Length"] = str(1 << 40)

    hub.twist = boast
    with pytest.raises(geo.errors.ModelError, match=r"config\.json has 1099511627776 bytes, where at most 67108864"):
        geo.Unembedding.load("lab/tiny")


def header(description: object, data: bytes = b"") -> bytes:
    text = description if isinstance(description, bytes) else json.dumps(description).encode()
    return struct.pack("<Q", len(text)) + text + data


WHOLE = {"dtype": "F32", "shape": SHAPE, "data_offsets": [0, BYTES]}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"PK", "not a safetensors file, or a damaged one: a header of 2 bytes of 2"),
        (struct.pack("<Q", 1 << 60) + b"{}", "a header of 1152921504606846976 bytes of 10"),
        (header(b"nothing"), "header cannot be read"),
        (header(b"[" * 9_000), "header cannot be read"),
        (header([1]), "it is no JSON object"),
        (header({HEAD: 1}), "header cannot be read"),
        (header({HEAD: WHOLE}), "where there are 0 bytes of numbers"),
        (header({HEAD: WHOLE | {"data_offsets": [-8, 0]}}), r"a tensor of shape \[96, 8\] at"),
        (header({HEAD: WHOLE | {"data_offsets": [8, 0]}}, bytes(BYTES)), "a tensor at 8 to 0"),
        (header({HEAD: WHOLE | {"shape": [96, 2**62]}}, bytes(BYTES)), "in 3072 bytes"),
        (header({HEAD: WHOLE | {"shape": [96, True]}}, bytes(BYTES)), "a tensor of shape"),
        (header({HEAD: WHOLE | {"dtype": "F32\n"}}, bytes(BYTES)), "a tensor of type"),
        (header(b'{"a": 1, "a": 1}'), "it says one thing twice"),
    ],
)
def test_a_header_that_is_none_is_refused(hub: FakeHub, content: bytes, complaint: str) -> None:
    write_config(hub.commit(), model_type="llama")
    write_tokenizer(hub.commit())
    (hub.commit() / SINGLE).write_bytes(content)
    with pytest.raises(geo.errors.ModelError, match=rf"^lab/tiny: {SINGLE}: .*{complaint}"):
        geo.Unembedding.load("lab/tiny")


def test_a_header_larger_than_any_is_not_asked_for(hub: FakeHub) -> None:
    fill(hub.commit())

    def boast(answer: Answer) -> None:
        if answer.span:
            answer.body = struct.pack("<Q", 1 << 30) + answer.body[8:]
            answer.headers["Content-Range"] = f"bytes 0-65535/{1 << 40}"
            answer.body = answer.body.ljust(1 << 16)
            answer.headers["Content-Length"] = str(len(answer.body))

    hub.twist = boast
    with pytest.raises(geo.errors.ModelError, match="a header of 1073741824 bytes, where at most 16777216 are read"):
        geo.Unembedding.load("lab/tiny")


def test_what_the_disk_has_no_room_for_is_not_asked_for(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(hub.commit(), WIDTH)
    monkeypatch.setattr(kept_tensors.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1 << 20}))
    with pytest.raises(geo.errors.ModelError, match=r"1572864 bytes are to be fetched into .*, where 1048576 are free"):
        geo.Unembedding.load("lab/tiny")


@pytest.mark.parametrize("place", ["../elsewhere", "/etc/passwd", "a/b"])
def test_an_index_that_points_outside_is_refused(hub: FakeHub, place: str) -> None:
    fill(hub.commit())
    (hub.commit() / INDEX).write_text(json.dumps({"weight_map": {HEAD: place}}))
    with pytest.raises(geo.errors.ModelError, match="points outside its folder"):
        geo.Unembedding.load("lab/tiny")


def test_an_index_that_names_the_wrong_shard_is_refused(hub: FakeHub) -> None:
    fill(hub.commit())
    (hub.commit() / INDEX).write_text(json.dumps({"weight_map": {HEAD: SHARDS[0], "other": SHARDS[1]}}))
    with pytest.raises(geo.errors.ModelError, match=f"{HEAD} is not in {SHARDS[0]}, where its index says it is"):
        geo.Unembedding.load("lab/tiny")


def test_a_head_that_the_index_does_not_list_counts(hub: FakeHub) -> None:
    head, embedding = torch.randn(len(TOKENS), 8), torch.randn(len(TOKENS), 8)
    shard(hub.commit(), [{"model.embed_tokens.weight": embedding, HEAD: head}, {"model.norm.weight": torch.ones(8)}])
    listed = {"model.embed_tokens.weight": SHARDS[0], "model.norm.weight": SHARDS[1]}
    (hub.commit() / INDEX).write_text(json.dumps({"weight_map": listed}))
    write_config(hub.commit(), model_type="llama", architectures=["LlamaForCausalLM"], tie_word_embeddings=True)
    write_tokenizer(hub.commit())
    model = geo.Unembedding.load("lab/tiny")
    assert torch.equal(model.matrix, head)
    assert not model.tied


def test_the_token_goes_to_the_hub_and_to_no_other_host(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    head = fill(hub.commit())
    elsewhere: list[str | None] = []

    class Store(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            elsewhere.append(self.headers["Authorization"])
            first, last = map(int, self.headers["Range"].removeprefix("bytes=").split("-"))
            content = (hub.commit() / self.path[1:]).read_bytes()
            self.send_response(206)
            part = content[first : last + 1]
            self.send_header("Content-Range", f"bytes {first}-{first + len(part) - 1}/{len(content)}")
            self.send_header("Content-Length", str(len(part)))
            self.end_headers()
            self.wfile.write(part)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Store)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

    def redirect(answer: Answer) -> None:
        if answer.span:
            answer.status, answer.body = 302, b""
            answer.headers = {"Location": f"http://127.0.0.1:{server.server_port}/{answer.name}", "Content-Length": "0"}

    hub.twist = redirect
    try:
        assert torch.equal(geo.Unembedding.load("lab/tiny").matrix, head)
    finally:
        server.shutdown()
        server.server_close()
    assert set(hub.tokens) == {"Bearer hf_secret"}
    assert len(elsewhere) >= 3
    assert set(elsewhere) == {None}
