"""Entering simulated calls into the archive, sealed like real ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from agent.seeding import Seeded, Simulator
from archive.database import Database
from archive.keys import master_keys
from archive.layout import private_folder
from archive.masked_rows import masked_rows
from archive.recorder import Recorder
from archive.repository import RECORDS, CallRepository
from archive.sealing import reseal, seal_call
from archive.store import Store
from archive.wav import RATE
from audio.espeak import Voice, synthesize
from audio.g711 import Pcm16

BATCH = 25
ACTOR = "simulator"


@dataclass(frozen=True, slots=True)
class Result:
    """How many calls were entered, and how many had been there already."""

    made: int
    there: int


def fill(
    database: Database,
    store: Store,
    simulator: Simulator,
    calls: int,
    recordings: int = 0,
    *,
    progress: Callable[[int], None] = lambda _: None,
) -> Result:
    """Enter calls 0 to ``calls`` - 1, of which the first ``recordings`` with words are also spoken. Raises
    ``ArchiveError``."""
    made = there = spoken = 0
    for first in range(0, calls, BATCH):
        batch = [simulator.call(number) for number in range(first, min(first + BATCH, calls))]
        with database.read() as session:
            known = {c.call["id"] for c in batch if CallRepository(session).call(c.call["id"]) is not None}
        new = [call for call in batch if call.call["id"] not in known]
        voiced: list[Seeded] = []
        for call in new:
            if spoken < recordings and len(call.rows["turns"]) > 3:
                voiced.append(call)
                spoken += 1
        _enter(database, store, new, voiced)
        made, there = made + len(new), there + len(known)
        progress(len(batch))
    return Result(made, there)


def _enter(database: Database, store: Store, calls: Sequence[Seeded], voiced: Sequence[Seeded]) -> None:
    paths = {call.call["id"]: _record(store, call) for call in voiced}
    with database.write() as session:
        repository = CallRepository(session)
        for call in calls:
            call_id = call.call["id"]
            path = paths.get(call_id)
            repository.add_call({**call.call, "recording": None if path is None else store.layout.relative(path)})
            rows = masked_rows(call.rows)
            for table in RECORDS:
                if rows[table]:
                    repository.add_records(table, rows[table])
            repository.audit.append("call.began", actor=ACTOR, subject=call_id, lang=call.call["lang"], simulated=True)
            if path is None:
                reseal(session, call_id, actor=ACTOR, why="simulated, without sound")
    for call_id in paths:
        seal_call(database, store, call_id, actor=ACTOR, why="simulated")


def _record(store: Store, call: Seeded) -> Path:
    """Both sides spoken by espeak-ng at their times."""
    files = store.layout.call(call.call["id"], call.call["started_at"], encrypted=master_keys() is not None)
    private_folder(files.folder)
    files.recording.unlink(missing_ok=True)  # of a run that was cut off before its rows were written
    clock = 0.0
    with Recorder(files.recording, lambda: clock, start=0.0, background=False) as recorder:
        for turn in call.rows["turns"]:
            clock = turn["start"]
            recorder.write(turn["who"], _speech(turn, call.call["lang"]), at=turn["start"])
            clock = turn["end"]
            recorder.flush()
        clock = (call.call["ended_at"] - call.call["answered_at"]).total_seconds()
    return files.recording


def _speech(turn: Mapping[str, Any], lang: str) -> Pcm16:
    text = str(turn["heard_text"] or turn["text"])
    name = "cmn" if lang == "zh" else "en-us"
    voice = Voice(name) if turn["who"] == "agent" else Voice(f"{name}+m3")
    pcm, rate = synthesize(text, voice)
    sound = soxr.resample(pcm.astype(np.float32), rate, RATE)
    most = int((turn["end"] - turn["start"]) * RATE)
    whole: Pcm16 = np.clip(sound[:most], -32768, 32767).astype(np.int16)
    return whole
