"""What runs on the driver: freeze the input, enrich it once, check, publish."""

from ._errors import RunError, first_line
from ._rehearsal import check_middleware
from ._run import redrive_run, run_pipeline
from ._summary import RunSummary

__all__ = ["RunError", "RunSummary", "check_middleware", "first_line", "redrive_run", "run_pipeline"]
