"""One row on its way to the database, as a value that a journal can hold and replay."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import groupby
from typing import Any

from archive.repository import RECORDS, CallRepository
from archive.types import clean_json

_TAGS: Mapping[str, Callable[[str], Any]] = {
    "$at": datetime.fromisoformat,
    "$date": date.fromisoformat,
    "$decimal": Decimal,
}
_PLAIN = "$json"  # wraps a document whose own keys look like a tag


@dataclass(frozen=True, slots=True)
class Operation:
    """Insert a row into ``table`` (a key of ``RECORDS``), or update the call where ``table`` is ``"calls"``."""

    call_id: str
    table: str
    values: Mapping[str, Any]


def apply(repository: CallRepository, operations: Sequence[Operation]) -> None:
    """Do all of them in order, rows of one table together."""
    for table, group in groupby(operations, key=lambda operation: operation.table):
        if table == "calls":
            for operation in group:
                repository.update_call(operation.call_id, operation.values)
                if "status" in operation.values:
                    status, disposition = operation.values["status"], operation.values.get("disposition")
                    repository.audit.append(
                        "call.ended", subject=operation.call_id, status=status, disposition=disposition
                    )
        else:
            repository.add_records(table, [operation.values for operation in group])


def apply_once(repository: CallRepository, operation: Operation) -> None:
    """Do one operation unless its row is there already."""
    if operation.table != "calls" and repository.has_record(
        operation.table, operation.call_id, operation.values["seq"]
    ):
        return
    apply(repository, [operation])


def to_json(operation: Operation) -> str:
    """One line without line ends."""
    values = {name: _tagged(value) for name, value in operation.values.items()}
    return json.dumps({"call": operation.call_id, "table": operation.table, "values": values}, allow_nan=False)


def from_json(line: str) -> Operation:
    """The operation of a journal's line. Raises ``ValueError`` where the line is none (cut off by a crash)."""
    try:
        document = json.loads(line)
        table = document["table"]
        if table != "calls" and table not in RECORDS:
            raise ValueError(f"no such table: {table!r}")
        values = {name: _untagged(value) for name, value in document["values"].items()}
        return Operation(str(document["call"]), table, values)
    except (KeyError, TypeError, AttributeError, ArithmeticError) as e:
        raise ValueError("not a journal line") from e


def _tagged(value: Any) -> Any:
    if isinstance(value, datetime):
        return {"$at": value.isoformat()}
    if isinstance(value, date):
        return {"$date": value.isoformat()}
    if isinstance(value, Decimal):
        return {"$decimal": str(value)}
    document = clean_json(value)
    if isinstance(document, dict) and document.keys() & {*_TAGS, _PLAIN}:
        return {_PLAIN: document}
    return document


def _untagged(value: Any) -> Any:
    if isinstance(value, dict) and len(value) == 1:
        tag, text = next(iter(value.items()))
        if tag == _PLAIN:
            return text
        if tag in _TAGS:
            return _TAGS[tag](text)
    return value
