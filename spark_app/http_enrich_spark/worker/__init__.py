"""What runs on the executors: rows in, requests out, answers back as Arrow batches."""

from ._enrich import EnrichBatches
from ._manager import WorkerResourceManager
from ._plan import WorkerPlan

__all__ = ["EnrichBatches", "WorkerPlan", "WorkerResourceManager"]
