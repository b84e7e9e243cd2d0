"""Builds a row's request."""

from __future__ import annotations

from collections.abc import Callable

from http_enrich_spark.config import EndpointConfig
from http_enrich_transport import TransportRequest

from ._compile import (
    Columns,
    Row,
    columns_of,
    compile_header,
    compile_json,
    compile_path,
    compile_query,
    compile_text,
)
from ._values import InvalidRequestError

MAX_BODY = 10 * 1024 * 1024
"""Bytes; as large as the largest answer."""

MAX_URL = 8 * 1024
"""Characters; common servers refuse longer request lines (nginx and Apache: 8 KiB)."""

Body = Callable[[Row], bytes]


def row_columns(endpoint: EndpointConfig) -> list[str]:
    """Return the columns that a request of *endpoint* needs."""
    parts = [endpoint.path, endpoint.params, endpoint.headers, endpoint.json_, endpoint.form, endpoint.body]
    return list(dict.fromkeys(columns_of(parts)))


class RequestBuilder:
    """Turns rows into requests; all parsing of templates happens here, once per worker."""

    def __init__(self, endpoint: EndpointConfig) -> None:
        self.columns = row_columns(endpoint)
        positions = {name: index for index, name in enumerate(self.columns)}
        self._method = endpoint.method
        self._base_url = endpoint.base_url
        self._path = compile_path(endpoint.path, positions)
        self._query = compile_query(endpoint.params, positions) if endpoint.params else None
        self._headers = {
            name: compile_header(template, positions) for name, template in endpoint.headers.items()
        }
        self._body, content_type = _compile_body(endpoint, positions)
        if content_type and "content-type" not in {name.lower() for name in endpoint.headers}:
            self._headers["Content-Type"] = lambda _: content_type

    def build(self, row: Row) -> TransportRequest:
        """Build the request of *row*, its values in the order of `columns`; raises `InvalidRequestError`."""
        try:
            url, headers, body = self._parts(row)
        except (UnicodeEncodeError, TypeError, OverflowError) as error:
            msg = f"the row cannot be written into a request: {type(error).__name__}"
            raise InvalidRequestError(msg) from None
        _limit("the address", len(url), MAX_URL)
        _limit("the body", len(body or b""), MAX_BODY)
        return TransportRequest(self._method, url, headers, body)

    def _parts(self, row: Row) -> tuple[str, dict[str, str], bytes | None]:
        url = self._base_url + self._path(row)
        if self._query is not None:
            url += "?" + self._query(row)
        headers = {name: value(row) for name, value in self._headers.items()}
        return url, headers, self._body(row) if self._body is not None else None


def _limit(what: str, size: int, limit: int) -> None:
    if size > limit:
        msg = f"{what} has {size} characters, more than {limit}"
        raise InvalidRequestError(msg)


def _compile_body(endpoint: EndpointConfig, columns: Columns) -> tuple[Body | None, str | None]:
    if endpoint.json_ is not None:
        return compile_json(endpoint.json_, columns), "application/json"
    if endpoint.form is not None:
        form = compile_query(endpoint.form, columns)
        return lambda row: form(row).encode(), "application/x-www-form-urlencoded"
    if endpoint.body is not None:
        text = compile_text(endpoint.body, columns)
        return lambda row: text(row).encode(), None
    return None, None
