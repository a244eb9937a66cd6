from __future__ import annotations

import pytest

from compliance_checks import Gate


@pytest.fixture(scope="session")
def gate() -> Gate:
    return Gate.load()
