"""What runs on the driver: freeze the input, enrich it once, check, publish."""

from ._errors import RunError
from ._run import run_pipeline
from ._summary import RunSummary

__all__ = ["RunError", "RunSummary", "run_pipeline"]
