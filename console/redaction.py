"""What of a recording somebody may hear and see: the rest lies under a tone, as it is hidden in the transcript."""

from __future__ import annotations

from pathlib import Path

from archive.covering import Stretch, stretches
from archive.models import Call
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
