"""From settings to the carrier that places real calls, with its server where it needs one."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr

from agent.desk import CallDesk, CallRefused, PreparedCall
from agent.dialing import NETWORK_OUTCOMES, OnPlaced, StatusBoard, place_hosted, place_on_pbx, result_of
from agent.errors import ConfigurationError
from agent.live import CallOutcome
from agent.server import MAX_MESSAGE, media_app
from agent.settings import Settings
from agent.telephony.asterisk import Ari, AsteriskCarrier
from agent.telephony.asterisk.application import claim
from agent.telephony.asterisk.audiosocket import AudioSocketServer
from agent.telephony.carrier import Carrier, DialFailed, DialRequest, DialStatus, HostedCarrier, Progress
from agent.telephony.plivo import PlivoCarrier
from agent.telephony.telnyx import TelnyxCarrier
from agent.telephony.twilio import TwilioCarrier
from agent.telephony.webhooks import webhook_routes
from campaigns.settling import CallResult
from campaigns.single import SingleDials
from campaigns.store import attach
from compliance_checks.policy import DEFAULT_POLICY

TOKEN_SLACK = 110.0
"""Seconds beyond the ring time for which a call's media token is good."""
_SECRETS: Mapping[str, tuple[str, ...]] = {
    "twilio": ("twilio_account_sid", "twilio_auth_token"),
    "telnyx": ("telnyx_api_key", "telnyx_connection_id", "telnyx_public_key"),
    "plivo": ("plivo_auth_id", "plivo_auth_token"),
}
"""The settings by which a provider knows us, and we it."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A carrier that is ready to place calls."""

    desk: CallDesk
    carrier: Carrier | HostedCarrier
    board: StatusBoard
    transfer_to: str | None

    async def call(self, call: PreparedCall, to: str, *, progress: Progress | None = None) -> CallOutcome:
        """Dial ``to`` for a call of its own, judged and entered in the frequency ledger in one transaction.

        Raises ``CallRefused`` naming the contact rule, ``DialFailed``, ``DialUnknown``, other ``CallgateError``.
        """
        attempt = str(uuid.uuid4())
        try:
            DialRequest(attempt, to, self.desk.settings.caller_id)
        except ValueError as e:
            raise ConfigurationError(str(e)) from e
        await asyncio.to_thread(attach, self.desk.database)
        ledger = SingleDials(self.desk.database, self.desk.models.gate.policies)
        policy = call.policy or DEFAULT_POLICY[call.lang]
        refusal = await asyncio.to_thread(ledger.dial, attempt, to, call.case.time_zone, call.lang, policy)
        if refusal is not None:
            raise CallRefused(refusal)
        result = CallResult("failed")  # answered, as far as anybody knows: what protects the person most
        try:
            outcome = await self.place(call, to, attempt, progress=progress)
            result = result_of(outcome)
        except DialFailed as e:
            result = CallResult(NETWORK_OUTCOMES[e.reason])
            raise
        finally:
            await asyncio.to_thread(ledger.settle, attempt, result)
        return outcome

    async def place(
        self,
        call: PreparedCall,
        to: str,
        attempt_id: str,
        *,
        caller_id: str | None = None,
        ring_timeout: float = 40.0,
        progress: Progress | None = None,
        on_placed: OnPlaced | None = None,
    ) -> CallOutcome:
        """Dial for an attempt that is in the ledger already, and have the conversation. See ``agent.dialing``."""
        caller = caller_id or self.desk.settings.caller_id
        if isinstance(self.carrier, AsteriskCarrier):
            request = DialRequest(attempt_id, to, caller, ring_timeout)
            return await place_on_pbx(
                self.desk, call, self.carrier, request, transfer_to=self.transfer_to, progress=progress,
                on_placed=on_placed,
            )  # fmt: skip
        path = self.desk.expect(call, ring_timeout + TOKEN_SLACK, carrier=self.carrier.name)
        request = DialRequest(attempt_id, to, caller, ring_timeout, media_path=path)
        hosted: HostedCarrier = self.carrier  # type: ignore[assignment]
        return await place_hosted(
            self.desk, call, hosted, request, self.board, transfer_to=self.transfer_to, progress=progress,
            on_placed=on_placed,
        )  # fmt: skip

    async def status(self, attempt_id: str, provider_id: str | None) -> DialStatus:
        """What the carrier says of an attempt now; ``unknown`` where it cannot tell. Raises ``LineError``."""
        if isinstance(self.carrier, AsteriskCarrier):
            return await self.carrier.status(attempt_id)
        return await self.carrier.status(provider_id) if provider_id is not None else DialStatus("unknown")

    async def hang_up(self, attempt_id: str, provider_id: str | None) -> None:
        """End an attempt, whatever its state. Raises ``LineError`` where the carrier cannot be asked."""
        if isinstance(self.carrier, AsteriskCarrier):
            await self.carrier.hang_up(attempt_id)
        elif provider_id is not None:
            await self.carrier.hang_up(provider_id)


def need(settings: Settings, *names: str) -> list[str]:
    """The values of settings that the chosen carrier cannot do without. Raises ``ConfigurationError`` naming one."""
    values = []
    for name in names:
        value = getattr(settings, name)
        if value is None:
            raise ConfigurationError(f"CALLGATE_{name.upper()} is not set, and the carrier {settings.carrier} needs it")
        values.append(value.get_secret_value() if isinstance(value, SecretStr) else value)
    return values


def address(value: str, name: str) -> tuple[str, int]:
    """``host:port`` taken apart. Raises ``ConfigurationError`` naming the variable."""
    host, _, port = value.rpartition(":")
    if not host or not port.isdigit() or not 0 <= int(port) < 65536:
        raise ConfigurationError(f"{name} must be host:port")
    return host, int(port)


def listener(listen: str) -> socket.socket:
    """A bound socket, so that a taken port is known before anything else has happened.

    Raises ``ConfigurationError``.
    """
    host, port = address(listen, "CALLGATE_LISTEN")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host.strip("[]"), port), family=family)
    except OSError as e:
        raise ConfigurationError(f"CALLGATE_LISTEN: cannot listen on {listen}: {e.strerror or e}") from e


def carrier_app(desk: CallDesk, board: StatusBoard) -> FastAPI:
    """Media sockets and webhooks: what hosted carriers reach of us."""
    settings = desk.settings

    def secret(value: SecretStr | None) -> str | None:
        return value.get_secret_value() if value is not None else None

    app = media_app(desk, twilio_token=secret(settings.twilio_auth_token), public_url=settings.public_url)
    app.include_router(
        webhook_routes(
            board,
            settings.public_url or "",
            twilio_token=secret(settings.twilio_auth_token),
            telnyx_key=settings.telnyx_public_key,
            plivo_token=secret(settings.plivo_auth_token),
            transfer_to=settings.transfer_to,
        )
    )
    return app


def check_carrier(settings: Settings) -> None:
    """Whether the settings name a carrier and all that it needs. Raises ``ConfigurationError`` naming what is missing.

    Asks before models are loaded and anybody is connected.
    """
    if settings.carrier is None:
        raise ConfigurationError("CALLGATE_CARRIER is not set: asterisk, twilio, telnyx or plivo (docs/lines)")
    if settings.carrier == "asterisk":
        need(settings, "asterisk_password")
        if "{to}" not in settings.asterisk_endpoint:
            raise ConfigurationError("CALLGATE_ASTERISK_ENDPOINT: the Asterisk endpoint must contain {to}")
        return
    (public,) = need(settings, "public_url")
    if not public.startswith("https://"):
        raise ConfigurationError("CALLGATE_PUBLIC_URL must begin with https://")
    need(settings, "caller_id", *_SECRETS[settings.carrier])
    address(settings.listen, "CALLGATE_LISTEN")


@contextlib.asynccontextmanager
async def connected(desk: CallDesk, board: StatusBoard | None = None) -> AsyncIterator[Exchange]:
    """The carrier of the settings, connected; hosted ones with our server running. Raises ``CallgateError``.

    ``board`` takes the carriers' webhooks: one that knows more than the calls of this process, where there is one.
    """
    settings = desk.settings
    board = board or StatusBoard()
    check_carrier(settings)
    if settings.carrier == "asterisk":
        async with _asterisk(settings) as pbx:
            yield Exchange(desk, pbx, board, settings.transfer_to)
        return
    carrier = _hosted(settings)
    try:
        async with _serving(carrier_app(desk, board), settings.listen):
            yield Exchange(desk, carrier, board, settings.transfer_to)
    finally:
        await carrier.close()


@contextlib.asynccontextmanager
async def _asterisk(settings: Settings) -> AsyncIterator[AsteriskCarrier]:
    (password,) = need(settings, "asterisk_password")
    server = None
    if settings.asterisk_audiosocket is not None:
        server = AudioSocketServer(*address(settings.asterisk_audiosocket, "CALLGATE_ASTERISK_AUDIOSOCKET"))
        await server.start()
    try:
        with claim(settings.asterisk_application, settings.home) as application:
            ari = Ari(settings.asterisk_url, settings.asterisk_user, password, application.name)
            try:
                pbx = AsteriskCarrier(
                    ari, settings.asterisk_endpoint, settings.caller_id, audio_socket=server,
                    abandoned=application.abandoned,
                )  # fmt: skip
            except ValueError as e:
                raise ConfigurationError(f"CALLGATE_ASTERISK_ENDPOINT: {e}") from e
            try:
                await pbx.start()
                application.tidied()
                yield pbx
            finally:
                await pbx.close()
    finally:
        if server is not None:
            await server.close()


def _hosted(settings: Settings) -> TwilioCarrier | TelnyxCarrier | PlivoCarrier:
    public, caller_id = need(settings, "public_url", "caller_id")
    if settings.carrier == "twilio":
        sid, token = need(settings, *_SECRETS["twilio"])
        return TwilioCarrier(sid, token, caller_id, public)
    if settings.carrier == "telnyx":
        key, connection, _ = need(settings, *_SECRETS["telnyx"])
        return TelnyxCarrier(key, connection, caller_id, public)
    auth_id, token = need(settings, *_SECRETS["plivo"])
    return PlivoCarrier(auth_id, token, caller_id, public)


@contextlib.asynccontextmanager
async def _serving(app: FastAPI, listen: str) -> AsyncIterator[None]:
    with listener(listen) as bound:
        config = uvicorn.Config(
            app, log_config=None, access_log=False, ws="websockets-sansio", ws_max_size=MAX_MESSAGE, lifespan="off",
            timeout_graceful_shutdown=5, proxy_headers=False,
        )  # fmt: skip
        server = uvicorn.Server(config)
        task = asyncio.create_task(server._serve(sockets=[bound]))
        try:
            yield  # connections queue at the bound socket until the server takes them
        finally:
            server.should_exit = True
            await task
