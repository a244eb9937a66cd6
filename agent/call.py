"""One call, as one list: line → hear → understand → (archive) → follow → gate → speak → line."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from pipecat.frames.frames import EndFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.workers.runner import WorkerRunner

from agent.answering.stage import ToneWatch
from agent.archiving import Archivist
from agent.clock import CallClock
from agent.desk import CallDesk, PreparedCall
from agent.errors import LineError
from agent.events import Disposition
from agent.following import Follow
from agent.frames import LineClosedFrame
from agent.gatekeeping import GateKeeper
from agent.hearing import Hear
from agent.live import CallOutcome, News
from agent.live_hub import LiveEntry, OverheardRecorder
from agent.speech.stage import Speak
from agent.supervising import steering
from agent.telephony.line import Line
from agent.telephony.stages import LineInput, LineOutput
from agent.understanding import Understand
from archive.errors import ArchiveError
from archive.recorder import Recorder
from archive.transcript import write_transcript
from archive.writer import CallArchive, NewCall, Promise
from audio.telephone import RATE

log = logging.getLogger(__name__)

CALL_LIMIT = 900.0
"""Seconds after which a call is ended whatever happens: no reminder takes a quarter of an hour."""


@dataclass(slots=True)
class LiveCall:
    """What the stages of one call share."""

    desk: CallDesk
    call: PreparedCall
    line: Line
    clock: CallClock
    archive: CallArchive
    recorder: Recorder
    follow: Follow
    archivist: Archivist


def stages(live: LiveCall) -> list[FrameProcessor]:
    """The way of one call. Words go down this list; what was decided, spoken and noticed comes back up."""
    desk, call, case = live.desk, live.call, live.call.case
    models = desk.models
    return [
        LineInput(live.line, live.clock, live.recorder, silence_limit=desk.settings.carrier_silence),
        ToneWatch(),
        Hear(models.transcriber, live.clock, call.lang),
        Understand(
            models.understander,
            live.clock,
            today=call.today.date(),
            time_zone=case.time_zone,
            currency=case.currency,
            amount_due=case.amount_due,
        ),
        live.archivist,
        live.follow,
        GateKeeper(models.gate, call.script),
        Speak(desk.cache, desk.style),
        LineOutput(live.line, live.clock, live.recorder),
    ]


async def run_call(desk: CallDesk, call: PreparedCall, line: Line) -> CallOutcome:
    """Run an answered call to its end.

    Raises ``ArchiveError`` if it cannot be archived: a call that nobody could check afterwards is not made. What
    goes wrong later ends this call alone, with the disposition ``failed`` and everything recorded so far kept.
    """
    clock = CallClock(call.at)
    worker: PipelineWorker | None = None
    loop = asyncio.get_running_loop()

    def on_archive_error(error: Exception) -> None:
        """The disk is full or the database gone: recording is mandatory, so this call ends. Any thread."""
        log.error("call %s: %s", call.call_id, error)
        closed = LineClosedFrame("archive failed", str(error))
        if (running := worker) is not None and not loop.is_closed():
            loop.call_soon_threadsafe(lambda: loop.create_task(running.queue_frame(closed)))

    new = NewCall(
        lang=call.lang,
        id=call.call_id,
        scenario=call.label or None,
        script_id=call.script.id,
        script_hash=call.script.content_hash,
        policy=call.policy,
        campaign=call.about.campaign,
        case_id=call.about.case_id,
        person_id=call.about.person_id,
        stage=call.about.stage,
        models={"voice": desk.cache.engine},
    )
    archive = CallArchive.begin(desk.database, desk.layout.home, new, clock=clock.now, on_error=on_archive_error)
    archive.answered()
    follow = Follow(call.dialogue, clock)
    entry = LiveEntry(
        desk.hub,
        call.call_id,
        call.lang,
        steer=steering(archive, follow, clock, call.lang, lambda: worker),
        campaign=call.label or None,
        can_transfer=lambda: call.hand_over is not None,
    )
    recorder = OverheardRecorder(entry, archive.files.recording, clock.now, start=0.0, on_error=on_archive_error)
    live = LiveCall(
        desk, call, line, clock, archive, recorder, follow, Archivist(archive, clock, _telling(entry, call.listener))
    )
    if call.listener is not None:
        call.listener(News("answered", 0.0))
    desk.hub.begin(entry)
    try:
        worker = PipelineWorker(
            Pipeline(stages(live)),
            params=PipelineParams(audio_in_sample_rate=RATE, audio_out_sample_rate=RATE),
            enable_rtvi=False,
            enable_turn_tracking=False,
            idle_timeout_secs=None,
        )
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(worker)
        limit = loop.call_later(CALL_LIMIT, lambda: loop.create_task(worker.queue_frame(EndFrame())))
        try:
            await runner.run()
        finally:
            limit.cancel()
            if not (live.follow.transfer and await _handed_over(live)):
                await line.hang_up("call ended")
        return await asyncio.to_thread(_settle, live)
    finally:
        desk.hub.over(entry)
        recorder.close()
        archive.close()


def _telling(entry: LiveEntry, listener: Callable[[News], None] | None) -> Callable[[News], None]:
    """The supervisors' hub hears of everything, and so does the call's own listener if it has one."""
    if listener is None:
        return entry.told
    own = listener

    def tell(news: News) -> None:
        entry.told(news)
        own(news)

    return tell


async def _handed_over(live: LiveCall) -> bool:
    """Give the person to the people's queue, if the carrier can. One that nobody takes is flagged, not forgotten."""
    hand_over = live.call.hand_over
    if hand_over is None or live.follow.closed is not None:
        return False
    try:
        await hand_over()
    except LineError as e:
        log.error("call %s: the hand-over failed: %s", live.call.call_id, e)
        live.archive.event("transfer_failed", reason=type(e).__name__)
        live.archive.flag("transfer failed", "critical")
        return False
    live.archive.event("transferred")
    return True


def _settle(live: LiveCall) -> CallOutcome:
    """Enter the outcome, close the recording, write the transcript."""
    follow, archive, recorder = live.follow, live.archive, live.recorder
    duration = live.clock.now()
    ending = follow.ending
    disposition: Disposition = ending.disposition if ending is not None else "failed"
    promise = None
    if follow.promise is not None:
        promise = Promise(*follow.promise, currency=live.call.case.currency)
    recorder.close()
    archive.event("ended", duration=round(duration, 3), transfer=follow.transfer)
    archive.finish(disposition, promise)
    archive.close()
    error = follow.closed.error if follow.closed is not None else None
    if archive.error is not None or recorder.error is not None:
        error = str(archive.error or recorder.error)
    try:
        write_transcript(live.desk.database, live.desk.layout.home, live.call.call_id)
    except ArchiveError as e:
        error = error or str(e)
        log.error("call %s: %s", live.call.call_id, e)
    outcome = CallOutcome(
        live.call.call_id,
        disposition,
        follow.promise,
        tuple(live.archivist.gaps_ms),
        archive.files.recording,
        archive.files.transcript_json,
        duration,
        error,
    )
    if live.call.listener is not None:
        live.call.listener(News("ended", duration, text=disposition))
    return outcome
