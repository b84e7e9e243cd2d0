"""One API server with users and a base path for all tests of the tab, and one browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.support.airflow_web import Database, Web, make_database, serving

# Nothing of Google's services, and what a container needs.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Database:
    return make_database(tmp_path_factory.mktemp("airflow"))


@pytest.fixture(scope="session")
def web(database: Database) -> Iterator[Web]:
    with serving(database, "/airflow") as web:
        yield web


# Not for the session: while Playwright lives, no other loop can run in this thread.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("chromium-browser")
        assert path is not None, "the tests need Chromium: run scripts/ensure_chromium.sh"
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()
