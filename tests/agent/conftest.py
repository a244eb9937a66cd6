from __future__ import annotations

import pytest

from compliance_checks.gate import Gate


@pytest.fixture(scope="session")
def gate() -> Gate:
    return Gate.load()
