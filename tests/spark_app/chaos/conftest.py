"""Makes what the drivers of these tests need to start in half the time."""

from __future__ import annotations

import pytest

from tests.support import spark_archive


@pytest.fixture(scope="session", autouse=True)
def archive() -> None:
    spark_archive.ensure()
