"""Rows of a whole call that did not come through :class:`archive.writer.CallArchive`, masked as it would have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from archive.masking import Secrets

Rows = Mapping[str, Sequence[Mapping[str, Any]]]


def masked_rows(rows: Rows) -> dict[str, list[dict[str, Any]]]:
    """``rows`` by table, with the digits that prove who somebody is masked (:mod:`archive.masking`)."""
    found = {table: [dict(row) for row in each] for table, each in rows.items()}
    secrets = Secrets()
    moments = [("verdict", row["at"], row) for row in found.get("verdicts", [])]
    moments += [("turn", row["start"], row) for row in found.get("turns", [])]
    for kind, at, row in sorted(moments, key=lambda each: each[1]):
        if kind == "verdict":
            secrets.said(row["proposed"], at)
            row |= {name: secrets.mask_line(row[name]) for name in ("proposed", "text")}
        elif row["who"] == "borrower":
            masked = secrets.mask(row["text"], row["words"] or (), row["slots"] or {}, at)
            row |= {"text": masked.text, "words": list(masked.words), "slots": dict(masked.slots)}
        else:
            row |= {name: secrets.mask_line(row[name]) for name in ("text", "heard_text") if row[name] is not None}
    return found
