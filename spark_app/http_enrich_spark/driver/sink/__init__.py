"""Where the rows go, and how they become visible."""

from ._check import check_sink, rehearse, sink_exists
from ._publish import has_begun, has_ended, is_written, publish, published_files
from ._replace import EXACT_FORMATS, check_unchanged, read_back, replacing, to_replace

__all__ = [
    "EXACT_FORMATS",
    "check_sink",
    "check_unchanged",
    "has_begun",
    "has_ended",
    "is_written",
    "publish",
    "published_files",
    "read_back",
    "rehearse",
    "replacing",
    "sink_exists",
    "to_replace",
]
