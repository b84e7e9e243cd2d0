"""Serves the report of a task instance to whoever may read its DAG."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import FileResponse, HTMLResponse
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from starlette.exceptions import HTTPException as StarletteHTTPException

from ._page import page_of
from ._report import UnreadableReportError, read_report
from ._stored import Place, Stored, stored

_HERE = Path(__file__).parent
_HEADERS = {
    # Plotly writes its styles into the page; nothing else may, and no script but ours runs.
    "Content-Security-Policy": (
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
_TITLES = {401: "Please log in", 403: "Not yours to read", 404: "Nothing here"}

_templates = Jinja2Templates(_HERE / "templates")
app = FastAPI(title="HTTP Enrich", docs_url=None, redoc_url=None, openapi_url=None)
app.mount("/static", StaticFiles(directory=_HERE / "static"), name="static")


def place_of(dag_id: str, run_id: str, task_id: str, map_index: str = "-1") -> Place:
    """Return the task instance that is asked for."""
    # A task that is not mapped has no index, and Airflow leaves the placeholder as it is.
    return Place(dag_id, run_id, task_id, int(map_index) if re.fullmatch(r"\d{1,9}", map_index) else -1)


@app.get(
    # In the path, since Airflow 3.0 looks for the DAG to check there and nowhere else.
    "/report/{dag_id}",
    response_class=HTMLResponse,
    dependencies=[Depends(requires_access_dag("GET", DagAccessEntity.XCOM))],
)
def report(request: Request, place: Annotated[Place, Depends(place_of)], session: SessionDep) -> Response:
    """Show the report of a task instance."""
    found = stored(place, session)
    if found is None:
        raise HTTPException(404, "There is no such task instance.")
    if found.report is None:
        return _message(request, "Nothing here", _why_there_is_none(found))
    try:
        page = page_of(read_report(found.report))
    except UnreadableReportError as error:
        return _message(
            request, "This report cannot be shown", f"What the task has left is no report: {error}."
        )
    return _page(request, "report.html", page=page, plotly=f"plotly-{version('plotly')}.min.js")


@app.get("/spark-ui", response_class=HTMLResponse)
def spark_ui(request: Request) -> Response:
    """Say where a Spark UI has gone; holds no data, so anyone may read it."""
    return _message(
        request,
        "The Spark UI has ended with its run",
        "Spark serves it from the driver. To keep it, have Spark write event logs, run a history server, and "
        "set spark_history_server in the section http_enrich of Airflow's configuration.",
    )


@app.get("/plotly-{_}.min.js")
def plotly(_: str) -> Response:
    """Serve the script of the installed Plotly, whose version is in the address."""
    spec = find_spec("plotly")
    assert spec is not None  # noqa: S101 - the extra that brings Airflow brings it too
    file = Path(str(spec.origin)).parent / "package_data" / "plotly.min.js"
    caching = {"Cache-Control": "public, max-age=31536000, immutable"}
    return FileResponse(file, media_type="text/javascript", headers=caching)


@app.exception_handler(StarletteHTTPException)
def refused(request: Request, error: StarletteHTTPException) -> Response:
    """Show an error as a page, since it appears where the report would."""
    title = _TITLES.get(error.status_code, "This did not work")
    return _message(request, title, str(error.detail), status=error.status_code)


@app.middleware("http")
async def protect(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Add what tells browsers to run nothing but our scripts, and to show us only in Airflow's own pages."""
    response = await call_next(request)
    response.headers.update(_HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def _message(request: Request, title: str, text: str, *, status: int = 200) -> Response:
    return _page(request, "message.html", status=status, title=title, text=text)


def _page(request: Request, template: str, *, status: int = 200, **context: Any) -> Response:
    # Without a host: a proxy in front of Airflow has another one, and another scheme.
    context["root"] = request.scope.get("root_path", "")
    return _templates.TemplateResponse(request, template, context, status_code=status)


def _why_there_is_none(found: Stored) -> str:
    if found.state in ("running", "scheduled", "queued", "deferred"):
        return "A report appears here when the run has ended, if this is a task that enriches rows."
    return (
        "This task has left no report. Tasks of HttpEnrichSparkOperator leave one, unless they were "
        "killed or ended before they had begun; the log says which."
    )
