"""Publishing: all rows, once, whatever dies, and never a half of them."""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pytest
from pyspark.sql import DataFrame, Row, SparkSession

from http_enrich_spark.config import SinkConfig
from http_enrich_spark.driver import RunError
from http_enrich_spark.driver._files import Folder
from http_enrich_spark.driver.sink import _table, check_sink, publish
from tests.support.dying import Killed
from tests.support.small_runs import rows_in

TOKEN = "0123456789ab"
DAYS = ["2026-01-01", "2026/01=02", "a b%c ü", None]


def rows(spark: SparkSession, *numbers: int) -> DataFrame:
    data = [(number, DAYS[number % len(DAYS)]) for number in numbers]
    return spark.createDataFrame(data, "n INT, day STRING").repartition(2)


def sink(path: Path, mode: str, **keys: Any) -> SinkConfig:
    partitions = {"partition_by": ["day"]} if mode == "overwrite_partitions" else {}
    return SinkConfig.model_validate({"path": str(path), "mode": mode, **partitions, **keys})


def found(spark: SparkSession, path: Path) -> list[Row]:
    return sorted(spark.read.schema("n INT, day STRING").parquet(str(path)).collect())


def place(spark: SparkSession, folder: Path) -> Folder:
    return Folder(spark, str(folder / "_http_enrich" / "run" / "publish"))


OLD = range(8)
NEW = (1, 5, 9, 13, 3, 7, 11)
EXPECTED = {
    "append": [*OLD, *NEW],
    "overwrite": list(NEW),
    # The partitions that the new rows have: those of 1 and 3 modulo 4.
    "overwrite_partitions": [*NEW, *(n for n in OLD if n % 4 in (0, 2))],
}


@contextmanager
def dying(monkeypatch: pytest.MonkeyPatch, step: int) -> Iterator[None]:
    """Let the process end after the *step*-th thing that is done to a file or folder."""
    done = [0]

    def wrapped(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            done[0] += 1
            own = done[0]
            result = real(*args)
            if own == step:
                raise Killed
            return result

        return call

    with monkeypatch.context() as patch:
        for name in ("move_to", "write", "delete", "make"):
            patch.setattr(Folder, name, wrapped(getattr(Folder, name)))
        yield


def deaths(
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[tuple[int, Callable[[Callable[[], None]], None]]]:
    """Yield each step of a publish, and what does it although it dies there: it, the next, and one more."""
    step, over = 0, False

    def survive(publish_it: Callable[[], None]) -> None:
        nonlocal over
        try:
            with dying(monkeypatch, step):
                publish_it()
            over = True
        except Killed:
            publish_it()
        publish_it()

    while not over:
        step += 1
        yield step, survive
    assert step > 6


@pytest.mark.parametrize("mode", EXPECTED)
def test_a_publish_that_dies_anywhere_is_made_good_by_the_next(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    old, new = tmp_path / "old", rows(spark, *NEW).cache()
    rows(spark, *OLD).write.partitionBy("day").parquet(str(old))
    for step, survive in deaths(monkeypatch):
        folder = tmp_path / f"step {step}"
        shutil.copytree(old, folder / "out")
        config = sink(folder / "out", mode, partition_by=["day"])
        survive(partial(publish, new, config, place(spark, folder), TOKEN))
        assert sorted(ds.dataset(folder / "out").to_table()["n"].to_pylist()) == sorted(EXPECTED[mode]), step
        assert {path.name for path in folder.iterdir()} == {"out", "_http_enrich"}


@pytest.mark.parametrize("mode", ["append", "overwrite", "overwrite_partitions", "error"])
def test_partitions_of_any_name_come_back(spark: SparkSession, tmp_path: Path, mode: str) -> None:
    publish(
        rows(spark, *OLD),
        sink(tmp_path / "out ü%", mode, partition_by=["day"]),
        place(spark, tmp_path),
        TOKEN,
    )
    assert found(spark, tmp_path / "out ü%") == sorted(rows(spark, *OLD).collect())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["_http_enrich", "out ü%"]


def test_readers_see_the_old_table_or_the_new_one(spark: SparkSession, tmp_path: Path) -> None:
    seen: Counter[int] = Counter()
    over = threading.Event()
    out = tmp_path / "out"
    rows(spark, *range(1000)).drop("day").write.parquet(str(out))

    def read() -> None:
        while not over.is_set():
            try:
                seen[rows_in(out)] += 1
            except FileNotFoundError:
                seen[-1] += 1  # the moment between two renames

    reader = threading.Thread(target=read)
    reader.start()
    for n in range(5):
        kept = place(spark, tmp_path) / str(n)
        publish(rows(spark, *range(1000 + n)).drop("day"), sink(out, "overwrite"), kept, f"{n:012}")
    over.set()
    reader.join()
    assert set(seen) <= {-1, *range(1000, 1005)}
    assert seen[1000] > 0


def test_what_comes_into_being_meanwhile_is_not_overwritten(spark: SparkSession, tmp_path: Path) -> None:
    rows(spark, 1).write.parquet(str(tmp_path / "out"))
    with pytest.raises(RunError, match="is there by now, and mode is 'error'"):
        publish(rows(spark, 2), sink(tmp_path / "out", "error"), place(spark, tmp_path), TOKEN)
    assert [row.n for row in found(spark, tmp_path / "out")] == [1]


def test_a_link_to_the_table_stays_one(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    rows(spark, 1).write.parquet(str(tmp_path / "disk" / "real"))
    (tmp_path / "out").symlink_to(tmp_path / "disk" / "real")
    publish(rows(spark, 2), sink(tmp_path / "out", "overwrite"), place(spark, tmp_path), TOKEN)
    assert (tmp_path / "out").is_symlink()
    assert [row.n for row in found(spark, tmp_path / "disk" / "real")] == [2]


def test_a_relative_path_and_one_with_a_slash_at_its_end(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "deep" / "out"
    config = SinkConfig.model_validate({"path": f"{path}/", "mode": "append"})
    publish(rows(spark, 1), config, place(spark, tmp_path), TOKEN)
    assert [row.n for row in found(spark, path)] == [1]


def test_a_file_is_no_table(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(RunError, match="is a file; a table needs a folder"):
        check_sink(spark, sink(tmp_path / "out", "append"), ["n"])


@pytest.mark.parametrize(
    ("format", "options"), [("json", {}), ("orc", {}), ("csv", {"header": True}), ("xml", {"rowTag": "row"})]
)
def test_formats_of_files(spark: SparkSession, tmp_path: Path, format: str, options: dict[str, Any]) -> None:
    publish(
        rows(spark, *OLD),
        sink(tmp_path / "out", "append", format=format, options=options),
        place(spark, tmp_path),
        TOKEN,
    )
    read = (
        spark.read.format(format).schema("n INT, day STRING").options(**options).load(str(tmp_path / "out"))
    )
    assert sorted(row.n for row in read.collect()) == list(OLD)


def test_csv_has_a_column_for_each_part_of_the_answer(spark: SparkSession, tmp_path: Path) -> None:
    answers = spark.sql(
        "SELECT 1 AS n, array(1, 2) AS list, named_struct('status', 200, 'headers', map('a', 'b')) AS http"
    )
    config = sink(tmp_path / "out", "error", format="csv", options={"header": True})
    publish(answers, config, place(spark, tmp_path), TOKEN)
    row = spark.read.csv(str(tmp_path / "out"), header=True).first()
    assert row is not None
    assert row.asDict() == {"n": "1", "list": "[1,2]", "http_status": "200", "http_headers": '{"a":"b"}'}


def table(name: str, mode: str) -> SinkConfig:
    return SinkConfig.model_validate({"table": name, "mode": mode})


def test_a_table_to_which_rows_may_have_been_added_is_left_to_a_human(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spark.sql("DROP TABLE IF EXISTS undecided")
    kept = place(spark, tmp_path)

    def dies(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(_table, "_write", dies)
        with pytest.raises(Killed):
            publish(rows(spark, 1), table("undecided", "append"), kept, TOKEN)
    with pytest.raises(RunError, match=r"look whether the rows of this run are there\. If they are, rename"):
        publish(rows(spark, 1), table("undecided", "append"), kept, TOKEN)
    (kept / "begun").delete()
    publish(rows(spark, 1), table("undecided", "append"), kept, TOKEN)
    assert spark.table("undecided").count() == 1


def test_a_table_that_is_overwritten_is_just_written_again(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spark.sql("DROP TABLE IF EXISTS again")
    kept = place(spark, tmp_path)
    (kept / "begun").parent.make()
    (kept / "begun").write("")
    publish(rows(spark, 1), table("again", "overwrite"), kept, TOKEN)
    publish(rows(spark, 1), table("again", "overwrite"), kept, TOKEN)
    assert spark.table("again").count() == 1


def file_table(spark: SparkSession, name: str, *numbers: int, format: str = "parquet") -> None:
    spark.sql(f"DROP TABLE IF EXISTS {name}")
    rows(spark, *numbers).write.format(format).partitionBy("day").saveAsTable(name)


@pytest.mark.parametrize("mode", EXPECTED)
def test_a_publish_into_a_table_of_files_that_dies_anywhere_is_made_good_by_the_next(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    new = rows(spark, *NEW).cache()
    config = SinkConfig.model_validate({"table": "exchanged", "mode": mode, "partition_by": ["day"]})
    for step, survive in deaths(monkeypatch):
        file_table(spark, "exchanged", *OLD)
        survive(partial(publish, new, config, place(spark, tmp_path / f"step {step}"), f"{mode}{step}"))
        assert sorted(row.n for row in spark.table("exchanged").collect()) == sorted(EXPECTED[mode]), step
        known = {row[0] for row in spark.sql("SHOW PARTITIONS exchanged").collect()}
        assert len(known) == len({DAYS[n % len(DAYS)] for n in EXPECTED[mode]})


def test_a_table_of_other_types_is_written_by_spark(spark: SparkSession, tmp_path: Path) -> None:
    spark.sql("DROP TABLE IF EXISTS longs")
    spark.sql("SELECT CAST(NULL AS STRING) AS day, 1L AS n").write.saveAsTable("longs")
    publish(spark.sql("SELECT 2 AS n, 'x' AS day"), table("longs", "append"), place(spark, tmp_path), TOKEN)

    assert sorted((row.n, row.day) for row in spark.table("longs").collect()) == [(1, None), (2, "x")]


def test_columns_of_a_table_of_files_may_stand_in_another_order(spark: SparkSession, tmp_path: Path) -> None:
    spark.sql("DROP TABLE IF EXISTS ordered")
    spark.sql("CREATE TABLE ordered (day STRING, n INT) USING csv OPTIONS (sep ';')")
    config = SinkConfig.model_validate({"table": "ordered", "mode": "append", "format": "csv"})
    publish(rows(spark, 1), config, place(spark, tmp_path), TOKEN)

    assert [row.asDict() for row in spark.table("ordered").collect()] == [{"day": DAYS[1], "n": 1}]
