"""The peer of ``response_gap``: a stock pipecat voice agent on the same line, weights and voice.

Put together as pipecat's documentation does it: Twilio Media Streams over FastAPI, ``WhisperSTTService``, Silero and
smart-turn v3 with every default, context aggregators, a text-to-speech service. Three choices favour it:

- instead of a language model a processor answers in the same instant;
- models are loaded before the call is answered;
- its sentences are fixed, so a long pause costs it no thought.

Input runs at pipecat's default 16 kHz (the serializer resamples), because ``WhisperSTTService`` hands its audio to
the model as it is. No timeout, strategy or analyzer is changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, WebSocket
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import (
    BotStoppedSpeakingFrame,
    EndWorkerFrame,
    ErrorFrame,
    Frame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMRunFrame,
    LLMTextFrame,
    MetricsFrame,
    TranscriptionFrame,
)
from pipecat.metrics.metrics import TurnMetricsData
from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair, LLMUserAggregatorParams
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.runner.utils import parse_telephony_websocket
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.services.settings import TTSSettings
from pipecat.services.tts_service import TTSService
from pipecat.services.whisper.stt import WhisperSTTService
from pipecat.transcriptions.language import Language
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport
from pipecat.workers.runner import WorkerRunner

from agent.events import Lang
from agent.speech.speaker import VoiceStyle
from audio import espeak
from audio.telephone import RATE

PEER = f"stock pipecat {version('pipecat-ai')}: WhisperSTTService, smart-turn v3, espeak-ng"

LINES: dict[Lang, tuple[str, ...]] = {
    "zh": (
        "您好，这里是客户服务中心，我是智能语音助手，本次通话会被录音，请问您现在方便说话吗？",
        "好的，为了保护您的信息安全，请您告诉我证件号码的最后四位数字是多少？",
        "谢谢您的配合，您的贷款本期还有三千五百元没有还上，请问您打算什么时候处理呢？",
        "明白了，我已经把您说的情况记录下来，请问还有什么需要向我们说明的吗？",
        "请您再确认一下，刚才我记录的日期和金额，是不是都符合您的意思？",
        "感谢您的接听，稍后我们会把处理结果通过短信发送给您，祝您生活愉快！",
    ),
    "en": (
        "Hello, this is the service centre, I am an automated assistant and this call is recorded, may I speak?",
        "Thank you, to protect your information please tell me the last four digits of your identity number?",
        "Thank you, three thousand five hundred dollars are still open on your loan, when would you like to pay?",
        "I understand, and I have written down what you told me, is there anything else that we should know?",
        "Let me check this with you once more, are the date and the amount that I wrote down both right?",
        "Thank you for your time today, we will send you a short message with the details, have a nice day!",
    ),
}
"""What the peer says, in turn: about as long as the agent's own lines, and no two in a row alike."""

_VOICES: dict[Lang, str] = {"zh": "cmn", "en": "en-us"}
_LANGUAGES: dict[Lang, Language] = {"zh": Language.ZH, "en": Language.EN}
_CALL_LIMIT_S = 200


@dataclass(slots=True)
class PeerCall:
    """What shows that the peer worked: what it transcribed, what smart-turn decided, what failed."""

    transcripts: list[str] = field(default_factory=list)
    complete: int = 0
    incomplete: int = 0
    smart_turn_ms: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


class Witness(BaseObserver):
    """Notes transcripts, end-of-turn predictions and errors as they pass."""

    def __init__(self, call: PeerCall) -> None:
        super().__init__(observe_every_push=False)
        self._call = call

    async def on_push_frame(self, data: FramePushed) -> None:
        frame = data.frame
        if isinstance(frame, TranscriptionFrame):
            self._call.transcripts.append(frame.text.strip())
        elif isinstance(frame, ErrorFrame):
            self._call.errors.append(frame.error)
        elif isinstance(frame, MetricsFrame):
            for metric in frame.data:
                if isinstance(metric, TurnMetricsData):
                    self._call.complete += metric.is_complete
                    self._call.incomplete += not metric.is_complete
                    self._call.smart_turn_ms.append(metric.e2e_processing_time_ms)


class Responder(FrameProcessor):
    """Stands where the language model would: answers every context at once, ``replies`` times, then hangs up."""

    def __init__(self, lang: Lang, replies: int) -> None:
        super().__init__(name="responder")
        self._lines = LINES[lang]
        self._replies = replies
        self._given = 0
        self._ending: asyncio.Task[None] | None = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMContextFrame) and direction is FrameDirection.DOWNSTREAM:
            if self._given < self._replies:
                await self._answer()
            return
        await self.push_frame(frame, direction)
        if isinstance(frame, BotStoppedSpeakingFrame) and self._given == self._replies and self._ending is None:
            self._ending = self.create_task(self._hang_up())

    async def cleanup(self) -> None:
        ending, self._ending = self._ending, None
        if ending is not None:
            await self.cancel_task(ending)
        await super().cleanup()  # type: ignore[no-untyped-call]

    async def _answer(self) -> None:
        text = self._lines[self._given % len(self._lines)]
        self._given += 1
        await self.push_frame(LLMFullResponseStartFrame())
        await self.push_frame(LLMTextFrame(text))
        await self.push_frame(LLMFullResponseEndFrame())

    async def _hang_up(self) -> None:
        await asyncio.sleep(0.5)  # what is still on its way to the borrower's ear
        await self.push_frame(EndWorkerFrame())


class EspeakTTSService(TTSService):
    """espeak-ng as a pipecat service: every sentence is synthesised when it is wanted, in a thread."""

    def __init__(self, lang: Lang, style: VoiceStyle) -> None:
        name = f"{_VOICES[lang]}+{style.variant}"
        super().__init__(
            push_start_frame=True,
            push_stop_frames=True,
            settings=TTSSettings(model=None, voice=name, language=None),
        )
        self._espeak = espeak.Voice(name, style.rate, style.pitch, style.pitch_range)

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame, None]:
        pcm, rate = await asyncio.to_thread(espeak.synthesize, text, self._espeak)

        async def whole() -> AsyncIterator[bytes]:
            yield pcm.tobytes()

        async for frame in self._stream_audio_frames_from_iterator(whole(), in_sample_rate=rate, context_id=context_id):
            yield frame


class StockServer:
    """Answers ``/stock/{lang}/{replies}/{key}``; ``calls[key]`` is what its witness saw.

    ``model``: what faster-whisper loads. ``replies`` counts the greeting. ``cut``: encode no more than the weights'
    own window in place of the 3000 frames that faster-whisper always fills; no stock pipeline does that.
    """

    def __init__(self, model: str, style: VoiceStyle, *, cut: bool = False) -> None:
        self.calls: dict[str, PeerCall] = {}
        self.name = f"{PEER}, context cut to the weights' window" if cut else PEER
        self._model = model
        self._style = style
        self._cut = cut
        self._app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
        self._app.add_api_websocket_route("/stock/{lang}/{replies}/{key}", self._answer)

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Serve on a free port of the loopback interface; yields the WebSocket base URL."""
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            self._app, log_config=None, access_log=False, ws="websockets-sansio", lifespan="off",
            timeout_graceful_shutdown=5,
        )  # fmt: skip
        server = _Server(config)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            while not server.started:
                if task.done():
                    await task
                    raise RuntimeError("the stock pipeline's server did not start")
                await asyncio.sleep(0.01)
            yield f"ws://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task
            listener.close()

    def _fit(self, model: Any) -> None:
        """Let small weights run at all: faster-whisper's fixed 448 text tokens may lie beyond their positions, where
        a runaway transcript is an error in place of a text, and the turn stays without an answer.
        """
        notes = Path(self._model) / "preprocessor_config.json"
        if notes.is_file():
            limit = json.loads(notes.read_text(encoding="utf-8")).get("max_target_positions", model.max_length)
            model.max_length = min(model.max_length, int(limit))
        if self._cut:
            encode, window = model.encode, model.feature_extractor.nb_max_frames
            model.encode = lambda features: encode(features[..., :window])

    async def _answer(self, websocket: WebSocket, lang: Lang, replies: int, key: str) -> None:
        call = self.calls.setdefault(key, PeerCall())
        # Loading before the call is answered keeps it out of every gap.
        stt = await asyncio.to_thread(
            WhisperSTTService,
            device="cpu",
            compute_type="int8",
            settings=WhisperSTTService.Settings(model=self._model, language=_LANGUAGES[lang]),
        )
        self._fit(stt._model)
        vad = SileroVADAnalyzer()
        tts = EspeakTTSService(lang, self._style)
        await websocket.accept()
        _, start = await parse_telephony_websocket(websocket)
        transport = FastAPIWebsocketTransport(
            websocket=websocket,
            params=FastAPIWebsocketParams(
                audio_in_enabled=True,
                audio_out_enabled=True,
                serializer=TwilioFrameSerializer(
                    stream_sid=start["stream_id"],
                    call_sid=start["call_id"],
                    params=TwilioFrameSerializer.InputParams(auto_hang_up=False),
                ),
                session_timeout=_CALL_LIMIT_S,
            ),
        )
        user, assistant = LLMContextAggregatorPair(LLMContext(), user_params=LLMUserAggregatorParams(vad_analyzer=vad))
        stages = [
            transport.input(),
            stt,
            user,
            Responder(lang, replies),
            tts,
            transport.output(),
            assistant,
        ]
        worker = PipelineWorker(
            Pipeline(stages),
            params=PipelineParams(audio_in_sample_rate=16000, audio_out_sample_rate=RATE),
            enable_rtvi=False,
            idle_timeout_secs=None,
            observers=[Witness(call)],
        )
        runner = WorkerRunner(handle_sigint=False)

        async def greet(_transport: object, _websocket: object) -> None:
            await worker.queue_frames([LLMRunFrame()])

        async def hung_up(_transport: object, _websocket: object) -> None:
            await worker.cancel()

        transport.add_event_handler("on_client_connected", greet)
        transport.add_event_handler("on_client_disconnected", hung_up)
        await runner.add_workers(worker)
        await runner.run()


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Ctrl-C belongs to the benchmark."""
        yield
