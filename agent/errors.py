"""Every error of a live call, drawn once.

CallgateError
├── ConfigurationError    a setting, model or script cannot be used: nothing was dialled
├── LineError             the carrier's side broke its protocol, went silent or vanished: ends that call alone
├── HearingError          the recogniser failed on an utterance: the dialogue asks to repeat
├── SpeechError           a line could not be rendered
└── UnapprovedSpeech      something tried to speak that the gate had not approved: a bug or an attack
"""

from __future__ import annotations


class CallgateError(Exception):
    """Base of the tree. ``str(error)`` is one line that names what is wrong and holds no personal data."""


class ConfigurationError(CallgateError):
    """A setting, model or script cannot be used."""


class LineError(CallgateError):
    """The carrier broke its protocol, went silent or vanished."""


class HearingError(CallgateError):
    """The recogniser failed on an utterance."""


class SpeechError(CallgateError):
    """A line could not be rendered."""


class UnapprovedSpeech(CallgateError):  # noqa: N818 - what happened, not what failed
    """Something that is not an ``ApprovedLine`` reached the voice."""
