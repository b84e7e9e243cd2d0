"""What runs on the driver: freeze the input, enrich it once, check, publish."""

from ._errors import RunError, first_line
from ._files import write_text
from ._rehearsal import check_middleware
from ._report import Report
from ._run import redrive_run, report_pipeline, run_pipeline
from ._summary import RunSummary

__all__ = [
    "Report",
    "RunError",
    "RunSummary",
    "check_middleware",
    "first_line",
    "redrive_run",
    "report_pipeline",
    "run_pipeline",
    "write_text",
]
