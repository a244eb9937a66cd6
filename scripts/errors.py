"""Errors of scripts, each with a one-line message that names the file and what is wrong.

ScriptError
├── MalformedScriptError   not the schema, or a rule of every script is broken
│   └── UnreadableScriptError  no such file, no access, not YAML
├── UnapprovedScriptError  never approved by two people, expired, or changed after approval
└── RenderError       a slot has no value or a value that its type cannot speak
"""

from __future__ import annotations


class ScriptError(ValueError):
    """Any script that cannot be used."""


class MalformedScriptError(ScriptError):
    """The script cannot be read, or breaks a rule that every script must hold."""


class UnreadableScriptError(MalformedScriptError):
    """There is no script to speak of at that place."""


class UnapprovedScriptError(ScriptError):
    """The script is sound but nobody has approved this content, or the approval has run out."""


class RenderError(ScriptError):
    """A line cannot be rendered from the values at hand."""
