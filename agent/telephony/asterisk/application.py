"""Under which name a process owns its channels at the PBX: Asterisk knows one listener to each name.

Who connects under a name that is in use takes the events away from the other, and would end its calls as left behind.
So each process of one home folder takes a name of its own, the first free of ``callgate``, ``callgate-2`` …; homes that
share a PBX are told apart by the setting. A name is locked while its process lives, and the kernel gives the lock back
however it ends: a lock file that nobody holds is that of a process which was killed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.errors import ConfigurationError
from archive.errors import ArchiveError
from archive.liveness import CallLock

MOST: Final = 32
"""Processes of one home at one PBX."""


@dataclass(frozen=True, slots=True)
class Claim:
    """``name`` is ours alone; ``abandoned`` are names whose processes were killed, ours to tidy up.

    ``tidied`` says that it is done: they are free again.
    """

    name: str
    abandoned: tuple[str, ...]
    tidied: Callable[[], None]


@contextlib.contextmanager
def claim(base: str, home: Path) -> Iterator[Claim]:
    """Take a name for as long as the block lasts; locks lie in ``home``. Raises ``ConfigurationError``."""
    with contextlib.ExitStack() as held, contextlib.ExitStack() as left:
        names: list[str] = []
        for name in (base, *(f"{base}-{number}" for number in range(2, MOST + 1))):
            path = home / f"asterisk-{name}.lock"
            if names and not path.exists():
                continue  # nobody has it, and nobody was killed with it
            lock = _locked(path)
            if lock is not None:
                (left if names else held).callback(lock.release)
                names.append(name)
        if not names:
            raise ConfigurationError(f"{MOST} processes use Asterisk under the name {base!r} already")
        yield Claim(names[0], tuple(names[1:]), left.close)


def _locked(path: Path) -> CallLock | None:
    try:
        return CallLock.acquire(path)
    except ArchiveError as e:
        raise ConfigurationError(str(e)) from e
