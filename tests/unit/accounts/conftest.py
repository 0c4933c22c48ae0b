from __future__ import annotations

import pytest
from tests.unit.api import people


@pytest.fixture
def office() -> people.Office:
    people.office().reset()
    return people.office()
