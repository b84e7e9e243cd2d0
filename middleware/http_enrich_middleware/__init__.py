"""Everything about a request that is not the network: a chain built once per worker."""

from ._chain import build_chain
from ._exchange import Failure, Handler, Middleware, RequestExchange
from ._registry import MiddlewareConfig, UnknownMiddlewareError, parse_middleware, with_defaults
from ._runtime import WorkerRuntime

__all__ = [
    "Failure",
    "Handler",
    "Middleware",
    "MiddlewareConfig",
    "RequestExchange",
    "UnknownMiddlewareError",
    "WorkerRuntime",
    "build_chain",
    "parse_middleware",
    "with_defaults",
]
