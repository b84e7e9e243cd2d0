"""The models of the pipeline file."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SerializeAsAny,
    ValidationInfo,
    field_serializer,
    model_validator,
)

from http_enrich_middleware import AUTHORIZING, MiddlewareConfig, parse_middleware
from http_enrich_transport import (
    ENGINE_HEADERS,
    AiohttpEngineConfig,
    Count,
    Seconds,
    Settings,
    TransportConfig,
    is_token,
    parse_transport,
    split_http_url,
)

from ._options import Options, hidden, option_of
from ._template import Template, as_json_template

Fraction = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(min_length=1)]

FILE_FORMATS = frozenset({"parquet", "orc", "json", "csv", "avro", "text", "xml"})
"""Formats whose tables are nothing but folders of files."""

_DYNAMIC_FORMATS = {"parquet", "orc", "json", "csv", "text", "avro", "delta", "jdbc"}
"""Formats that replace partitions one by one; others would replace the whole table."""


class SourceConfig(Settings):
    """
    Where rows come from: one of `path` (with `format`), `table` or `query`.

    A `format` that is no format of files needs none of them: its `options` say where. With
    `format: jdbc`, `table` and `query` are those of the database.
    """

    format: str = "parquet"
    path: Name | None = None
    options: Annotated[Options, AfterValidator(hidden)] = {}
    """Passed to Spark's reader."""
    table: Name | None = None
    query: Name | None = None
    """Spark SQL; with `format: jdbc`, SQL of the database."""
    where: str | None = None
    """SQL predicate; rows for which it is not true are left out."""
    id: list[str] = Field(min_length=1)
    """The columns that identify a row."""
    on_duplicate_id: Literal["fail", "first", "each"] = "fail"
    """What to do with rows that share an id: end the run, take the first of them, or request each."""

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if self.format == "jdbc":
            return self._one_query()
        given = sum(each is not None for each in (self.path, self.table, self.query))
        elsewhere = "format" in self.model_fields_set and self.format not in FILE_FORMATS
        if given > 1 or (given == 0 and not elsewhere):
            msg = "give exactly one of path, table and query"
            raise ValueError(msg)
        if (self.table or self.query) and self.model_fields_set & {"format", "options"}:
            msg = "format and options go with path; a table or query has its own"
            raise ValueError(msg)
        return self

    def _one_query(self) -> Self:
        _check_database(self.path, self.options)
        named = [name for name in self.options if name.lower() in ("dbtable", "query")]
        if sum(each is not None for each in (self.table, self.query)) + len(named) != 1:
            msg = "format jdbc needs exactly one of table and query (or of options.dbtable and options.query)"
            raise ValueError(msg)
        return self


def _check_database(path: str | None, options: Options) -> None:
    if path is not None:
        msg = "format jdbc has no path; give options.url, and table"
        raise ValueError(msg)
    if option_of(options, "url") is None:
        msg = "format jdbc needs options.url, such as jdbc:postgresql://host:5432/database"
        raise ValueError(msg)


def _base_url(value: str) -> str:
    parts = split_http_url(value)
    if parts is None or not value.isprintable() or " " in value:
        msg = "expected an address such as https://api.example.com (of a connection: https://${conn.ID.host})"
        raise ValueError(msg)
    if "@" in parts.netloc:
        msg = "credentials do not belong into the address; use an auth middleware"
        raise ValueError(msg)
    if "?" in value or "#" in value:
        msg = "no query or fragment here; use endpoint.params"
        raise ValueError(msg)
    return value.rstrip("/")


def _seen(path: Template) -> Template:
    if path.secret:
        msg = "a secret (${conn.…}, ${file.…}) must not be used here: paths are shown; use headers or params"
        raise ValueError(msg)
    return path


def _header_name(name: str) -> str:
    if not is_token(name):
        msg = f"{name!r} is not a header name"
        raise ValueError(msg)
    if name.lower() in ENGINE_HEADERS:
        msg = f"{name!r} is written by the HTTP engine and cannot be set"
        raise ValueError(msg)
    return name


class EndpointConfig(Settings):
    """The request that each row becomes."""

    base_url: Annotated[str, AfterValidator(_base_url)]
    """Scheme, host and port; no row can change them."""
    method: Literal["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    path: Annotated[Template, AfterValidator(_seen)] = Template("/")
    params: dict[str, Template] = {}
    headers: dict[Annotated[str, AfterValidator(_header_name)], Template] = {}
    json_: Annotated[Any, AfterValidator(as_json_template)] = Field(default=None, alias="json")
    form: dict[str, Template] | None = None
    body: Template | None = None

    @field_serializer("json_")
    def _json_for_people(self, value: Any) -> str:
        return repr(value)

    @model_validator(mode="after")
    def _has_one_body(self) -> Self:
        if sum(each is not None for each in (self.json_, self.form, self.body)) > 1:
            msg = "give at most one of json, form and body"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _has_a_path(self) -> Self:
        start = self.path.parts[0] if self.path.parts else ""
        if isinstance(start, str) and not start.startswith("/"):
            msg = "path must start with '/'"
            raise ValueError(msg)
        if any(isinstance(part, str) and ("?" in part or "#" in part) for part in self.path.parts):
            msg = "path has no '?' and no '#'; write the query into endpoint.params"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _names_each_header_once(self) -> Self:
        names = [name.lower() for name in self.headers]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            msg = f"the header {twice.pop()!r} is given twice"
            raise ValueError(msg)
        return self


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


class SinkConfig(Settings):
    """
    Where the enriched table goes: a `path` (with `format`) or a `table`.

    With `format: jdbc` the table is one of the database that `options` name.
    """

    format: str = "parquet"
    path: Name | None = None
    table: Name | None = None
    options: Annotated[Options, AfterValidator(hidden)] = {}
    """Passed to Spark's writer."""
    partition_by: list[str] = []
    mode: Literal["append", "overwrite", "overwrite_partitions", "error"] = "error"

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if self.format == "jdbc":
            self._check_table()
        if (self.path is None) == (self.table is None):
            msg = "give exactly one of path and table"
            raise ValueError(msg)
        if self.mode == "overwrite_partitions" and not self.partition_by:
            msg = "mode overwrite_partitions needs partition_by"
            raise ValueError(msg)
        if self.mode == "overwrite_partitions" and self.format not in _DYNAMIC_FORMATS:
            msg = f"mode overwrite_partitions works with {', '.join(sorted(_DYNAMIC_FORMATS))} only"
            raise ValueError(msg)
        return self

    def _check_table(self) -> None:
        _check_database(self.path, self.options)
        if any(name.lower() in ("dbtable", "query") for name in self.options):
            msg = "format jdbc writes into the sink's table; take dbtable and query out of options"
            raise ValueError(msg)
        if (
            not all(part.strip() for part in (self.table or "").split("."))
            or (self.table or "").count(".") > 1
        ):
            msg = "format jdbc needs a table such as airports or public.airports"
            raise ValueError(msg)

    @property
    def name(self) -> str:
        """The path or the table, for people."""
        return self.path or self.table or ""

    @property
    def place(self) -> tuple[str | None, object]:
        """The table, and the database if it is in one; two sinks with equal ones are the same table."""
        return self.table, option_of(self.options, "url") if self.format == "jdbc" else None


class DeadLetterConfig(SinkConfig):
    """Where failed rows go instead of the sink; like a sink, but rows are added unless it says otherwise."""

    mode: Literal["append", "overwrite", "overwrite_partitions", "error"] = "append"


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


def _inside(path: str, folder: str) -> bool:
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
        if self.source.path is not None and _inside(self.source.path, sink) and self.source.path != sink:
            msg = "mode overwrite would delete source.path, which is inside sink.path; move one of them"
            raise ValueError(msg)
        if self.execution.checkpoint is not None and _inside(self.execution.checkpoint, sink):
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
            same = _inside(dead.path, main.path) or _inside(main.path, dead.path)
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
