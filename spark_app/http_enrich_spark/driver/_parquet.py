"""How Parquet is written here: in pieces that fit into memory, whatever a cell holds."""

from __future__ import annotations

SMALL_PAGES = {"parquet.page.size.row.check.min": "1"}
"""
Look at the size of pages and row groups from the first row on.

By default Parquet looks after a hundred rows: of 10 MB each they make one page of 1 GB, which an
executor with less memory than that cannot read any more.
"""

KEPT = {**SMALL_PAGES, "parquet.block.size": str(16 * 1024 * 1024)}
"""For the ledger: a row group is read as a whole, and by all slots of an executor at once."""
