"""``callgate transcribe`` as people run it: documents out, one line for each bad file, the others go on."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from asr.cli import run, target_names
from audio.espeak import Voice, synthesize
from audio.g711 import Floats, to_float
from audio.telephone import RATE, Line, telephone


def call(text: str, voice: str) -> Floats:
    pcm, rate = synthesize(text, Voice(voice, rate=160))
    return to_float(telephone(to_float(pcm), rate, Line(snr_db=30), np.random.default_rng(3)))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("calls")
    agent, borrower = call("您的贷款已经逾期十天了", "cmn+f2"), call("我下周三还款", "cmn+m3")
    gap = np.zeros(RATE // 2, np.float32)
    left = np.concatenate([np.zeros_like(agent), gap, borrower])
    right = np.concatenate([agent, gap, np.zeros_like(borrower)])
    soundfile.write(folder / "two.flac", np.stack([left, right], axis=1), RATE)
    soundfile.write(folder / "one.mp3", np.concatenate([agent, gap, borrower]), RATE)
    soundfile.write(folder / "silent.wav", np.zeros(2 * RATE, np.float32), RATE)
    (folder / "text.wav").write_text("not a sound\n" * 20)
    (folder / "empty.mp3").touch()
    return folder


def transcribed(*args: Any, **options: Any) -> tuple[int, list[Any], str]:
    out, err = StringIO(), StringIO()
    status = run(*args, out, err, threads=2, **options)
    return status, [json.loads(line) for line in out.getvalue().splitlines()], err.getvalue()


def test_a_document_a_file(files: Path) -> None:
    status, documents, said = transcribed([files / "two.flac", files / "one.mp3", files / "silent.wav"], lang="zh")
    assert (status, said) == (0, "")
    two, one, silent = documents
    assert [row["channel"] for row in two] == [1, 0]
    assert {"start", "end", "text", "words", "confidence"} <= set(two[0])
    assert {"text", "start", "end", "probability"} == set(two[0]["words"][0])
    assert [row["speaker"] for row in one] == ["speaker_1", "speaker_2"]
    assert "还款" in two[1]["text"]
    assert "还款" in one[1]["text"]
    assert silent == []


def test_bad_files_get_a_line_each_and_the_others_go_on(files: Path) -> None:
    paths = [files / "text.wav", files / "empty.mp3", files / "nowhere.wav", files / "two.flac"]
    status, documents, said = transcribed(paths, lang="zh")
    assert status == 2
    lines = said.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("callgate transcribe: ") for line in lines)
    assert [str(path) in line for path, line in zip(paths, lines, strict=False)] == [True] * 3
    assert [document.get("file") for document in documents[:3]] == [str(path) for path in paths[:3]]
    assert documents[3][0]["text"]


def test_documents_into_a_folder(files: Path, tmp_path: Path) -> None:
    status, documents, _ = transcribed([files / "silent.wav", files / "text.wav"], out=tmp_path / "new" / "folder")
    assert (status, documents) == (2, [])
    assert json.loads((tmp_path / "new" / "folder" / "silent.json").read_text()) == []
    assert "error" in json.loads((tmp_path / "new" / "folder" / "text.json").read_text())


def test_options_that_cannot_be_used(files: Path, tmp_path: Path) -> None:
    for options in (
        {"lang": "fr"},
        {"model": str(tmp_path)},
        {"model": "kaldi:x"},
        {"diarization": str(tmp_path)},
        {"out": files / "text.wav"},
    ):
        status, documents, said = transcribed([files / "silent.wav"], **options)
        assert (status, documents) == (2, [])
        assert len(said.splitlines()) == 1


def test_names_do_not_collide() -> None:
    paths = [Path(p) for p in ("a/call.wav", "b/call.wav", "a/call.mp3", "c/call.wav", "x.wav")]
    names = target_names(paths)
    assert len(set(names)) == len(paths)
    assert names[0] == "call.json"
    assert names[4] == "x.json"
