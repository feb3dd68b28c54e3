"""A judge at an address, against a server on this machine: what it is sent, what it may answer, what is never said."""

import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from geometry.errors import EstimationError
from geometry.judging import address_judge

KEY, TEXT = "sk-very-secret-0123", "a very private text"


def completion(content: object) -> tuple[int, bytes]:
    return 200, json.dumps({"choices": [{"message": {"content": content}}]}).encode()


class Server:
    """Answers by a list of (status, body), the last of them again and again, and keeps what it was sent."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, bytes]] = [completion("7")]
        self.seen: list[dict[str, Any]] = []
        own = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                own.seen.append({"path": self.path, "key": self.headers["Authorization"], **body})
                status, content = own.answers.pop(0) if len(own.answers) > 1 else own.answers[0]
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/elsewhere")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_port}/v1"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("JUDGE_KEY", KEY)
    made = Server()
    thread = threading.Thread(target=made.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.http.shutdown()
    made.http.server_close()
    thread.join()


def judge(server: Server, **options: Any) -> Any:
    return address_judge(server.address, "big", "On birds?", **{"key_variable": "JUDGE_KEY", "wait": 0.0, **options})


def test_each_text_is_one_question_and_its_number_the_score(server: Server) -> None:
    server.answers = [completion(each) for each in ("7", "Score: 3.5 of 10", "8/10", "7,5: 2 birds", "10")]
    assert judge(server)([TEXT, "b", "c", "d", ""]).tolist() == [7, 3.5, 8, 7.5, 10]
    assert [sent["path"] for sent in server.seen] == ["/v1/chat/completions"] * 5
    assert {sent["key"] for sent in server.seen} == {f"Bearer {KEY}"}
    first = server.seen[0]
    assert (first["model"], first["temperature"]) == ("big", 0)
    assert TEXT in first["messages"][0]["content"]
    assert "On birds?" in first["messages"][0]["content"]


def test_no_key_is_sent_where_there_is_none(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JUDGE_KEY")
    judge(server)(["a"])
    assert server.seen[0]["key"] is None


def test_a_busy_server_is_asked_again_and_no_more_often_than_told(server: Server) -> None:
    server.answers = [(503, b""), (429, b""), completion("4")]
    assert judge(server)(["a"]).tolist() == [4]
    server.answers = [(503, b"")]
    server.seen.clear()
    with pytest.raises(EstimationError, match=r"text 0: the server answered 503 .* asked 3 times"):
        judge(server)(["a"])
    assert len(server.seen) == 3


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((401, f"bad key {KEY}".encode()), "the server answered 401"),
        ((302, b""), "the server answered 302"),
        ((200, b"<html>"), "no chat completion"),
        ((200, b"[]"), "no chat completion"),
        ((200, b'{"choices": []}'), "no chat completion"),
        (completion(None), "no chat completion"),
        (completion(f"no number, {TEXT}"), "no number from 0 to 10"),
        (completion("11"), "no number from 0 to 10"),
        (completion("-3"), "no number from 0 to 10"),
        (completion("1e3"), "no number from 0 to 10"),
        (completion("From 0 to 10: 7"), "several numbers"),
        ((200, b"[" * 200_000), "no chat completion"),
    ],
)
def test_neither_key_nor_text_is_in_what_is_refused(
    server: Server, answer: tuple[int, bytes], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    server.answers = [answer]
    with caplog.at_level(logging.DEBUG), pytest.raises(EstimationError, match=said) as refused:
        judge(server)([TEXT])
    assert len(server.seen) == 1
    shown = str(refused.value) + caplog.text + repr(judge(server)) + str(judge(server).notes)
    assert KEY not in shown
    assert TEXT not in shown
    assert "\n" not in str(refused.value)


def test_a_server_that_is_not_there_is_said() -> None:
    unheard = address_judge("http://127.0.0.1:9/v1", "big", "On birds?", retries=0, timeout=0.5)
    with pytest.raises(EstimationError, match=r"127\.0\.0\.1, text 0: no answer .* asked 1 times"):
        unheard(["a"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"address": "localhost:8000"}, "the address of a judge"),
        ({"address": "file:///etc/passwd"}, "the address of a judge"),
        ({"address": "http://me:secret@localhost/v1"}, "without spaces, a user or a password"),
        ({"address": "http://[::1/v1"}, "the address of a judge"),
        ({"address": "http://localhost:port/v1"}, "the address of a judge"),
        ({"address": "http://localhost/a b"}, "without spaces"),
        ({"model": " "}, "name of a model"),
        ({"timeout": float("inf")}, "all finite"),
        ({"question": ""}, "needs a question"),
        ({"timeout": 0.0}, "timeout above 0"),
        ({"retries": -1}, "timeout above 0"),
    ],
)
def test_what_is_no_address_is_refused(options: dict[str, Any], said: str) -> None:
    given = {"address": "http://localhost/v1", "model": "big", "question": "On birds?", **options}
    with pytest.raises(Exception, match=said) as refused:
        address_judge(**given)
    assert "secret" not in str(refused.value)


def test_an_answer_that_drips_in_takes_no_longer_than_the_timeout() -> None:
    listening = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        connection, _ = listening.accept()
        with connection, suppress(OSError):
            connection.recv(1 << 16)
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            for _ in range(60):
                connection.sendall(b" ")
                time.sleep(0.05)

    thread = threading.Thread(target=drip)
    thread.start()
    begun = time.monotonic()
    slow = address_judge(
        f"http://127.0.0.1:{listening.getsockname()[1]}/v1", "big", "On birds?", retries=0, timeout=0.2
    )
    with pytest.raises(EstimationError, match=r"text 0: no answer .*timed out"):
        slow(["a"])
    assert time.monotonic() - begun < 2
    thread.join()
    listening.close()


def test_a_key_that_could_write_headers_is_refused(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUDGE_KEY", "a\r\nX-Evil: 1")
    with pytest.raises(EstimationError, match="JUDGE_KEY holds characters"):
        judge(server)(["a"])
    assert not server.seen
