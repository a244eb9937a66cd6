"""Evidence leaves the console with its original sound: for one role, on the record, and as a file that verifies."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from archive.audit import AuditLog
from archive.evidence import open_recording
from console.context import Context
from console.permissions import GRANTS, ROLES

SignIn = Callable[..., httpx.Client]
ACall = Callable[..., str]


def exported(context: Context) -> list[tuple[str, dict[str, object]]]:
    with context.database.read() as session:
        return [(e.actor, json.loads(e.payload)) for e in AuditLog(session).entries(kinds=["call.exported"])]


def test_the_bundle_holds_the_sound_as_it_is_and_says_who_took_it(
    sign_in: SignIn, a_call: ACall, context: Context, tmp_path: Path
) -> None:
    call = a_call(text="我的身份证后四位是四零七二")
    client = sign_in("compliance")
    page = client.get(f"/calls/{call}").text
    assert "original sound" in page and f'action="/calls/{call}/evidence"' in page
    answer = client.post(f"/calls/{call}/evidence", data={"purpose": "court"})
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/zip"
    assert call in answer.headers["content-disposition"] and answer.headers["cache-control"] == "no-store"
    bundle = zipfile.ZipFile(io.BytesIO(answer.content))
    with open_recording(context.database, context.store, call, actor="test") as original:
        sound = b"".join(original.wav())
    assert hashlib.sha256(bundle.read("audio.wav")).digest() == hashlib.sha256(sound).digest(), "nothing is covered"
    [(actor, payload)] = exported(context)
    assert actor == "compliance" and payload["purpose"] == "court" and payload["original_sound"] is True
    assert not list(context.home.glob(".bundle-*")), "nothing of it stays on the disk"
    if shutil.which("openssl"):
        bundle.extractall(tmp_path / "out")
        assert subprocess.run(["sh", "verify.sh"], cwd=tmp_path / "out", capture_output=True).returncode == 0


def test_one_role_may_and_no_other(sign_in: SignIn, a_call: ACall, context: Context) -> None:
    assert [role for role in ROLES if "evidence.export" in GRANTS[role]] == ["compliance"]
    call = a_call()
    for role in ROLES:
        if role == "compliance":
            continue
        client = sign_in(role)
        assert client.post(f"/calls/{call}/evidence", data={"purpose": "court"}).status_code == 403
        assert client.post(f"/api/v1/calls/{call}/evidence", json={"purpose": "court"}).status_code == 403
        if role in ("reviewer", "supervisor", "auditor"):
            assert "/evidence" not in client.get(f"/calls/{call}").text
    assert exported(context) == []


@pytest.mark.parametrize("path", ["/calls/{}/evidence", "/api/v1/calls/{}/evidence"])
def test_what_cannot_be_exported_is_refused(sign_in: SignIn, a_call: ACall, context: Context, path: str) -> None:
    client, call = sign_in("compliance"), a_call()

    def send(call_id: str, **body: str) -> int:
        kind = {"json": body} if "/api/" in path else {"data": body}
        return client.post(path.format(call_id), **kind).status_code  # type: ignore[arg-type]

    assert send(call, purpose="curiosity") == 422 and send(call) == 422
    assert send("11111111-1111-4111-8111-111111111111", purpose="court") == 404
    assert send("..%2f..%2fetc", purpose="court") == 404
    assert client.get(path.format(call)).status_code == 405, "a link that is merely looked at exports nothing"
    assert exported(context) == []
    assert send(call, purpose="regulator") == 200 and len(exported(context)) == 1
