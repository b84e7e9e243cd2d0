"""What outlives a try of a run: who is at work, the frozen rows, and the answers so far."""

from ._epoch import Epoch
from ._failures import Failures, forget_failures, keep_failures, last_failures
from ._ledger import Ledger, read
from ._manifest import Done

__all__ = ["Done", "Epoch", "Failures", "Ledger", "forget_failures", "keep_failures", "last_failures", "read"]
