"""The models of the pipeline file."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, PrivateAttr, SerializeAsAny, ValidationInfo, model_validator

from http_enrich_middleware import AUTHORIZING, MiddlewareConfig, parse_middleware
from http_enrich_transport import (
    AiohttpEngineConfig,
    Count,
    Seconds,
    Settings,
    TransportConfig,
    parse_transport,
)

from ._endpoint import EndpointConfig
from ._places import DeadLetterConfig, SinkConfig, SourceConfig

Fraction = Annotated[float, Field(ge=0, le=1)]


class ResponseConfig(Settings):
    """What becomes of the answer."""

    select: str | None = Field(default=None, pattern=r"^[\w-]+(\.[\w-]+)*$")
    """Dotted path into the JSON body."""
    schema_: str | None = Field(default=None, alias="schema")
    """Columns to read from there, as Spark DDL."""
    keep_body: bool = False
    """Keep the body's text in `http.body`."""
    headers: list[str] = []
    """Names of answer headers to keep in `http.headers`."""


class ErrorsConfig(Settings):
    """What becomes of failed rows, if they are not to stay in the table."""

    dead_letter: DeadLetterConfig


class ExecutionConfig(Settings):
    """How the work is cut up, and when to give up."""

    concurrency: Count | None = None
    """Requests in flight per worker process; default: `tcp_connection.limit`."""
    batch_size: Count = 10_000
    """Rows per Spark task."""
    max_error_rate: Fraction = 0.5
    """Share of failed rows above which the run fails and publishes nothing; 1 turns it off."""
    max_calls: Count | None = None
    """Requests that the run may make, those of earlier tries included; then it stops, to be gone on with."""
    deadline: Annotated[Seconds, Field(gt=0)] | None = None
    """Seconds that one try may spend on requests; then it stops, to be gone on with."""
    checkpoint: str | None = None
    """Folder for answers that are not published yet; default: beside `sink.path`."""


def _is_top(path: str) -> bool:
    """Say whether the folder above *path* is not ours to write to: `s3a://bucket`, `/`, `.`, `a/..`."""
    if "${" in path:
        return False  # known once it is filled in
    scheme, separator, rest = path.rpartition("://")
    names = [name for name in rest.split("/") if name]
    bucket_only = bool(separator) and scheme != "file" and len(names) == 1
    return not names or names[-1] in (".", "..") or bucket_only


def is_inside(path: str, folder: str) -> bool:
    """Say whether *path* is *folder* or below it, by their texts."""
    return f"{path.rstrip('/')}/".startswith(f"{folder.rstrip('/')}/")


def _transport(value: Any, info: ValidationInfo) -> TransportConfig:
    return parse_transport(value, info.context)


def _middleware(value: Any, info: ValidationInfo) -> MiddlewareConfig:
    return parse_middleware(value, info.context)


class PipelineConfig(Settings):
    """A whole pipeline file."""

    version: Literal[1]
    name: str = Field(pattern=r"^[A-Za-z0-9][\w.-]{0,99}$")
    source: SourceConfig
    endpoint: EndpointConfig
    transport: Annotated[SerializeAsAny[TransportConfig], BeforeValidator(_transport)] = AiohttpEngineConfig()
    middleware: list[Annotated[SerializeAsAny[MiddlewareConfig], BeforeValidator(_middleware)]] = []
    response: ResponseConfig = ResponseConfig()
    sink: SinkConfig
    errors: Literal["keep"] | ErrorsConfig = "keep"
    """Whether failed rows stay in the table, with their error in `http`, or go elsewhere."""
    execution: ExecutionConfig = ExecutionConfig()
    _apart: str = PrivateAttr("")

    @property
    def apart(self) -> str:
        """The variables that the sinks name, such as `country=IS`: runs into other places are other runs."""
        return self._apart

    @model_validator(mode="after")
    def _authorizes_once(self) -> Self:
        listed = {name.lower() for name in self.endpoint.headers}
        setting = next((each.type for each in self.middleware if each.type in AUTHORIZING), None)
        if "authorization" in listed and setting is not None:
            msg = f"endpoint.headers and {setting} both set Authorization; keep one of them"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _keeps_folders_apart(self) -> Self:
        """What mode overwrite deletes must not hold what the run reads or keeps."""
        sink = self.sink.path
        if sink is None or self.sink.mode != "overwrite":
            return self
        if self.source.path is not None and is_inside(self.source.path, sink) and self.source.path != sink:
            msg = "mode overwrite would delete source.path, which is inside sink.path; move one of them"
            raise ValueError(msg)
        if self.execution.checkpoint is not None and is_inside(self.execution.checkpoint, sink):
            msg = "mode overwrite would delete execution.checkpoint, which is inside sink.path; move it"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _keeps_sinks_apart(self) -> Self:
        main, dead = self.sink, self.dead_letter
        if dead is None:
            return self
        same = dead.table is not None and dead.place == main.place
        if main.path and dead.path:
            same = is_inside(dead.path, main.path) or is_inside(main.path, dead.path)
        if same:
            msg = "errors.dead_letter and sink are in one place; readers would take failures for rows"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _has_checkpoint(self) -> Self:
        if self.sink.path is None and self.execution.checkpoint is None:
            msg = "a sink table needs execution.checkpoint, a folder that every executor can reach"
            raise ValueError(msg)
        if self.execution.checkpoint is None and _is_top(self.sink.path or ""):
            msg = "sink.path is the top of a file system; choose a folder below it"
            raise ValueError(msg)
        return self

    @property
    def dead_letter(self) -> SinkConfig | None:
        """Where failed rows go; None if they stay in the table."""
        return None if self.errors == "keep" else self.errors.dead_letter

    @property
    def concurrency(self) -> int:
        """Requests in flight per worker process."""
        return self.execution.concurrency or self.transport.concurrency

    @property
    def keeps_bodies(self) -> bool:
        """Whether the texts of answers are needed after the request."""
        return self.response.keep_body or self.response.schema_ is not None

    @property
    def checkpoint(self) -> str:
        """The folder for what outlives a try: frozen rows, and answers that are not published yet."""
        if self.execution.checkpoint is not None:
            return self.execution.checkpoint.rstrip("/")
        # Spark passes over what begins with "_", so no reader of the parent folder sees it.
        parent, slash, _ = (self.sink.path or "").rstrip("/").rpartition("/")
        return f"{parent}{slash}_http_enrich"
