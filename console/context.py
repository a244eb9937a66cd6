"""What the console is given: the archive, and whatever else of a running Callgate it may look at."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from archive.database import Database, migrate
from archive.store import Store
from console.oidc.settings import OidcSettings
from console.security import trusted_proxies
from console.softphone import Softphone

VERSION_TABLE = "alembic_version_console"
_MIGRATIONS = Path(__file__).parent / "migrations"


class LiveCalls(Protocol):
    """The calls that this process is having. The console never sees the runtime behind it."""

    def snapshot(self) -> Sequence[Mapping[str, Any]]:
        """One plain mapping a live call: ``call_id``, ``lang``, ``started_at``, ``campaign``, ``emotion``, ``text``
        (last words), ``who``, ``flags``."""

    def changes(self) -> AsyncIterator[Mapping[str, Any]]:
        """The same mappings as they change; ``{"call_id", "ended": true}`` at the end of a call."""

    def sound(self, call_id: str) -> AsyncIterator[bytes]:
        """Both sides of a live call, mixed, 16-bit little-endian 8 kHz. Raises ``KeyError``."""

    async def end(self, call_id: str) -> None:
        """End a live call politely. Raises ``KeyError``."""

    async def take_over(self, call_id: str) -> None:
        """Hand a live call to the people's queue. Raises ``KeyError``."""


@dataclass(slots=True)
class Context:
    """``home`` is the archive's folder. ``live`` is ``None`` where no calls run in this process. ``models`` names the
    models in use for the operations page; ``lines`` says how the lines are: a mapping of each line's name to a word or
    to a mapping of what is known of it. ``scripts`` is the operator's folder of scripts, ``packs`` that of
    their policy packs, ``None``: those that ship. ``oidc`` is the identity provider to sign in at, if any; it comes
    from the environment unless it is given.
    """

    database: Database
    home: Path
    live: LiveCalls | None = None
    models: Mapping[str, str] = field(default_factory=dict)
    scripts: Path | None = None
    packs: Path | None = None
    zone: str = "Asia/Shanghai"
    secure_cookies: bool = False
    lines: Callable[[], Mapping[str, Any]] | None = None
    oidc: OidcSettings | None = field(default_factory=OidcSettings.from_environment)
    softphone: Softphone | None = None
    """Who answers a browser's call; ``None`` where no calls run in this process."""

    store: Store = field(init=False)

    def __post_init__(self) -> None:
        trusted_proxies()  # a mistake in it is named now, not to the first who signs in
        self.store = Store.from_environment(self.home)
        migrate(self.database.engine, _MIGRATIONS, VERSION_TABLE)
