"""Asking a provider's REST interface, so that an answer that never came is never taken for a refusal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from agent.telephony.carrier import DialFailed, DialUnknown

TIMEOUT = httpx.Timeout(10.0, connect=5.0)


async def ask(
    client: httpx.AsyncClient,
    method: str,
    url: str,
    *,
    form: Mapping[str, str | list[str]] | None = None,
    body: Mapping[str, Any] | None = None,
) -> tuple[int, dict[str, Any]]:
    """One request; the status and the JSON object of the answer (empty if it is none).

    Raises ``DialFailed`` where the request surely did not arrive (no connection), ``DialUnknown`` where it may have:
    a time-out after sending, a torn connection, a fault of the server.
    """
    try:
        answer = await client.request(method, url, data=form, json=body)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as e:
        raise DialFailed("carrier_error", f"no connection to the provider: {type(e).__name__}") from e
    except httpx.HTTPError as e:
        raise DialUnknown(f"the provider did not answer: {type(e).__name__}") from e
    except httpx.InvalidURL as e:
        raise DialFailed("carrier_error", "the provider's address is not a URL") from e
    if answer.status_code >= 500:
        raise DialUnknown(f"the provider failed with status {answer.status_code}")
    try:
        parsed = answer.json()
    except ValueError:
        parsed = {}
    return answer.status_code, parsed if isinstance(parsed, dict) else {}
