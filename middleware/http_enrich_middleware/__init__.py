"""Everything about a request that is not the network: a chain built once per worker."""

from ._advice import AUTHORIZING, Advice, advice
from ._bulk import Bulk
from ._chain import build_bulk_chain, build_chain
from ._exchange import (
    CIRCUIT_OPEN,
    DEADLINE_EXCEEDED,
    RUN_STOPPED,
    Failure,
    Handler,
    Middleware,
    RequestExchange,
    Verdict,
)
from ._metrics import LATENCY_GAMMA, Histogram, Metrics, Snapshot
from ._origin import Origin, OriginName, origin_of
from ._permits import PACED, Brake, LocalPermits, PermitSource, PermitWindow, Rate
from ._redact import Redactor, secret_forms
from ._registry import (
    DeferredConfig,
    MiddlewareConfig,
    UnknownMiddlewareError,
    parse_middleware,
    with_defaults,
)
from ._retry_after import retry_after
from ._run_state import RunState
from ._runtime import WorkerRuntime
from ._step import NotSentError, Step
from ._token import (
    Ask,
    Grant,
    NoTokenError,
    RefusedError,
    Token,
    TokenKeeper,
    TokenSource,
    UnavailableError,
)

__all__ = [
    "AUTHORIZING",
    "CIRCUIT_OPEN",
    "DEADLINE_EXCEEDED",
    "LATENCY_GAMMA",
    "PACED",
    "RUN_STOPPED",
    "Advice",
    "Ask",
    "Brake",
    "Bulk",
    "DeferredConfig",
    "Failure",
    "Grant",
    "Handler",
    "Histogram",
    "LocalPermits",
    "Metrics",
    "Middleware",
    "MiddlewareConfig",
    "NoTokenError",
    "NotSentError",
    "Origin",
    "OriginName",
    "PermitSource",
    "PermitWindow",
    "Rate",
    "Redactor",
    "RefusedError",
    "RequestExchange",
    "RunState",
    "Snapshot",
    "Step",
    "Token",
    "TokenKeeper",
    "TokenSource",
    "UnavailableError",
    "UnknownMiddlewareError",
    "Verdict",
    "WorkerRuntime",
    "advice",
    "build_bulk_chain",
    "build_chain",
    "origin_of",
    "parse_middleware",
    "retry_after",
    "secret_forms",
    "with_defaults",
]
