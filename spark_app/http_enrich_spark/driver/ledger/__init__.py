"""What outlives a try of a run: who is at work, the frozen rows, and the answers so far."""

from ._epoch import Epoch
from ._ledger import Ledger
from ._manifest import Done

__all__ = ["Done", "Epoch", "Ledger"]
