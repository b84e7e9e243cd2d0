"""Values that Python cannot hold, and values that texts and JSON cannot carry."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pytest

from http_enrich_spark.worker._values import (
    UNREADABLE,
    InvalidRequestError,
    position_of,
    read_column,
    to_json,
    to_text,
)


@pytest.mark.parametrize(
    "cells",
    [
        pa.array([0, 3_000_000], pa.int32()).cast(pa.date32()),
        pa.array([0, 2**62], pa.int64()).cast(pa.timestamp("us")),
        pa.array([b"", b"\xff"], pa.binary()).view(pa.string()),
    ],
    ids=["date", "timestamp", "text"],
)
def test_a_cell_that_cannot_be_read_costs_its_row_only(cells: pa.Array) -> None:
    first, second = read_column(cells)

    assert first in (dt.date(1970, 1, 1), dt.datetime(1970, 1, 1), "")
    assert second is UNREADABLE


def test_maps_are_read_as_mappings() -> None:
    cells = pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int32()))

    assert read_column(cells) == [{"k": 1}]


def test_a_map_whose_keys_are_structs_costs_its_row_only() -> None:
    kind = pa.map_(pa.struct([("a", pa.int64())]), pa.int64())

    assert read_column(pa.array([[], [({"a": 1}, 2)]], kind)) == [{}, UNREADABLE]


def test_the_column_with_the_very_name_comes_first() -> None:
    assert [position_of(name, ["x", "X"]) for name in ("x", "X")] == [0, 1]
    assert position_of("name", ["id", "Name"]) == 1


@pytest.mark.parametrize("value", [UNREADABLE, None, b"x", [1], {"a": 1}, float("nan"), float("inf")])
def test_what_is_no_text_is_refused_by_its_column(value: object) -> None:
    with pytest.raises(InvalidRequestError, match=r"column name is .*, which cannot be written into a text"):
        to_text(value, "name")


def test_decimals_have_no_exponent() -> None:
    assert to_text(Decimal("0E-7"), "x") == "0.0000000"


@pytest.mark.parametrize(
    "value", [[float("nan")], {"a": float("inf")}, {"a": [{"b": float("-inf")}]}, {float("nan"): 1}]
)
def test_json_finds_what_it_lacks_at_any_depth(value: object) -> None:
    with pytest.raises(InvalidRequestError, match=r"column x has .*, which JSON does not have"):
        to_json(value, "x")


def test_json_cannot_carry_what_cannot_be_read() -> None:
    with pytest.raises(InvalidRequestError, match="cannot be written into JSON"):
        to_json([UNREADABLE], "x")
