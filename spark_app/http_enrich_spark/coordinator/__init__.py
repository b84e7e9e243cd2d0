"""One voice for all workers: permits, tokens, secrets and counts. Knows nothing of Spark."""

from ._client import Client, UnreachableError, fetch_secrets
from ._link import Link
from ._progress import Pace, progress_line
from ._server import Coordinator
from ._stop import Stop
from ._totals import PASSED, Totals

__all__ = [
    "PASSED",
    "Client",
    "Coordinator",
    "Link",
    "Pace",
    "Stop",
    "Totals",
    "UnreachableError",
    "fetch_secrets",
    "progress_line",
]
