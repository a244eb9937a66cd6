"""Rendering a page: the template, the language, who is looking, and what they may do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from console import i18n
from console.context import Context
from console.people import SignedIn
from sentiment.labels import INTENTS, SHOWN_EMOTIONS

_HERE = Path(__file__).parent
_ENVIRONMENT = Environment(
    loader=FileSystemLoader(_HERE / "templates"),
    autoescape=select_autoescape(default=True, default_for_string=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_LABELS = {label.key: label.name for label in (*INTENTS.values(), *SHOWN_EMOTIONS.values())}


def context_of(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


def person_of(request: Request) -> SignedIn:
    """Who is signed in, on a route that needs a permission."""
    person: SignedIn | None = request.state.person
    assert person is not None
    return person


def lang_of(request: Request) -> i18n.PageLang:
    person: SignedIn | None = getattr(request.state, "person", None)
    own = person.lang if person is not None else getattr(request.state, "invited_lang", None)
    return i18n.choose(request.cookies.get("lang"), request.headers.get("accept-language", ""), own)


def render(request: Request, template: str, status: int = 200, **values: Any) -> Response:
    """``template`` as a page. ``_``, ``person``, ``may``, ``lang``, ``theme``, ``nonce``, formats are always there."""
    lang = lang_of(request)
    person: SignedIn | None = getattr(request.state, "person", None)
    zone = context_of(request).zone
    html = _ENVIRONMENT.get_template(template).render(
        request=request,
        path=request.url.path,
        _=i18n.translator(lang),
        lang=lang,
        theme=request.cookies.get("theme") if request.cookies.get("theme") in ("light", "dark") else "auto",
        nonce=request.state.nonce,
        person=person,
        may=(lambda permission: person is not None and person.may(permission)),
        moment=lambda value: i18n.moment(value, lang, zone),
        number=lambda value: i18n.number(value, lang),
        percent=lambda value: i18n.percent(value, lang),
        clock=i18n.clock,
        label=lambda key: _LABELS.get(key or "", {}).get(lang, key or "–"),
        live=context_of(request).live is not None,
        **values,
    )
    return Response(html, status, media_type="text/html")


def highlight(text: str, spans: tuple[tuple[int, int], ...]) -> Markup:
    """``text`` escaped, with ``spans`` (offsets, sorted) marked."""
    out, at = Markup(""), 0
    for start, end in spans:
        out += Markup("{}<mark>{}</mark>").format(text[at:start], text[start:end])
        at = end
    return out + text[at:]


_ENVIRONMENT.globals["highlight"] = highlight
