"""Operations: campaigns and their pacing, imports with their errors, lines' health, models in use."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

import sqlalchemy as sa
import yaml
from fastapi import APIRouter, File, Form, HTTPException, Request, Response, UploadFile
from fastapi.responses import RedirectResponse

from archive.audit import AuditLog
from archive.errors import ArchiveError
from campaigns import planning
from campaigns import status as campaign_status
from campaigns.config import CampaignConfig, read_config
from campaigns.errors import CampaignError
from campaigns.importing.mapping import load_mapping
from campaigns.importing.portfolio import ImportReport, import_portfolio
from campaigns.importing.updates import import_updates
from campaigns.ledger import Ledger
from campaigns.models import Campaign, Import, Trunk
from campaigns.outcomes import EFFECTS
from campaigns.store import attach
from console.context import Context
from console.guard import needs, takes
from console.ledger_desk import has_campaigns
from console.page import context_of, person_of, render

IMPORTS = 30
SHOWN_PROBLEMS = 200
MAX_CONFIG = 64 * 1024
MAX_FILE = 32 * 1024 * 1024
CampaignName = Annotated[str, Form(max_length=64)]


def routes(router: APIRouter) -> None:
    router.get("/operations")(operations_page)
    router.post("/operations/import")(import_file)
    router.post("/operations/campaigns")(save_campaign)
    router.post("/operations/start")(start)
    router.post("/operations/stop")(stop)
    router.post("/operations/resolve")(resolve)


@needs("campaigns.read")
def operations_page(request: Request) -> Response:
    return _page(request)


@needs("campaigns.write")
@takes(MAX_FILE)
def import_file(
    request: Request,
    file: Annotated[UploadFile, File()],
    mapping: Annotated[UploadFile | None, File()] = None,
    lender: Annotated[str, Form(max_length=128)] = "",
    kind: Annotated[str, Form(max_length=16)] = "portfolio",
    as_of: Annotated[str, Form(max_length=10)] = "",
    mode: Annotated[str, Form(max_length=8)] = "check",
) -> Response:
    """Check a portfolio or a file of updates, and (``mode`` ``all`` or ``good``) enter it. The file is not kept.

    ``all``: everything or nothing; ``good``: the rows that can be used.
    """
    if kind not in ("portfolio", "updates") or mode not in ("check", "all", "good"):
        raise HTTPException(422, "kind: portfolio or updates; mode: check, all or good")
    now, database = datetime.now(UTC), attach(context_of(request).database)
    try:
        day = date.fromisoformat(as_of) if as_of else None
    except ValueError:
        raise HTTPException(422, "as_of: a date such as 2026-11-22") from None
    with tempfile.TemporaryDirectory() as folder:
        try:
            path = _stored(file, Path(folder) / "data")
            named = _stored(mapping, Path(folder) / "mapping.yaml") if mapping and mapping.filename else None
            options: dict[str, Any] = {
                "mapping": load_mapping(named), "lender": lender.strip() or None, "dry_run": mode == "check",
                "skip_bad_rows": mode == "good",
            }  # fmt: skip
            if kind == "updates":
                report = import_updates(database, path, now, **options)
            else:
                report = import_portfolio(database, path, now, as_of=day, **options)
        except CampaignError as e:
            shown = str(e).replace(f"{folder}/", "").removeprefix("data: ")
            return _page(request, 422, error=shown)
    if report.written:
        _audited(request, "campaign.imported", "portfolio", rows=report.rows, what=kind, **report.counts)
    return _page(request, 200, report=report, file=(file.filename or "")[:80], mode=mode)


def _stored(upload: UploadFile, path: Path) -> Path:
    with path.open("wb") as out:
        while piece := upload.file.read(1 << 20):
            out.write(piece)
    return path


@needs("campaigns.write")
def save_campaign(request: Request, config: Annotated[str, Form(max_length=MAX_CONFIG)]) -> Response:
    """Make a campaign from its YAML, or give an existing one new settings. It does not start by that."""
    try:
        plain = yaml.safe_load(config)
    except (yaml.YAMLError, ValueError, RecursionError):
        return _page(request, 422, error="the campaign's settings are not YAML", config=config)
    with _told(request, config) as problem:
        checked = read_config(plain)
        planning.set_up(attach(context_of(request).database), checked, datetime.now(UTC), start=False)
        _audited(request, "campaign.saved", checked.name)
    return problem[0] if problem else RedirectResponse("/operations#campaigns", 303)


@needs("campaigns.write")
def start(request: Request, name: CampaignName) -> Response:
    """Set a campaign running: dialers that are up take it from here."""
    database = context_of(request).database
    with _told(request) as problem:
        planning.set_up(database, _config(database, name), datetime.now(UTC), start=True)
        _audited(request, "campaign.started", name)
    return problem[0] if problem else RedirectResponse("/operations#campaigns", 303)


@needs("campaigns.write")
def stop(request: Request, name: CampaignName, at_once: Annotated[str, Form(max_length=1)] = "") -> Response:
    """Let running calls end, or (``at_once``) hang up."""
    with _told(request) as problem:
        if not has_campaigns(context_of(request).database):
            raise HTTPException(404, "there is no such campaign")
        planning.stop(context_of(request).database, name, datetime.now(UTC), at_once=bool(at_once))
        _audited(request, "campaign.stopped", name, at_once=bool(at_once))
    return problem[0] if problem else RedirectResponse("/operations#campaigns", 303)


@needs("campaigns.write")
def resolve(
    request: Request,
    attempt: Annotated[str, Form(max_length=36)],
    outcome: Annotated[str, Form(max_length=32)] = "",
    redial: Annotated[str, Form(max_length=1)] = "",
) -> Response:
    """A person's word on a call of which nobody knows whether it rang; no ``outcome`` says that it never did."""
    with _told(request) as problem:
        if not has_campaigns(context_of(request).database):
            raise HTTPException(404, "there is no such attempt")
        ledger = Ledger(context_of(request).database, f"console:{person_of(request).name}"[:64])
        campaign_status.resolve(ledger, attempt, outcome=outcome or None, redial=bool(redial))
        _audited(request, "campaign.resolved", attempt, outcome=outcome or "never_rang", redial=bool(redial))
    return problem[0] if problem else RedirectResponse("/operations#campaigns", 303)


def _config(database: Any, name: str) -> CampaignConfig:
    if has_campaigns(database):
        with database.read() as session:
            campaign = session.scalar(sa.select(Campaign).where(Campaign.name == name))
            if campaign is not None:
                return read_config(campaign.config)
    raise HTTPException(404, "there is no such campaign")


@contextmanager
def _told(request: Request, config: str = "") -> Iterator[list[Response]]:
    """What a campaign cannot do becomes the page with the reason, in the list."""
    problem: list[Response] = []
    try:
        yield problem
    except CampaignError as e:
        problem.append(_page(request, 422, error=str(e), config=config))


def _audited(request: Request, kind: str, name: str, **payload: Any) -> None:
    with context_of(request).database.write() as session:
        AuditLog(session).append(kind, actor=person_of(request).name, subject=f"campaign:{name}", **payload)


def _page(
    request: Request,
    status: int = 200,
    *,
    error: str | None = None,
    report: ImportReport | None = None,
    file: str = "",
    mode: str = "",
    config: str = "",
) -> Response:
    context, now = context_of(request), datetime.now(UTC)
    found: list[campaign_status.CampaignStatus] = []
    imports: list[Import] = []
    trunks: list[Trunk] = []
    configs: dict[str, str] = {}
    if has_campaigns(context.database):
        found = [
            campaign_status.status(context.database, name, now) for name in campaign_status.names(context.database)
        ]
        with context.database.read() as session:
            imports = list(session.scalars(sa.select(Import).order_by(Import.id.desc()).limit(IMPORTS)))
            trunks = list(session.scalars(sa.select(Trunk).order_by(Trunk.name)))
            for campaign in session.scalars(sa.select(Campaign)):
                configs[campaign.name] = yaml.safe_dump(campaign.config, allow_unicode=True, sort_keys=False)
    return render(
        request, "operations.html", status, tab="campaigns", campaigns=found, configs=configs, imports=imports,
        trunks=trunks, now=now, lines=health(context), models=context.models, error=error, report=report, file=file,
        mode=mode, config=config, shown=SHOWN_PROBLEMS, outcomes=sorted(EFFECTS),
    )  # fmt: skip


def health(context: Context) -> dict[str, dict[str, str]] | None:
    """What ``context.lines`` says of each line, as texts; ``None`` where this process has no lines."""
    if context.lines is None:
        return None
    try:
        said: Mapping[str, Any] = context.lines()
    except (OSError, ArchiveError, RuntimeError) as e:
        return {"–": {"error": type(e).__name__}}
    return {
        str(name): {str(k): str(v) for k, v in value.items()} if isinstance(value, Mapping) else {"state": str(value)}
        for name, value in said.items()
    }
