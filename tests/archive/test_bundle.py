"""The evidence bundle: checked by running the very commands that its VERIFY.md gives, with nothing of ours."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import wave
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from archive.bundle import Bundle, write_bundle
from archive.errors import ArchiveError
from archive.keys import new_key
from archive.retention import destroy
from archive.signing import signing_key
from archive.verify import verify
from archive.writer import CallArchive, NewCall

if TYPE_CHECKING:
    from conftest import Archive
else:
    Archive = Any

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


def commands() -> list[str]:
    """The shell blocks of the VERIFY.md that ships, as they stand."""
    from archive import bundle

    text = bundle._VERIFY.read_text(encoding="utf-8")
    return re.findall(r"```sh\n(.*?)```", text, re.DOTALL)


def unpack(made: Bundle, folder: Path) -> Path:
    with zipfile.ZipFile(made.path) as archive:
        archive.extractall(folder)
    return folder


def follow(folder: Path) -> list[tuple[int, str]]:
    """Every block run as a person would; exit status and output."""
    results = []
    for block in commands():
        done = subprocess.run(["bash", "-e", "-c", block], cwd=folder, capture_output=True, text=True, timeout=60)
        results.append((done.returncode, done.stdout + done.stderr))
    return results


@needs_openssl
@pytest.mark.parametrize("encrypted", [False, True])
def test_a_bundle_verifies_without_our_software(
    archive: Archive, tmp_path: Path, encrypted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if encrypted:
        monkeypatch.setenv("CALLGATE_RECORDING_KEYS", new_key("k"))
    call_id = archive.call(policy="us", policy_hash="p1", script_id="days")
    made = write_bundle(archive.database, archive.store, call_id, tmp_path / "e.zip", actor="wang")
    folder = unpack(made, tmp_path / "e")
    signature, signer, chain, rows = follow(folder)
    assert signature[0] == 0, signature[1]
    assert "Signature Verified Successfully" in signature[1]
    assert "audio.wav: OK" in signature[1]
    assert made.signer in signer[1]
    assert (chain[0], rows[0]) == (0, 0), chain[1] + rows[1]
    assert sorted(rows[1].split()) == sorted(
        f"{name}: as sealed".split()[n]
        for name in ("audio.wav", *(f"rows/{t}.jsonl" for t in ("calls", "events", "flags", "turns", "verdicts")))
        for n in range(3)
    )
    with wave.open(str(folder / "audio.wav")) as file:
        assert (file.getnchannels(), file.getframerate(), file.getnframes()) == (2, 8000, 16000)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["script"] == {"id": "days", "sha256": "s1"}
    assert manifest["models"] == {"asr": "base"}
    refused = json.loads((folder / "rows/verdicts.jsonl").read_text().splitlines()[1])
    assert (refused["decision"], refused["rules"][0]["clause"]) == ("refuse", "GB/T 45251 6.2")
    assert "I lost my job" in (folder / "transcript.txt").read_text()
    assert verify(archive.database, archive.store).intact


@needs_openssl
@pytest.mark.parametrize(
    ("name", "old", "new", "fails"),
    [
        ("rows/turns.jsonl", b"I lost my job", b"I will pay it", (0, 3)),
        ("audio.wav", None, None, (0, 3)),
        ("manifest.json", b'"s1"', b'"s2"', (0,)),
        ("SHA256SUMS", b"audio.wav", b"sound.wav", (0,)),
        ("audit/000000003.json", b"call.sealed", b"call.sealef", (0, 2, 3)),
    ],
)
def test_any_change_to_a_bundle_shows(
    archive: Archive, tmp_path: Path, name: str, old: bytes, new: bytes, fails: tuple[int, ...]
) -> None:
    made = write_bundle(archive.database, archive.store, archive.call(), tmp_path / "e.zip", actor="wang")
    folder = unpack(made, tmp_path / "e")
    data = (folder / name).read_bytes()
    changed = data[:100] + b"\x7f" + data[101:] if old is None else data.replace(old, new)
    assert changed != data
    (folder / name).write_bytes(changed)
    failed = tuple(number for number, (status, _) in enumerate(follow(folder)) if status != 0)
    assert failed == fails


@needs_openssl
def test_an_archive_that_was_tampered_with_gives_a_bundle_that_shows_it(archive: Archive, tmp_path: Path) -> None:
    call_id = archive.call()
    archive.tamper(f"UPDATE turns SET text = 'I will pay' WHERE seq = 1 AND call_id = '{call_id}'")
    made = write_bundle(archive.database, archive.store, call_id, tmp_path / "e.zip", actor="wang")
    results = follow(unpack(made, tmp_path / "e"))
    assert [status for status, _ in results] == [0, 0, 0, 1]
    assert "rows/turns.jsonl: CHANGED" in results[3][1]


@needs_openssl
def test_a_call_without_sound_and_a_purged_one(archive: Archive, tmp_path: Path) -> None:
    silent, purged = archive.call(sound=False), archive.call()
    destroy(archive.database, archive.store, purged, ["recording"], actor="system", why="test")
    for number, call_id in enumerate((silent, purged)):
        made = write_bundle(archive.database, archive.store, call_id, tmp_path / f"{number}.zip", actor="wang")
        folder = unpack(made, tmp_path / str(number))
        assert not (folder / "audio.wav").exists()
        assert [status for status, _ in follow(folder)] == [0, 0, 0, 0]


def script(folder: Path, *words: str) -> tuple[int, list[str]]:
    """The script in the bundle, run from elsewhere by the plainest shell there is."""
    done = subprocess.run(
        ["sh", str(folder / "verify.sh"), *words], cwd="/", capture_output=True, text=True, timeout=60,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
    )  # fmt: skip
    assert done.stderr == ""
    return done.returncode, [line for line in done.stdout.splitlines() if line.startswith("BAD")]


@needs_openssl
def test_the_script_in_the_bundle_finds_what_was_changed(archive: Archive, tmp_path: Path) -> None:
    call_id, silent = archive.call(), archive.call(sound=False)
    made = write_bundle(archive.database, archive.store, call_id, tmp_path / "e.zip", actor="wang")
    folder = unpack(made, tmp_path / "e")
    assert script(folder) == script(folder, made.signer) == (0, [])
    status, told = script(folder, "0" * 64)
    assert status == 1 and "not the one you named" in told[0]
    for name in (
        "rows/turns.jsonl",
        "rows/verdicts.jsonl",
        "audio.wav",
        "manifest.json",
        "transcript.txt",
        "SHA256SUMS.sig",
    ):
        path = folder / name
        whole = path.read_bytes()
        path.write_bytes(whole[:-1])
        status, told = script(folder)
        assert status == 1 and told, name
        path.write_bytes(whole)
    (folder / "extra.txt").write_text("slipped in")
    assert script(folder) == (1, ["BAD   a file that is not listed: extra.txt"])
    (folder / "extra.txt").unlink()
    (folder / "audio.wav").rename(folder / "kept")
    assert "BAD   the sound is missing" in script(folder)[1]
    assert script(folder)[0] == 1

    other = write_bundle(archive.database, archive.store, silent, tmp_path / "s.zip", actor="wang")
    assert script(unpack(other, tmp_path / "s")) == (0, [])
    archive.tamper(f"UPDATE verdicts SET decision = 'allow' WHERE seq = 1 AND call_id = '{silent}'")
    forged = write_bundle(archive.database, archive.store, silent, tmp_path / "f.zip", actor="wang")
    assert script(unpack(forged, tmp_path / "f")) == (1, ["BAD   verdicts are not as they were sealed"])


def test_what_cannot_be_bundled(archive: Archive, tmp_path: Path) -> None:
    live = CallArchive.begin(archive.database, archive.home, NewCall("en"))
    with pytest.raises(ArchiveError, match="not sealed"):
        write_bundle(archive.database, archive.store, live.call_id, tmp_path / "e.zip", actor="wang")
    with pytest.raises(ArchiveError, match="has no call"):
        write_bundle(archive.database, archive.store, "nobody", tmp_path / "e.zip", actor="wang")
    live.close()
    (tmp_path / "e.zip").write_bytes(b"evidence")
    with pytest.raises(ArchiveError, match="exists"):
        write_bundle(archive.database, archive.store, live.call_id, tmp_path / "e.zip", actor="wang")
    with pytest.raises(ArchiveError, match="cannot write"):
        write_bundle(archive.database, archive.store, live.call_id, tmp_path / "no" / "e.zip", actor="wang")


def test_where_the_signing_key_comes_from(tmp_path: Path) -> None:
    made = signing_key(tmp_path, {})
    assert (tmp_path / "signing.key").stat().st_mode & 0o077 == 0
    assert signing_key(tmp_path, {}).private_bytes_raw() == made.private_bytes_raw()
    given = Ed25519PrivateKey.generate()
    text = base64.b64encode(given.private_bytes_raw()).decode()
    assert signing_key(tmp_path, {"CALLGATE_SIGNING_KEY": text}).private_bytes_raw() == given.private_bytes_raw()
    for wrong in ("x", text[:-4], "é"):
        with pytest.raises(ArchiveError, match="CALLGATE_SIGNING_KEY") as caught:
            signing_key(tmp_path, {"CALLGATE_SIGNING_KEY": wrong})
        assert wrong not in str(caught.value) or wrong == "x"
    (tmp_path / "signing.key").write_text("damaged")
    with pytest.raises(ArchiveError, match="signing"):
        signing_key(tmp_path, {})
