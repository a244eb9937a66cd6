"""Compliance: scripts and their approvals, policy packs with their sources, refusals by rule, a person's ledger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, File, Form, HTTPException, Query, Request, Response, UploadFile
from fastapi.responses import RedirectResponse

from agent.events import Lang
from archive.audit import AuditLog, digest_of
from archive.dashboards import Dashboards
from compliance_checks.describe import pack_row, policy_document
from compliance_checks.explain import category_name
from compliance_checks.pack import Pack
from compliance_checks.policy import Policies, PolicyError
from console.context import Context
from console.guard import needs, takes
from console.ledger_desk import find_people, has_campaigns, read_ledger
from console.page import context_of, lang_of, person_of, render
from console.pages.queue import read_filter
from console.rule_words import contact_rule, record_rule
from console.scripts_desk import Scripts, changes, lines, parse_text
from scripts.errors import ScriptError

MAX_DAYS = 730
MAX_SCRIPT = 2 * 1024 * 1024
FileName = Annotated[str, Query(max_length=300)]


def routes(router: APIRouter) -> None:
    router.get("/compliance")(compliance_page)
    router.get("/compliance/script")(script_page)
    router.post("/compliance/script/approve")(approve)
    router.post("/compliance/script/withdraw")(withdraw)
    router.get("/compliance/diff")(diff_page)
    router.post("/compliance/diff")(diff_upload)
    router.get("/compliance/packs")(packs_page)
    router.get("/compliance/packs/{pack_id}")(pack_page)
    router.get("/compliance/refusals")(refusals_page)
    router.get("/compliance/person")(person_page)


# -- scripts


def scripts_of(request: Request) -> Scripts:
    context = context_of(request)
    return Scripts(context.scripts, context.home / "approved_scripts")


@needs("compliance.read")
def compliance_page(request: Request) -> Response:
    desk = scripts_of(request)
    return render(
        request, "compliance.html", tab="scripts", rows=desk.rows(datetime.now(UTC)), versions=list(desk.versions())
    )


@needs("compliance.read")
def script_page(request: Request, file: FileName) -> Response:
    """One script: what it says, line by line; who approved it; the form to approve it."""
    return _script(request, file)


def _script(request: Request, file: str, status: int = 200, error: str | None = None) -> Response:
    desk = scripts_of(request)
    path = desk.files().get(file)
    if path is None:
        raise HTTPException(404, "there is no such script")
    row = desk.row(file, path, datetime.now(UTC))
    try:
        content = desk.read(file).content
    except ScriptError:
        content = None
    mine, role = person_of(request).name.casefold(), person_of(request).role
    return render(
        request, "script.html", status, tab="scripts", row=row, content=content, error=error,
        versions=sorted((name for name in desk.versions() if name != file), key=lambda name: name[:3] != file[:3]),
        done=any(each["current"] and each["who"].casefold() == mine for each in row["approvals"]),
        program=person_of(request).name.startswith("key:"), same_role=row.get("one_role") == role,
    )  # fmt: skip


@needs("scripts.approve")
def approve(
    request: Request,
    file: Annotated[str, Form(max_length=300)],
    hash: Annotated[str, Form(max_length=64)],
    days: Annotated[int, Form(ge=1, le=MAX_DAYS)] = 365,
) -> Response:
    """The signed-in person approves what they read. A second, different person must do the same."""
    person = person_of(request)
    if person.name.startswith("key:"):
        raise HTTPException(422, "a program cannot approve a script: two people must")
    now = datetime.now(UTC)
    try:
        approval = scripts_of(request).approve(file, hash, person.name, person.role, now, days)
    except KeyError:
        raise HTTPException(404, "there is no such script") from None
    except ScriptError as e:
        return _script(request, file, 422, str(e))
    except OSError:
        return _script(request, file, 422, "the folder of scripts cannot be written")
    with context_of(request).database.write() as session:
        AuditLog(session).append(
            "script.approved", actor=person.name, subject=f"script:{file}", hash=approval.content_hash,
            expires=approval.expires.isoformat(),
        )  # fmt: skip
    return RedirectResponse(f"/compliance/script?{urlencode({'file': file})}", 303)


@needs("scripts.approve")
def withdraw(
    request: Request, file: Annotated[str, Form(max_length=300)], hash: Annotated[str, Form(max_length=64)]
) -> Response:
    """End the approvals of what was read: no call begins with it any more."""
    person = person_of(request)
    try:
        ended = scripts_of(request).withdraw(file, hash, datetime.now(UTC).replace(microsecond=0))
    except KeyError:
        raise HTTPException(404, "there is no such script") from None
    except ScriptError as e:
        return _script(request, file, 422, str(e))
    except OSError:
        return _script(request, file, 422, "the folder of scripts cannot be written")
    with context_of(request).database.write() as session:
        AuditLog(session).append(
            "script.withdrawn", actor=person.name, subject=f"script:{file}", hash=hash, approvals=ended
        )
    return RedirectResponse(f"/compliance/script?{urlencode({'file': file})}", 303)


@needs("compliance.read")
def diff_page(request: Request, before: FileName = "", after: FileName = "") -> Response:
    """Two versions side by side."""
    desk = scripts_of(request)
    known = desk.versions()
    if not before and not after:
        return _diff(request, desk, "", "", None)
    if before not in known or after not in known:
        raise HTTPException(404, "there is no such script")
    try:
        found = changes(desk.read(before), desk.read(after))
    except ScriptError as e:
        return _diff(request, desk, before, after, None, error=str(e).replace(str(known[before].parent), ""))
    return _diff(request, desk, before, after, (found, lines(desk.text(before), desk.text(after))))


@needs("compliance.read")
@takes(MAX_SCRIPT + 64 * 1024)
def diff_upload(
    request: Request, before: Annotated[str, Form(max_length=300)], after: Annotated[UploadFile, File()]
) -> Response:
    """A version that is known here against a file from the reader's machine. Nothing is kept of it."""
    desk = scripts_of(request)
    if before not in desk.versions():
        raise HTTPException(404, "there is no such script")
    data = after.file.read(MAX_SCRIPT)
    try:
        found = changes(desk.read(before), parse_text(data))
    except ScriptError as e:
        return _diff(request, desk, before, "", None, status=422, error=str(e))
    name = (after.filename or "")[:80]
    return _diff(request, desk, before, name, (found, lines(desk.text(before), data.decode("utf-8", "replace"))))


def _diff(
    request: Request,
    desk: Scripts,
    before: str,
    after: str,
    found: tuple[Any, Any] | None,
    *,
    status: int = 200,
    error: str | None = None,
) -> Response:
    return render(
        request, "diff.html", status, tab="diff", versions=list(desk.versions()), before=before, after=after,
        compared=found is not None, places=found[0] if found else [], lines=found[1] if found else [], error=error,
    )  # fmt: skip


# -- policy packs


@lru_cache(maxsize=4)
def _read_packs(folder: Path | None, stamp: tuple[tuple[str, float], ...]) -> Policies:
    return Policies(overlays_dir=folder)


def policies_of(context: Context) -> Policies:
    """The packs that ship and the operator's, read anew when a file of theirs changes. Raises ``PolicyError``."""
    folder = context.packs
    stamp = () if folder is None else tuple(sorted((p.name, p.stat().st_mtime) for p in folder.glob("*.y*ml")))
    return _read_packs(folder, stamp)


@needs("compliance.read")
def packs_page(request: Request) -> Response:
    lang = lang_of(request)
    policies = _policies(request)
    rows = [pack_row(pack) | {"name": pack.title[lang]} for pack in policies.packs.values()]
    conflicts = [
        {"policy": name, **each}
        for name in sorted({p.jurisdiction for p in policies.packs.values() if p.level not in ("floor", "overlay")})
        for each in _conflicts(policies, name)
    ]
    return render(request, "packs.html", tab="packs", rows=rows, conflicts=conflicts)


def _conflicts(policies: Policies, name: str) -> list[Mapping[str, Any]]:
    try:
        found: list[Mapping[str, Any]] = policy_document(policies.resolve(name, "en"))["conflicts"]
    except PolicyError:
        return []  # a lender's own jurisdiction, which is no policy by itself
    return found


@needs("compliance.read")
def pack_page(request: Request, pack_id: str) -> Response:
    """One pack: every rule with its citation, the kind of its source, and whether somebody has confirmed it."""
    lang = lang_of(request)
    pack = _policies(request).packs.get(pack_id)
    if pack is None:
        raise HTTPException(404, "there is no such pack")
    return render(request, "pack.html", tab="packs", pack=pack, row=pack_row(pack), sections=_sections(pack, lang))


def _sections(pack: Pack, lang: Lang) -> list[tuple[str, list[dict[str, Any]]]]:
    contact = [_rule(place, contact_rule(place, rule, lang), rule) for place, rule in pack.contact.rules()]
    clauses = [_rule(name, category_name(name, lang), clause) for name, clause in pack.clauses.items()]
    records = [_rule(name, record_rule(record, lang), record) for name, record in pack.records.items()]
    return [("contact", contact), ("clauses", clauses), ("records", records)]


def _rule(place: str, words: str, rule: Any) -> dict[str, Any]:
    """``refuse`` and ``allow``: example sentences, where the rule has any (examples of dials are left out)."""
    examples = {
        name: [each.text for each in getattr(rule, name, ()) if hasattr(each, "text")] for name in ("refuse", "allow")
    }
    return {
        "place": place, "words": words, "cite": rule.cite, "kind": rule.source_kind, "review": rule.review,
        "note": rule.note, **examples,
    }  # fmt: skip


def _policies(request: Request) -> Policies:
    try:
        return policies_of(context_of(request))
    except PolicyError as e:
        raise HTTPException(422, str(e)) from e


# -- refusals


@needs("compliance.read")
def refusals_page(request: Request) -> Response:
    """Rules that fired, most often first; each row leads to its calls."""
    context, lang = context_of(request), lang_of(request)
    query = defaultdict(str, request.query_params)
    wanted = replace(read_filter({**query, "review": "all"}, context.zone), rule=None, text=None)
    with context.database.read() as session:
        found = [row for row in Dashboards(session).rules(wanted) if row[2] != "allow"]
    kept = {key: query[key] for key in ("from", "to", "lang", "campaign") if query.get(key)}
    rows = [
        {
            "rule": rule, "category": category_name(category or "", lang), "decision": decision, "times": times,
            "calls": calls, "href": f"/queue?{urlencode({**kept, 'rule': rule, 'review': 'all'})}",
        }
        for rule, category, decision, times, calls in found
    ]  # fmt: skip
    return render(request, "refusals.html", tab="refusals", rows=rows, query=query)


# -- a person's contact ledger


@needs("compliance.read")
def person_page(request: Request, q: Annotated[str, Query(max_length=64)] = "") -> Response:
    """What was done to reach somebody, and what the rules say now. Every look is audited."""
    context, lang, reader = context_of(request), lang_of(request), person_of(request)
    there = has_campaigns(context.database)
    ids: list[int] = []
    ledger = None
    if there and q.strip():
        with context.database.read() as session:
            ids = find_people(session, q)
        if len(ids) == 1:
            policies = _policies(request)
            with context.database.write() as session:
                AuditLog(session).append(
                    "person.ledger_read", actor=reader.name, subject=digest_of("person", str(ids[0]))
                )
            with context.database.read() as session:
                ledger = read_ledger(session, ids[0], policies, lang, datetime.now(UTC))
    return render(
        request, "person.html", tab="person", there=there, q=q, ids=ids, ledger=ledger,
        clear=reader.may("personal.read"),
    )  # fmt: skip
