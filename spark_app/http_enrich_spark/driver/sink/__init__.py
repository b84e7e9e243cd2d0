"""Where the rows go, and how they become visible."""

from ._check import check_sink, rehearse, sink_exists
from ._publish import has_begun, publish

__all__ = ["check_sink", "has_begun", "publish", "rehearse", "sink_exists"]
