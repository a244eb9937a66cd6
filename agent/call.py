"""One call, as one list: line → hear → understand → (archive) → follow → gate → speak → line."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, time

from pipecat.frames.frames import EndFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.workers.runner import WorkerRunner

from agent import handing_over, tracing
from agent.answering.stage import ToneWatch
from agent.archiving import Archivist
from agent.clock import CallClock
from agent.desk import CallDesk, PreparedCall
from agent.dialogue_types import State
from agent.echo import OwnVoice
from agent.errors import LineError
from agent.events import Disposition
from agent.following import Follow
from agent.frames import LineClosedFrame
from agent.gatekeeping import GateKeeper
from agent.hearing import Hear
from agent.hearing_words import hotwords
from agent.live import CallOutcome, News
from agent.live_hub import LiveEntry, OverheardRecorder
from agent.speech.stage import Speak
from agent.supervising import steering
from agent.telephony.line import Line
from agent.telephony.stages import LineInput, LineOutput
from agent.telephony.whisper import Whisper
from agent.understanding import Understand
from archive.errors import ArchiveError
from archive.recorder import Recorder
from archive.transcript import write_transcript
from archive.writer import CallArchive, NewCall, Promise
from audio.telephone import RATE

log = logging.getLogger(__name__)

CALL_LIMIT = 900.0
"""Seconds after which a call is ended whatever happens: no reminder takes a quarter of an hour."""
EMOTION_NOTICE = "emotion_disclosure"
"""Purpose of the line that tells people that emotion is recognised (EU AI Act, art. 50(3))."""


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
    own = OwnVoice()
    return [
        LineInput(live.line, live.clock, live.recorder, silence_limit=desk.settings.carrier_silence),
        ToneWatch(),
        Hear(models.transcriber, live.clock, call.lang, hotwords=hotwords(case, call.lang), own=own),
        Understand(
            models.understander,
            live.clock,
            today=call.today.date(),
            time_zone=case.time_zone,
            currency=case.currency,
            amount_due=case.amount_due,
            voice=lambda: voice_allowed(live),
        ),
        live.archivist,
        live.follow,
        GateKeeper(models.gate, call.script),
        Speak(desk.cache, desk.style),
        LineOutput(live.line, live.clock, live.recorder, own),
    ]


def voice_allowed(live: LiveCall) -> bool:
    """Whether the sound of the borrower's voice may be read for emotion now: where the policy asks that people are
    told of it, only once they were."""
    settings, gate, call = live.desk.settings, live.desk.models.gate, live.call
    if not settings.voice_emotion:
        return False
    if EMOTION_NOTICE not in gate.policies.resolve(call.policy, call.lang).disclosures:
        return True
    state = live.follow.state
    return state is not None and EMOTION_NOTICE in state.purposes_done


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
        campaign=call.about.campaign or call.label or None,
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
        with tracing.call(call.lang, call.script.id) as span:
            try:
                await runner.run()
            finally:
                limit.cancel()
                if not (live.follow.transfer and await _handed_over(live)):
                    await line.hang_up("call ended")
            outcome = await asyncio.to_thread(_settle, live)
            span.set_attribute("callgate.disposition", outcome.disposition)
        return outcome
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
        await hand_over(await _whisper(live))
    except LineError as e:
        log.error("call %s: the hand-over failed: %s", live.call.call_id, e)
        live.archive.event("transfer_failed", reason=type(e).__name__)
        live.archive.flag("transfer failed", "critical")
        return False
    live.archive.event("transferred")
    return True


async def _whisper(live: LiveCall) -> Whisper | None:
    """What the human is told before the person joins them, approved and archived like every line."""
    follow, call, desk = live.follow, live.call, live.desk
    if follow.state is None or follow.transfer is None:
        return None
    line, verdicts = handing_over.approved(
        desk.models.gate, call.case, follow.state, follow.transfer, follow.promise, call.today.date(),
        key=call.whisper_key,
    )  # fmt: skip
    for proposed, verdict in verdicts:
        live.archive.verdict(verdict, proposed)
    if line is None or line.line_id != handing_over.SUMMARY:
        live.archive.flag("whisper refused", "medium")
    if line is None:
        return None
    said = await handing_over.whisper(line, desk.cache, desk.style)
    if said is not None:
        live.archive.event("whispered", line=line.line_id)
    return said


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
        callback_of(follow.state),
        tuple(follow.restrictions),
        follow.state is not None and follow.state.party == "borrower",
    )
    if live.call.listener is not None:
        live.call.listener(News("ended", duration, text=disposition))
    return outcome


def callback_of(state: State | None) -> tuple[date | None, time | None] | None:
    """When the person asked to be called again, by their own clock, as far as they said it."""
    if state is None or (state.callback_date is None and state.callback_time is None):
        return None
    day, clock = state.callback_date, state.callback_time
    return date.fromisoformat(day) if day else None, time.fromisoformat(clock) if clock else None
