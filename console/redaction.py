"""What of a recording somebody may hear and see: the rest lies under a tone, as it is hidden in the transcript.

And what they may find: nobody finds a call by a name that they may not read in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sqlalchemy.orm import Session

from archive.covering import Stretch, stretches
from archive.models import Call
from archive.queries import CallQueries, Hit, Listed
from archive.repository import CallRepository
from console.names import names_in
from console.people import SignedIn
from console.privacy import hide


def covered(repository: CallRepository, call: Call, person: SignedIn, scripts: Path | None) -> list[Stretch]:
    """The stretches that ``person`` does not hear: digits by which a borrower proved who they are, without
    ``secrets.hear``; names and numbers too, without ``personal.read``. ``scripts`` is the operator's folder."""
    if not person.may("personal.read"):
        names = names_in(repository.verdicts(call.id), call, scripts)
        return stretches(repository.turns(call.id), lambda text: hide(text, names))
    return [] if person.may("secrets.hear") else stretches(repository.turns(call.id))


def found_in_the_open(
    session: Session, calls: Sequence[Listed], text: str, scripts: Path | None, per_call: int = 2
) -> tuple[list[Listed], dict[str, list[Hit]]]:
    """Of ``calls`` in which words of ``text`` fall, those where one falls in what stays readable without
    ``personal.read``; and by call id such turns, their names and numbers covered."""
    repository = CallRepository(session)
    hits = CallQueries(session).hits(calls, text, per_call=10_000)
    kept: list[Listed] = []
    shown: dict[str, list[Hit]] = {}
    for listed in calls:
        call = repository.call(listed.call_id)
        names = () if call is None else names_in(repository.verdicts(listed.call_id), call, scripts)
        open_ones = []
        for hit in hits.get(listed.call_id, ()):
            covered_text = hide(hit.text, names)
            spans = tuple((a, b) for a, b in hit.spans if covered_text[a:b] == hit.text[a:b])
            if spans:
                open_ones.append(replace(hit, text=covered_text, spans=spans))
        if open_ones:
            kept.append(listed)
            shown[listed.call_id] = open_ones[:per_call]
    return kept, shown
