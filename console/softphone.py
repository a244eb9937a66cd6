"""The softphone as the console knows it: somebody who answers a browser's call. The runtime behind it is never seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class SoftphoneRefused(Exception):  # noqa: N818 - what happened to the call
    """No call. ``str()`` says why in one line; ``status`` is the HTTP status that fits."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Softphone(Protocol):
    """Calls between a person of the console and the agent. ``person`` is who is signed in, by name.

    A call is prepared first: that takes seconds, and whoever prepared it gets a ticket that is good once, for a
    minute, for them alone. The ticket and an offer (SDP, RFC 8866) then make the call.
    """

    def missing(self) -> str | None:
        """The package that has to be installed before anybody can call; ``None`` if nothing is missing."""

    def scripts(self) -> Mapping[str, Sequence[Mapping[str, str]]]:
        """By language (``zh``, ``en``) the scripts to choose from: ``id`` and ``title``."""

    def case(self, lang: str) -> Mapping[str, Any]:
        """A complete case file in plain values, all invented."""

    async def prepare(self, person: str, lang: str, script: str, case: Mapping[str, Any]) -> Mapping[str, Any]:
        """``ticket``, ``call_id``; ``ice_servers`` as a browser's RTCPeerConnection takes them, with what this call
        needs to use them; ``as_if`` (ISO moment) and ``rule`` where the contact rules forbid a call right now and it is
        held as if at the next moment that they allow. Raises ``SoftphoneRefused``."""

    async def answer(self, person: str, ticket: str, offer: str) -> tuple[str, str]:
        """The call's id and the answer (SDP) to ``offer``; the call begins. Raises ``SoftphoneRefused``."""

    async def hang_up(self, person: str, call_id: str) -> None:
        """End one's own call, as putting down a telephone does. Raises ``SoftphoneRefused`` (404)."""

    def state(self, person: str, call_id: str) -> Mapping[str, Any]:
        """``live``, and once it has ended the ``disposition`` (``None`` if it never came about). Raises
        ``SoftphoneRefused`` (404)."""
