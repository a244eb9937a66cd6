"""``callgate serve``: the console, carriers' webhooks and media sockets in one process."""

from __future__ import annotations

import asyncio
import contextlib
import sys

import uvicorn
from fastapi import FastAPI

from agent.campaigning_run import beside
from agent.carriers import carrier_app, listener
from agent.desk import CallDesk
from agent.dialing import StatusBoard
from agent.health import lines_of, models_of
from agent.models import load_models
from agent.server import MAX_MESSAGE
from agent.settings import Settings
from agent.softphone import Softphone
from agent.telephony.ice import IceServers
from archive.tokens import warm_up
from console.app import create_app
from console.context import Context
from console.people import People

FIRST_ADMIN = "admin"


def application(desk: CallDesk, context: Context) -> FastAPI:
    """Media sockets and webhooks at their paths, the console at all others."""
    app = carrier_app(desk, StatusBoard())
    app.mount("/", create_app(context))
    return app


def first_link(context: Context, base_url: str) -> str | None:
    """The one-time link that makes the first admin, while nobody can sign in."""
    with context.database.write() as session:
        people = People(session)
        if people.anybody():
            return None
        return f"{base_url}/welcome/{people.invite(FIRST_ADMIN, 'admin', by='first start')}"


async def serve(settings: Settings) -> None:
    """Serve until interrupted. Raises ``CallgateError``."""
    # The port comes first: a second `callgate serve` must not replace the first admin's link before it fails.
    ice = IceServers.of(settings)
    with listener(settings.listen) as bound:
        host, port = bound.getsockname()[:2]
        models = await asyncio.to_thread(load_models, settings)
        await asyncio.to_thread(warm_up)
        desk = CallDesk(settings, models)
        softphone = Softphone(desk, ice=ice)
        try:
            public = settings.public_url or f"http://{f'[{host}]' if ':' in host else host}:{port}"
            async with beside(desk) as live:
                context = Context(
                    desk.database,
                    settings.home,
                    live=live,
                    models=models_of(settings, desk.cache.engine),
                    lines=lambda: lines_of(desk),
                    scripts=settings.scripts,
                    packs=settings.packs,
                    secure_cookies=public.startswith("https://"),
                    softphone=softphone,
                )
                link = await asyncio.to_thread(first_link, context, public)
                sys.stderr.write(f"callgate: console at {public}\n")
                if link is not None:
                    sys.stderr.write(
                        f"callgate: nobody can sign in yet; make the first admin here (once, within a day):\n{link}\n"
                    )
                config = uvicorn.Config(
                    application(desk, context), log_config=None, access_log=False, ws="websockets-sansio",
                    ws_max_size=MAX_MESSAGE, lifespan="off", timeout_graceful_shutdown=5, proxy_headers=False,
                    server_header=False,
                )  # fmt: skip
                with contextlib.suppress(KeyboardInterrupt):
                    await uvicorn.Server(config).serve(sockets=[bound])
        finally:
            await softphone.close()
            desk.close()
