"""What runs on the driver: freeze the input, enrich it once, check, publish."""

from ._errors import RunError, first_line
from ._run import run_pipeline
from ._summary import RunSummary

__all__ = ["RunError", "RunSummary", "first_line", "run_pipeline"]
