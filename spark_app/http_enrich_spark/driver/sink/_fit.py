"""Whether a table has the columns that a run writes."""

from __future__ import annotations

from collections.abc import Sequence

from http_enrich_spark.config import SinkConfig
from http_enrich_spark.driver._errors import RunError


def check_names(sink: SinkConfig, existing: Sequence[str], columns: Sequence[str]) -> None:
    """Raise `RunError` unless the *existing* columns are those to be written, upper and lower case aside."""
    old, new = {name.lower() for name in existing}, {name.lower() for name in columns}
    if old != new:
        only_old, only_new = ", ".join(sorted(old - new)), ", ".join(sorted(new - old))
        other = "" if sink.format == "jdbc" else ", or choose mode overwrite"
        msg = (
            f"sink: {sink.name} has other columns than this run writes (only there: {only_old or 'none'}; "
            f"only here: {only_new or 'none'}); change one of them{other}"
        )
        raise RunError(msg)


def check_keys(sink: SinkConfig, columns: Sequence[str]) -> None:
    """Raise `RunError` unless `partition_by` names *columns*."""
    known = {name.lower() for name in columns}
    for name in sink.partition_by:
        if name.lower() not in known:
            msg = f"sink.partition_by: {sink.name} has no column {name!r}; there are: {', '.join(columns)}"
            raise RunError(msg)
