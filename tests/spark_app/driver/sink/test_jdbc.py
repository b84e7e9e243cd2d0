"""Publishing into a database: all rows, once, whatever dies, and never a half of them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from http_enrich_spark.config import SinkConfig
from http_enrich_spark.driver import RunError
from http_enrich_spark.driver._database import Connection
from http_enrich_spark.driver._files import Folder
from http_enrich_spark.driver.sink import _jdbc, check_sink, publish, rehearse, sink_exists
from http_enrich_transport import RESOLVED
from tests.support.dying import Killed
from tests.support.postgres import Postgres

DAYS = ["2026-01-01", "2026/01=02", "a b'c ü", None]
OLD = range(8)
NEW = (1, 5, 9, 13, 3, 7, 11)
EXPECTED = {
    "append": [*OLD, *NEW],
    "overwrite": list(NEW),
    # The partitions that the new rows have: those of 1 and 3 modulo 4, of which the latter is null.
    "overwrite_partitions": [*NEW, *(n for n in OLD if n % 4 in (0, 2))],
}


def rows(spark: SparkSession, *numbers: int) -> DataFrame:
    data = [(number, DAYS[number % len(DAYS)]) for number in numbers]
    return spark.createDataFrame(data, "n INT, day STRING").repartition(2)


def sink(postgres: Postgres, table: str, mode: str, **keys: Any) -> SinkConfig:
    partitions = {"partition_by": ["day"]} if mode == "overwrite_partitions" else {}
    data = {"format": "jdbc", "table": table, "options": postgres.options, "mode": mode, **partitions, **keys}
    return SinkConfig.model_validate(data, context=RESOLVED)


def place(spark: SparkSession, folder: Path) -> Folder:
    return Folder(spark, str(folder / "publish"))


def numbers(postgres: Postgres, table: str) -> list[int]:
    return sorted(int(each) for each in postgres.ask(f"SELECT n FROM {table}"))


def with_old_rows(postgres: Postgres, table: str) -> None:
    values = ", ".join(f"({n}, {_literal(DAYS[n % len(DAYS)])})" for n in OLD)
    postgres.ask(
        f"DROP TABLE IF EXISTS {table}; CREATE TABLE {table} (n INT, day TEXT);"
        f"INSERT INTO {table} VALUES {values}"
    )


def _literal(text: str | None) -> str:
    return "NULL" if text is None else "'{}'".format(text.replace("'", "''"))


def leftovers(postgres: Postgres, token: str) -> list[str]:
    return postgres.ask(
        f"SELECT tablename FROM pg_tables WHERE starts_with(tablename, '_http_enrich_{token}_')"
    )


@contextmanager
def dying(monkeypatch: pytest.MonkeyPatch, step: int) -> Iterator[None]:
    """Let the process end after the *step*-th thing that is done to the database or to a file."""
    done = [0]

    def wrapped(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            result = real(*args)
            done[0] += 1
            if done[0] == step:
                raise Killed
            return result

        return call

    with monkeypatch.context() as patch:
        for owner, name in [
            (Connection, "run"),
            (Connection, "commit"),
            (_jdbc._Table, "stage"),
            (Folder, "write"),
        ]:
            patch.setattr(owner, name, wrapped(getattr(owner, name)))
        yield


@pytest.mark.parametrize("mode", EXPECTED)
def test_a_publish_that_dies_anywhere_is_made_good_by_the_next(
    spark: SparkSession,
    postgres: Postgres,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
) -> None:
    """After a step and before the next one are the same."""
    new, step, over = rows(spark, *NEW).cache(), 0, False
    config = sink(postgres, "public.dying", mode)
    while not over:
        step += 1
        token = f"{mode}{step}"
        with_old_rows(postgres, "dying")
        kept = place(spark, tmp_path / f"step {step}")
        try:
            with dying(monkeypatch, step):
                publish(new, config, kept, token)
            over = True
        except Killed:
            assert numbers(postgres, "dying") in (sorted(OLD), sorted(EXPECTED[mode])), step
            publish(new, config, kept, token)
        publish(new, config, kept, token)
        assert numbers(postgres, "dying") == sorted(EXPECTED[mode]), step
        assert leftovers(postgres, token) == []
    assert step > 6


@pytest.mark.parametrize("mode", ["append", "overwrite", "overwrite_partitions", "error"])
def test_a_table_that_is_not_there_is_made(
    spark: SparkSession, postgres: Postgres, tmp_path: Path, mode: str
) -> None:
    postgres.ask("DROP TABLE IF EXISTS made")
    config = sink(postgres, "made", mode)
    before = sink_exists(spark, config)
    publish(rows(spark, *OLD), config, place(spark, tmp_path), f"made {mode}")

    assert (before, sink_exists(spark, config)) == (False, True)
    assert numbers(postgres, "made") == list(OLD)
    assert postgres.ask("SELECT count(*) FROM made WHERE day IS NULL") == ["2"]


def test_a_connection_that_is_lost_while_it_commits_leaves_nothing_open(
    spark: SparkSession, postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the commit has arrived is known to the database alone."""
    real = Connection.commit

    def commit(connection: Connection) -> None:
        real(connection)
        postgres.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        connection.run("SELECT 1")

    config, kept = sink(postgres, "lost", "append"), place(spark, tmp_path)
    with_old_rows(postgres, "lost")
    with monkeypatch.context() as patch:
        patch.setattr(Connection, "commit", commit)
        with pytest.raises(RunError) as caught:
            publish(rows(spark, *NEW), config, kept, "lost")
    publish(rows(spark, *NEW), config, kept, "lost")

    assert caught.value.retry
    assert numbers(postgres, "lost") == sorted(EXPECTED["append"])


def test_of_two_tries_that_publish_at_once_one_does(
    spark: SparkSession, postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver that was taken for dead may come back between another one's look and its commit."""
    real, config = _jdbc._Table.is_published, sink(postgres, "twice", "append")
    with_old_rows(postgres, "twice")

    def is_published(table: _jdbc._Table) -> bool:
        found = real(table)
        monkeypatch.undo()
        publish(rows(spark, *NEW), config, place(spark, tmp_path / "other"), "twice")
        return found

    monkeypatch.setattr(_jdbc._Table, "is_published", is_published)
    with pytest.raises(RunError, match="duplicate key"):
        publish(rows(spark, *NEW), config, place(spark, tmp_path / "own"), "twice")

    assert numbers(postgres, "twice") == sorted(EXPECTED["append"])


def test_rows_that_a_repeated_task_has_staged_twice_are_not_published(
    spark: SparkSession, postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task may commit its rows and die before Spark hears of it."""
    real, config = _jdbc._Table.stage, sink(postgres, "repeated", "append")
    with_old_rows(postgres, "repeated")

    def stage(table: _jdbc._Table, staged: DataFrame) -> str:
        name = real(table, staged)
        postgres.ask(f'INSERT INTO "{name}" SELECT * FROM "{name}" WHERE n = 1')
        return name

    with monkeypatch.context() as patch:
        patch.setattr(_jdbc._Table, "stage", stage)
        with pytest.raises(RunError, match="8 rows were staged for 7") as caught:
            publish(rows(spark, *NEW), config, place(spark, tmp_path), "repeated")
    assert numbers(postgres, "repeated") == list(OLD)
    publish(rows(spark, *NEW), config, place(spark, tmp_path), "repeated")

    assert caught.value.retry
    assert numbers(postgres, "repeated") == sorted(EXPECTED["append"])
    assert leftovers(postgres, "repeated") == []


@pytest.mark.parametrize("mode", ["overwrite", "overwrite_partitions", "append"])
def test_readers_see_the_old_table_or_the_new_one(
    spark: SparkSession, postgres: Postgres, tmp_path: Path, mode: str
) -> None:
    seen: Counter[int] = Counter()
    over = threading.Event()
    day = "2026-01-01"
    values = f"SELECT n, '{day}' FROM generate_series(0, 999) AS n"
    postgres.ask(f"DROP TABLE IF EXISTS read; CREATE TABLE read (n INT, day TEXT);INSERT INTO read {values}")

    def read() -> None:
        while not over.is_set():
            seen[int(postgres.ask("SELECT count(*) FROM read")[0])] += 1

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for n in range(3):
            many = spark.range(1001 + n).selectExpr("CAST(id AS INT) AS n", f"'{day}' AS day").repartition(4)
            publish(many, sink(postgres, "read", mode), place(spark, tmp_path / str(n)), f"read {mode} {n}")
    finally:
        over.set()
        reader.join()

    wholes = {1000, 2001, 3003, 4006} if mode == "append" else {1000, 1001, 1002, 1003}
    assert set(seen) <= wholes
    assert len(seen) > 1


def test_what_others_have_given_to_the_table_stays(
    spark: SparkSession, postgres: Postgres, tmp_path: Path
) -> None:
    with_old_rows(postgres, "given")
    postgres.ask("CREATE INDEX given_n ON given (n); CREATE VIEW given_view AS SELECT n FROM given")
    publish(rows(spark, *NEW), sink(postgres, "given", "overwrite"), place(spark, tmp_path), "given")

    assert sorted(map(int, postgres.ask("SELECT n FROM given_view"))) == sorted(NEW)
    assert postgres.ask("SELECT indexname FROM pg_indexes WHERE tablename = 'given'") == ["given_n"]


def test_partitions_are_those_of_all_their_columns(
    spark: SparkSession, postgres: Postgres, tmp_path: Path
) -> None:
    postgres.ask(
        "DROP TABLE IF EXISTS pairs; CREATE TABLE pairs (n INT, a TEXT, b INT); INSERT INTO pairs VALUES "
        "(1, 'x', 1), (2, 'x', 2), (3, 'y', NULL), (4, NULL, NULL), (5, NULL, 1), (6, 'z', NULL)"
    )
    new = spark.sql("SELECT * FROM VALUES (10, 'x', 1), (30, 'y', NULL), (40, NULL, NULL) AS t(n, a, b)")
    config = sink(postgres, "pairs", "overwrite_partitions", partition_by=["a", "b"])
    publish(new, config, place(spark, tmp_path), "pairs")

    assert numbers(postgres, "pairs") == [2, 5, 6, 10, 30, 40]


def test_names_are_taken_as_they_are_written(spark: SparkSession, postgres: Postgres, tmp_path: Path) -> None:
    postgres.ask('DROP SCHEMA IF EXISTS "My Schema" CASCADE; CREATE SCHEMA "My Schema"')
    table = 'My Schema.A "table"'
    odd = spark.sql('SELECT 1 AS `select`, 2 AS `a.b c`, 3 AS `ü"Q`')
    for mode, token in (("error", "names 1"), ("append", "names 2")):
        rehearse(sink(postgres, table, "append"), odd.schema, str(tmp_path), spark, f"try {token}")
        publish(odd, sink(postgres, table, mode), place(spark, tmp_path / token), token)

    found = postgres.ask('SELECT "select", "a.b c", "ü""Q" FROM "My Schema"."A ""table"""')
    assert found == ["1|2|3", "1|2|3"]


def test_upper_and_lower_case_of_columns_are_those_of_the_table(
    spark: SparkSession, postgres: Postgres, tmp_path: Path
) -> None:
    with_old_rows(postgres, "cased")
    config = sink(postgres, "cased", "overwrite_partitions", partition_by=["DAY"])
    publish(rows(spark, *NEW).selectExpr("day AS Day", "n AS N"), config, place(spark, tmp_path), "cased")

    assert numbers(postgres, "cased") == sorted(EXPECTED["overwrite_partitions"])


def test_every_type_comes_back(spark: SparkSession, postgres: Postgres, tmp_path: Path) -> None:
    postgres.ask("DROP TABLE IF EXISTS typed")
    typed = spark.sql(
        "SELECT true AS b, 1Y AS i8, 2S AS i16, 3 AS i32, 4L AS i64, CAST('NaN' AS DOUBLE) AS f,"
        "12.34BD AS d, DATE'0001-01-01' AS day, TIMESTAMP'2026-03-29 01:30:00.123456 UTC' AS at,"
        "TIMESTAMP_NTZ'2026-03-29 02:30:00' AS wall, X'00ff' AS raw, 'é😀' AS text,"
        "array(named_struct('x', 1)) AS nested, "
        "named_struct('status', 200, 'metadata', map('a', 'b')) AS http"
    )
    publish(typed, sink(postgres, "typed", "error"), place(spark, tmp_path), "typed")

    query = (
        "SET TIME ZONE 'UTC'; SELECT b, i8, i16, i32, i64, f, d, day, at, wall, raw, text, nested,"
        "http_status, http_metadata FROM typed"
    )
    assert postgres.ask(query) == [
        "t|1|2|3|4|NaN|12.34|0001-01-01|2026-03-29 01:30:00.123456+00|2026-03-29 02:30:00|\\x00ff|é😀|"
        '[{"x":1}]|200|{"a":"b"}'
    ]


def test_texts_with_nul_and_of_ten_megabytes_are_written(
    spark: SparkSession, postgres: Postgres, tmp_path: Path
) -> None:
    """PostgreSQL takes no NUL in a text: the whole batch would fail, after it was paid for."""
    postgres.ask("DROP TABLE IF EXISTS texts")
    odd = spark.sql(
        "SELECT 1 AS n, concat('a', chr(0), 'b') AS text, array(chr(0)) AS list UNION ALL "
        "SELECT id + 2, repeat('x', 10 * 1024 * 1024), NULL FROM range(3)"
    )
    publish(odd, sink(postgres, "texts", "append"), place(spark, tmp_path), "texts")

    assert postgres.ask("SELECT text, list FROM texts WHERE n = 1") == ['a\ufffdb|["\\u0000"]']
    assert postgres.ask("SELECT length(text) FROM texts WHERE n > 1") == [str(10 * 1024 * 1024)] * 3


@pytest.mark.parametrize(
    ("table", "mode", "message"),
    [
        ("n INT", "append", "has other columns than this run writes .only there: none; only here: day"),
        (
            "n INT, day TEXT, extra INT",
            "overwrite",
            "only there: extra; only here: none.; change one of them$",
        ),
        ("n INT, day DATE", "append", 'column "day" is of type date but expression is of type text'),
        ("n INT, day DATE", "overwrite_partitions", "operator does not exist: date = text"),
    ],
)
def test_a_table_that_does_not_fit_is_found_by_the_rehearsal(
    spark: SparkSession, postgres: Postgres, tmp_path: Path, table: str, mode: str, message: str
) -> None:
    postgres.ask(f"DROP TABLE IF EXISTS unfit; CREATE TABLE unfit ({table})")
    with pytest.raises(RunError, match=message) as caught:
        rehearse(sink(postgres, "unfit", mode), rows(spark).schema, str(tmp_path), spark, "unfit")

    assert not caught.value.retry


@pytest.mark.parametrize("mode", [*EXPECTED, "error"])
def test_a_rehearsal_changes_nothing(
    spark: SparkSession, postgres: Postgres, tmp_path: Path, mode: str
) -> None:
    with_old_rows(postgres, "rehearsed")
    table = "absent" if mode == "error" else "rehearsed"
    rehearse(sink(postgres, table, mode), rows(spark).schema, str(tmp_path), spark, "rehearsed")

    assert numbers(postgres, "rehearsed") == list(OLD)
    assert postgres.ask("SELECT to_regclass('absent')") == [""]
    assert postgres.ask("SELECT count(*) FROM _http_enrich_published WHERE token = 'rehearsed'") == ["0"]
    assert leftovers(postgres, "rehearsed") == []


def test_a_table_that_exists_is_found_where_there_must_be_none(
    spark: SparkSession, postgres: Postgres, tmp_path: Path
) -> None:
    with_old_rows(postgres, "there")
    config = sink(postgres, "there", "error")
    with pytest.raises(RunError, match="there exists and mode is 'error'"):
        check_sink(spark, config, ["n", "day"])
    with pytest.raises(RunError, match="there is there by now, and mode is 'error'"):
        publish(rows(spark, *NEW), config, place(spark, tmp_path), "there")

    assert numbers(postgres, "there") == list(OLD)


def test_a_role_that_may_not_write_is_found_by_the_rehearsal(
    spark: SparkSession, postgres: Postgres, tmp_path: Path
) -> None:
    with_old_rows(postgres, "guarded")
    postgres.ask("DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN PASSWORD 'canary-reader'")
    postgres.ask("GRANT CREATE ON SCHEMA public TO reader; GRANT ALL ON _http_enrich_published TO reader")
    options = {"url": postgres.url, "user": "reader", "password": "canary-reader"}
    config = sink(postgres, "guarded", "append", options=options)

    with pytest.raises(RunError, match="permission denied for table guarded"):
        rehearse(config, rows(spark).schema, str(tmp_path), spark, "guarded")
