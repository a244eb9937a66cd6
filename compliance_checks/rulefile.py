"""Reading ``rules/*.yaml``: fast, and a broken file is named with its key instead of raising something of YAML's."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from compliance_checks.terms import PatternError

if TYPE_CHECKING:
    SafeLoader = yaml.SafeLoader
else:
    # libyaml's where PyYAML was built with it: ten times faster, and the same otherwise.
    SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(SafeLoader):
    """Safe YAML in which a key that stands twice is an error: the second would silently replace the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                problem = f"the key {key.value!r} stands twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def read_rules(path: Path) -> Mapping[str, Any]:
    """The mapping in one rule file. Raises :class:`PatternError`, one line that names the file and the fault."""
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a safe loader
    except (OSError, UnicodeDecodeError) as error:
        raise PatternError(f"{path.name}: cannot be read: {type(error).__name__}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark is not None else ""
        raise PatternError(f"{path.name}{line}: {getattr(error, 'problem', None) or 'no valid YAML'}") from error
    return mapping(raw if raw is not None else {}, path.name)


def mapping(value: object, where: str) -> Mapping[str, Any]:
    """``value`` if it is a mapping with text keys; else a :class:`PatternError` that names ``where``."""
    if not isinstance(value, Mapping):
        raise PatternError(f"{where}: must be a mapping of keys, not {type(value).__name__}")
    for key in value:
        if not isinstance(key, str):
            raise PatternError(f"{where}: the key {key!r} must be text (put it in quotes)")
    return value


def sequence(value: object, where: str) -> Sequence[Any]:
    """``value`` if it is a list, an empty one for nothing; else a :class:`PatternError` that names ``where``."""
    if value is None:
        return ()
    if not isinstance(value, list):
        raise PatternError(f"{where}: must be a list, not {type(value).__name__}")
    return value


def texts(value: object, where: str) -> list[str]:
    """``value`` if it is a list of texts, an empty one for nothing; else a :class:`PatternError`."""
    entries = sequence(value, where)
    for entry in entries:
        if not isinstance(entry, str) or not entry.strip():
            raise PatternError(f"{where}: {entry!r} must be text (put it in quotes)")
    return list(entries)


def text(value: object, where: str) -> str:
    """``value`` if it is a text that is not empty; else a :class:`PatternError` that names ``where``."""
    if not isinstance(value, str) or not value.strip():
        raise PatternError(f"{where}: must be text, not {value!r}")
    return value


def known(keys: Mapping[str, Any], allowed: frozenset[str], where: str) -> None:
    """A misspelt key would be ignored for ever: it is refused."""
    for key in keys:
        if key not in allowed:
            raise PatternError(f"{where}: the key {key!r} is unknown; known are {', '.join(sorted(allowed))}")
