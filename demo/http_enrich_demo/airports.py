"""The facts behind the demo: what the airport API answers, and the table that the DAG starts from."""

from __future__ import annotations

from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import airportsdata
import pyarrow as pa
import pyarrow.parquet as pq

SOURCE_FILE = "part-0.parquet"
_SOURCE_SCHEMA = pa.schema([("icao", pa.string()), ("country", pa.string())])


@lru_cache(maxsize=1)
def _airports() -> dict[str, airportsdata.Airport]:
    # The package lists the codes in order already; sorting makes that ours rather than its habit.
    return dict(sorted(airportsdata.load("ICAO").items()))


def codes(limit: int | None = None) -> list[str]:
    """Return the ICAO codes of the airports, in order."""
    return list(islice(_airports(), limit))


def facts(icao: str) -> dict[str, Any]:
    """Return what the API answers for one airport; an unknown code raises KeyError."""
    known = _airports()[icao]
    return {
        "icao": icao,
        "iata": known["iata"],
        "name": known["name"],
        "city": known["city"],
        "subd": known["subd"],
        "country": known["country"],
        "elevation_ft": round(known["elevation"]),  # the package has tenths of feet for some airports
        "lat": known["lat"],
        "lon": known["lon"],
        "tz": known["tz"],
    }


def write_source(path: Path, limit: int | None = None) -> int:
    """Write the table that the DAG enriches, code and country only, and return its number of rows."""
    known = codes(limit)
    columns = {"icao": known, "country": [facts(icao)["country"] for icao in known]}
    path.mkdir(parents=True, exist_ok=True)
    # Spark skips names that start with a dot, so a half-written file is never read as the source.
    unfinished = path / f".{SOURCE_FILE}.tmp"
    pq.write_table(pa.table(columns, schema=_SOURCE_SCHEMA), unfinished)
    unfinished.replace(path / SOURCE_FILE)
    return len(known)


def ensure_source(path: Path) -> int:
    """Write the source table unless it is there already, and return its number of rows."""
    file = path / SOURCE_FILE
    return int(pq.read_metadata(file).num_rows) if file.exists() else write_source(path)
