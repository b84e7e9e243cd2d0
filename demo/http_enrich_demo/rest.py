"""Speaks to Airflow as a user who has logged in: its REST API."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

# Airflow is on the loopback interface, where no proxy of the caller's has any business.
_direct = build_opener(ProxyHandler({}))
_TIMEOUT_SECONDS = 60.0
# SQLite has one writer at a time. Who reads first and then finds another one writing is refused at once.
_TRIES = 20


class RestError(Exception):
    """Airflow has refused a request; the message holds its answer, `status` the HTTP status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class _BusyError(RestError):
    """Another part of Airflow is writing to the database; nothing has happened, and it may work soon."""


class AirflowRest:
    """Airflow's REST API, at the *url* of its web pages, for the user with that name and password."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self.url, self.user, self.password = url, user, password
        answer = self._ask("POST", "/auth/token", {"username": user, "password": password}, {})
        self._headers = {"Authorization": f"Bearer {answer['access_token']}"}

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """Return what is at *path*, below `/api/v2`."""
        text = f"?{urlencode(query, doseq=True)}" if query else ""
        return self._ask("GET", f"/api/v2{path}{text}", None, self._headers)

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Have *body* done at *path* and return the answer."""
        return self._ask("POST", f"/api/v2{path}", body, self._headers)

    def put(self, path: str) -> dict[str, Any]:
        """Have done what *path* says and return the answer."""
        return self._ask("PUT", f"/api/v2{path}", None, self._headers)

    def patch(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Change what is at *path* and return the answer."""
        return self._ask("PATCH", f"/api/v2{path}", body, self._headers)

    def ensure_pool(self, name: str, slots: int) -> None:
        """Create the pool unless there is one of that name."""
        try:
            self.post("/pools", {"name": name, "slots": slots})
        except RestError as error:
            if error.status != 409:
                raise

    def _ask(self, method: str, path: str, body: object, headers: Mapping[str, str]) -> dict[str, Any]:
        for _ in range(_TRIES - 1):
            with suppress(_BusyError):
                return self._once(method, path, body, headers)
            time.sleep(1.0)
        return self._once(method, path, body, headers)

    def _once(self, method: str, path: str, body: object, headers: Mapping[str, str]) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = Request(
            self.url + path, data, {"Content-Type": "application/json"} | dict(headers), method=method
        )
        try:
            with _direct.open(request, timeout=_TIMEOUT_SECONDS) as response:
                answer: dict[str, Any] = json.loads(response.read() or b"{}")
        except HTTPError as error:
            with error:
                said = error.read().decode(errors="replace")
            is_busy = error.code == 503 or "database is locked" in said
            kind = _BusyError if is_busy else RestError
            raise kind(f"{method} {path}: HTTP {error.code}: {said}", error.code) from None
        return answer
