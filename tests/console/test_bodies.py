"""How much of a request is read: a real server, real sockets, bodies that do not say how long they are, or lie."""

from __future__ import annotations

import logging
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator

import httpx
import pytest
import sqlalchemy as sa
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient

from archive.database import DatabaseError
from archive.errors import ArchiveError, RecordingError
from console import guard
from console.context import Context
from console.guard import MAX_BODY
from console.pages import operations
from console.pages.compliance import MAX_SCRIPT

SignIn = Callable[..., httpx.Client]
PIECE = b"x" * 65536


@pytest.fixture
def port(app: FastAPI) -> Iterator[int]:
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(10)


def chunked(
    port: int, path: str, kind: str, head: bytes, total: int, cookie: str = "", tail: bytes = b""
) -> tuple[int, int]:
    """Send up to ``total`` bytes in chunks without a length; the answer's status, and how many bytes were sent."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as line:
        host = f"127.0.0.1:{port}"
        lines = [f"POST {path} HTTP/1.1", f"Host: {host}", f"Origin: http://{host}", f"Content-Type: {kind}",
                 "Transfer-Encoding: chunked", "Accept: text/html"]  # fmt: skip
        if cookie:
            lines.append(f"Cookie: callgate_session={cookie}")
        line.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
        sent, piece = 0, head
        try:
            while sent < total:
                line.sendall(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                sent, piece = sent + len(piece), PIECE
            if tail:
                line.sendall(f"{len(tail):x}\r\n".encode() + tail + b"\r\n")
            line.sendall(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass  # the server hung up: it had answered
        answer = b""
        while b"\r\n\r\n" not in answer:
            try:
                piece = line.recv(65536)
            except ConnectionResetError:
                break
            if not piece:
                break
            answer += piece
    found = re.match(rb"HTTP/1.1 (\d{3})", answer)
    return int(found[1]) if found else 0, sent


FORM = "application/x-www-form-urlencoded"
UPLOAD = "multipart/form-data; boundary=b"
FILE = b'--b\r\nContent-Disposition: form-data; name="after"; filename="a.yaml"\r\n\r\n'


def test_a_stranger_cannot_make_the_sign_in_page_read_for_ever(port: int) -> None:
    status, sent = chunked(port, "/sign-in", FORM, b"name=a&password=", 64 * MAX_BODY)
    assert status in (413, 0) and sent < 32 * MAX_BODY, "it hung up long before the end"
    assert chunked(port, "/sign-in", FORM, b"name=a&password=", MAX_BODY + 200_000)[0] == 413
    assert chunked(port, "/sign-in", FORM, b"name=a&password=b", 17)[0] == 401, "a small one is read as ever"


def test_an_upload_in_chunks_is_bounded_by_what_arrives(port: int, sign_in: SignIn) -> None:
    token = sign_in("compliance").cookies["callgate_session"]
    assert chunked(port, "/compliance/diff", UPLOAD, FILE, MAX_SCRIPT + 300_000, token)[0] == 413
    assert chunked(port, "/compliance/diff", UPLOAD, FILE, MAX_BODY + 300_000, token, b"\r\n--b--\r\n")[0] in (404, 422)


def test_a_body_that_trickles_in_is_not_waited_for(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "PATIENCE_S", 0.3)
    monkeypatch.setattr(guard, "SLOWEST", 2**40)
    here = f"127.0.0.1:{port}"
    head = f"POST /sign-in HTTP/1.1\r\nHost: {here}\r\nOrigin: http://{here}\r\nContent-Type: {FORM}\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=20) as line:
        line.sendall(f"{head}Content-Length: 1000\r\n\r\nname=".encode())
        answer = b""
        while piece := line.recv(65536):  # the server ends the connection by itself
            answer += piece
    assert answer.startswith(b"HTTP/1.1 408 ") and b"took too long" in answer


def test_a_length_that_says_too_much_is_refused_unread(
    app: FastAPI, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = sign_in("operator")
    for length in (str(MAX_BODY + 1), "-1", "1e3", "９"):
        answer = client.post("/operations/stop", content=b"", headers={"content-length": length.encode("utf-8")})
        assert answer.status_code == 413, length
    big = {"file": ("a.csv", b"x" * (MAX_BODY * 2))}
    assert client.post("/operations/import", files=big).status_code == 422, "an import may be larger than a form"
    assert operations.MAX_FILE > 16 * MAX_BODY


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (
            DatabaseError("the archive /srv/secret/callgate.db: disk I/O error", row_at_fault=False),
            503,
            "cannot be used",
        ),
        (DatabaseError("the archive /srv/secret/callgate.db: too big", row_at_fault=True), 400, "refused a value"),
        (RecordingError("cannot read the recording /srv/secret/a.wav: gone"), 500, "recording cannot be read"),
        (ArchiveError("cannot write the bundle s3://bucket/secret/x.zip: denied"), 400, "cannot write the bundle …"),
        (ArchiveError("/srv/secret/x exists; it is not overwritten"), 400, "… exists; it is not overwritten"),
        (
            ArchiveError("cannot open the archive postgresql://u@db.internal/secret: no"),
            400,
            "cannot open the archive …",
        ),
    ],
)
def test_what_the_archive_cannot_do_is_told_without_its_paths(
    app: FastAPI, context: Context, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
    error: ArchiveError, status: int, told: str,
) -> None:  # fmt: skip
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("console.pages.session.People", fail)
    for accept in ("text/html", "application/json"):
        with caplog.at_level(logging.ERROR):
            answer = TestClient(app).get("/sign-in", headers={"accept": accept, "accept-language": "en"})
        assert answer.status_code == status and told in answer.text
        assert "secret" not in answer.text and "db.internal" not in answer.text
    assert "/sign-in" in caplog.text and "secret" in caplog.text, "the log says which file it was"


def test_a_real_database_error_does_not_name_the_file(sign_in: SignIn, context: Context) -> None:
    client = sign_in("reviewer")
    with context.database.write() as session:
        session.execute(sa.text("ALTER TABLE console_comments RENAME TO gone"))
        session.execute(sa.text("ALTER TABLE console_assignments RENAME TO gone_too"))
    answer = client.get("/queue")
    assert answer.status_code == 503 and ".db" not in answer.text and str(context.home) not in answer.text
