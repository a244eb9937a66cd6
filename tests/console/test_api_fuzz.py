"""schemathesis over the interface, as its own description tells it: nothing it can send makes the server fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from console.api.description import describe
from console.context import Context
from console.people import People
from console.permissions import ROLES, allowed

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
EXAMPLES = 25


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("ignore")
def test_no_server_error(app: FastAPI, context: Context, a_call: Callable[..., str]) -> None:
    call = a_call()
    with context.database.write() as session:
        keys = {role: People(session).make_key(role, role, by="test") for role in ROLES}
    schema = schemathesis.openapi.from_dict(describe(app.state.guarded))
    schema.app = app
    seen: set[str] = set()
    codes: set[int] = set()
    for result in schema.get_all_operations():
        operation = result.ok()
        needed = operation.definition.raw["x-permission"]
        role = next(r for r in ROLES if allowed(r, needed))
        codes |= _tried(operation, call, {"authorization": f"Bearer {keys[role]}"})
        seen.add(f"{operation.method.upper()} {operation.path}")
    assert len(seen) >= 30 and {200, 422, 404} <= codes


def _tried(operation: Any, call: str, headers: dict[str, str]) -> set[int]:
    """The statuses that cases for one operation got. Half of the ids are of a call that is there."""
    codes: set[int] = set()

    @given(operation.as_strategy(), st.booleans())
    @settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    def send(case: Any, real: bool) -> None:
        if real and case.path_parameters and "call_id" in case.path_parameters:
            case.path_parameters["call_id"] = call
        answer = case.call(headers=headers)
        codes.add(answer.status_code)
        assert answer.status_code < 500, (operation.path, answer.status_code, answer.text)
        if answer.status_code >= 400 and answer.status_code != 416:
            assert answer.json()["error"], answer.text

    send()
    return codes
