"""What runs on the executors: rows in, requests out, answers back as Arrow batches."""

from ._enrich import EnrichBatches
from ._manager import WorkerResourceManager
from ._outcome import FAILURES
from ._plan import WorkerPlan
from ._record import HTTP_DDL
from ._request import row_columns

__all__ = ["FAILURES", "HTTP_DDL", "EnrichBatches", "WorkerPlan", "WorkerResourceManager", "row_columns"]
