"""What outlives a try of a run: who is at work, the frozen rows, and the answers so far."""

from ._done import Done, last_done
from ._epoch import Epoch
from ._failures import Failures, forget_failures, keep_failures, last_failures
from ._ledger import Ledger
from ._records import read

__all__ = [
    "Done",
    "Epoch",
    "Failures",
    "Ledger",
    "forget_failures",
    "keep_failures",
    "last_done",
    "last_failures",
    "read",
]
