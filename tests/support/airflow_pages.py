"""Airflow's web pages as a user handles them, in a headless Chromium."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from http_enrich_demo.rest import AirflowRest

SCREENSHOTS = Path(__file__).resolve().parents[2] / "build" / "screenshots"
SECONDS = 900
"""More than anything here takes on a busy machine."""


class AirflowPages:
    """The browser of a user who has logged in."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self._url = page, url

    def log_in(self, user: str, password: str) -> None:
        """Log in, as the page that comes first asks for."""
        self.page.goto(self._url)
        self.page.locator("[name=username]").fill(user)
        self.page.locator("[name=password]").fill(password)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.get_by_role("link", name="Dags", exact=True).wait_for()

    def open(self, path: str) -> None:
        """Open a page of Airflow."""
        self.page.goto(f"{self._url}{path}")

    def switch_on(self) -> None:
        """Switch the open DAG on, if it is off."""
        switch = self.page.get_by_test_id("toggle-pause")
        if switch.get_attribute("data-state") != "checked":
            switch.click()
        expect(switch).to_have_attribute("data-state", "checked")

    def fill_in_backfill(self, first: date, last: date) -> None:
        """Press Trigger on the page of a DAG, and fill in the form of a backfill."""
        self.page.get_by_role("button", name="Trigger").first.click()
        dialog = self.page.get_by_role("dialog")
        dialog.get_by_text("Backfill", exact=True).click()
        for place, day in enumerate((first, last)):
            self.page.get_by_test_id("datetime-input").nth(place).click()
            written = self.page.get_by_placeholder("YYYY/MM/DD").locator("visible=true")
            written.fill(f"{day:%Y/%m/%d}")
            self.page.get_by_placeholder("HH:mm").locator("visible=true").fill("00:00")
            dialog.get_by_role("heading").first.click()  # closes the calendar
            expect(written).to_have_count(0)

    def screenshot(self, name: str) -> None:
        """Keep what the page shows as `build/screenshots/<name>.png`."""
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png")


@contextmanager
def airflow_pages(rest: AirflowRest) -> Iterator[AirflowPages]:
    """Open a browser on the Airflow of *rest*, and log in as its user."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    assert chromium is not None, "there is no chromium; run scripts/ensure_chromium.sh"
    with sync_playwright() as playwright:
        # The sandbox does not work for root, who runs the tests in a container.
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        context = browser.new_context(
            viewport={"width": 1280, "height": 900}, locale="en-US", timezone_id="UTC"
        )
        context.set_default_timeout(SECONDS * 1000)
        expect.set_options(timeout=SECONDS * 1000)
        pages = AirflowPages(context.new_page(), rest.url)
        pages.log_in(rest.user, rest.password)
        yield pages
        browser.close()
