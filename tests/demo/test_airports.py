from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from http_enrich_demo import airports


def test_facts_name_an_airport_with_whole_feet() -> None:
    assert airports.facts("EGLL") == {
        "icao": "EGLL",
        "iata": "LHR",
        "name": "London Heathrow Airport",
        "city": "London",
        "subd": "England",
        "country": "GB",
        "elevation_ft": 83,
        "lat": pytest.approx(51.47, abs=0.01),
        "lon": pytest.approx(-0.45, abs=0.02),
        "tz": "Europe/London",
    }
    assert all(isinstance(airports.facts(icao)["elevation_ft"], int) for icao in airports.codes(1000))


def test_facts_of_an_unknown_airport_raise_key_error() -> None:
    with pytest.raises(KeyError):
        airports.facts("0000")


def test_the_source_holds_every_code_once_with_its_country_and_nothing_else(tmp_path: Path) -> None:
    rows = airports.write_source(tmp_path / "source")

    table = pq.read_table(tmp_path / "source" / "part-0.parquet")
    assert rows == table.num_rows == len(airports.codes()) > 28_000
    assert table.column_names == ["icao", "country"]
    assert table.column("icao").to_pylist() == sorted(set(airports.codes()))
    assert table.slice(0, 1).to_pylist() == [{"icao": "00AA", "country": "US"}]


def test_a_limited_source_is_the_same_each_time(tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert airports.write_source(tmp_path / name, limit=7) == 7

    one, two = (pq.read_table(tmp_path / name / "part-0.parquet") for name in ("one", "two"))
    assert one.equals(two)


def test_an_existing_source_is_left_alone(tmp_path: Path) -> None:
    airports.write_source(tmp_path, limit=3)

    assert airports.ensure_source(tmp_path) == 3
    assert [file.name for file in tmp_path.iterdir()] == ["part-0.parquet"]
