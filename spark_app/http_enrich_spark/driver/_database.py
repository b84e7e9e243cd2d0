"""A database that Spark reaches over JDBC, as the driver sees it; no error of it shows a secret."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from py4j.java_gateway import is_instance_of
from py4j.protocol import Py4JError
from pyspark import SparkContext
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from http_enrich_middleware import Redactor
from http_enrich_spark.config import Options, option_of, plain_options, secret_texts

from ._errors import RunError, first_line

_DRIVERS = {"jdbc:postgresql:": "org.postgresql.Driver"}
"""Drivers by the beginning of the address; of a jar that came by `spark.jars`, Java itself finds none."""

_PASSING = ("08", "40", "53", "55", "57", "58")
"""Classes of SQLSTATE: no connection, rolled back, out of resources, locked, shut down, system error."""

_SETTING = "spark.sql.redaction.options.regex"
_LONGEST = 300
"""Characters of an error; the drivers' own quote whole rows."""


class Database:
    """The database that *options*, those of Spark's JDBC source, lead to."""

    def __init__(self, spark: SparkSession, options: Options) -> None:
        self._spark = spark
        self._jvm: Any = spark.sparkContext._jvm
        self._redactor = Redactor(secret_texts(options))
        self._url = str(option_of(plain_options(options), "url"))
        driver = next((each for start, each in _DRIVERS.items() if self._url.startswith(start)), None)
        known = driver is None or "driver" in {name.lower() for name in options}
        self.options: Mapping[str, str] = plain_options(options) | ({} if known else {"driver": str(driver)})
        """As Spark's reader and writer take them; they hold secrets."""

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """Open a connection for the block; raises Java's errors."""
        names = {
            name: value for name, value in self.options.items() if name.lower() not in ("dbtable", "query")
        }
        options = self._jvm.PythonUtils.toScalaMap({**names, "dbtable": "none"})
        jdbc = self._jvm.org.apache.spark.sql.execution.datasources.jdbc.JDBCOptions(options)
        dialect = self._jvm.org.apache.spark.sql.jdbc.JdbcDialects.get(self._url)
        # Not by java.sql.DriverManager, which does not see jars that came by spark.jars.
        connection = dialect.createConnectionFactory(jdbc).apply(-1)
        try:
            yield Connection(connection, dialect)
        finally:
            connection.close()

    @contextmanager
    def unseen(self) -> Iterator[None]:
        """Keep the options out of the plans that Spark makes in the block, and so out of UI and event log."""
        before = str(self._spark.conf.get(_SETTING))
        self._spark.conf.set(_SETTING, ".")
        try:
            yield
        finally:
            self._spark.conf.set(_SETTING, before)

    @contextmanager
    def told(self, what: str) -> Iterator[None]:
        """Turn an error of the block into a `RunError` that begins with *what*, without secrets."""
        try:
            yield
        except (Py4JError, PySparkException) as error:
            failure = _Failure.of(error)
            text = self._redactor.text(failure.text)[:_LONGEST]
            raise RunError(f"{what}: {text}{failure.remedy}", retry=failure.passes) from None


class Connection:
    """An open connection; each statement is a transaction of its own outside of `transaction`."""

    def __init__(self, connection: Any, dialect: Any) -> None:
        self._connection, self._dialect = connection, dialect

    def quoted(self, name: str) -> str:
        """Write *name* so that the database takes it as it is, upper and lower case included."""
        return str(self._dialect.quoteIdentifier(name))

    def schema(self) -> str:
        """Return the schema in which the database looks for a table whose name says none."""
        return str(self._connection.getSchema())

    def columns(self, schema: str, table: str) -> list[str]:
        """Return the columns of the table, none if there is no such table."""
        found = self._metadata.getColumns(None, self._literal(schema), self._literal(table), None)
        return _texts(found, "COLUMN_NAME")

    def tables(self, schema: str, start: str) -> list[str]:
        """Return the tables whose names begin with *start*."""
        pattern = f"{self._literal(start)}%"
        return _texts(self._metadata.getTables(None, self._literal(schema), pattern, None), "TABLE_NAME")

    def finds(self, query: str) -> bool:
        """Say whether *query* has any row."""
        statement = self._connection.createStatement()
        try:
            return bool(statement.executeQuery(query).next())
        finally:
            statement.close()

    def run(self, sql: str) -> int:
        """Run a statement, and return how many rows it has changed."""
        statement = self._connection.createStatement()
        try:
            return int(statement.executeLargeUpdate(sql))
        finally:
            statement.close()

    def commit(self) -> None:
        """Make what was done in a transaction last, all at once."""
        self._connection.commit()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Undo what the block has done, but for what it commits itself."""
        self._connection.setAutoCommit(False)
        try:
            yield
        finally:
            with suppress(Py4JError):  # where the connection is lost, the database has undone it
                self._connection.rollback()
                self._connection.setAutoCommit(True)

    @property
    def _metadata(self) -> Any:
        return self._connection.getMetaData()

    def _literal(self, name: str) -> str:
        """Write *name* as a pattern that nothing else matches."""
        escape = str(self._metadata.getSearchStringEscape())
        for special in (escape, "_", "%"):
            name = name.replace(special, f"{escape}{special}")
        return name


class _Failure(NamedTuple):
    """What went wrong, in the words of the database if they are known, with its SQLSTATE if it has one."""

    text: str
    state: str
    passes: bool
    """Whether it may be over by the next try, without anybody changing anything."""

    @classmethod
    def of(cls, error: Exception) -> _Failure:
        java = getattr(error, "java_exception", None) or getattr(error, "_origin", None)
        if java is None:
            return cls(first_line(error), "", passes=not isinstance(error, PySparkException))
        java = _telling(java)
        is_sql, is_spark = (is_instance_of(SparkContext._gateway, java, name) for name in _KNOWN)
        state = str(java.getSQLState() or "") if is_sql else ""
        text = str(java.getMessage() if is_sql else java)
        # What a driver says before that is the row that it could not write.
        text = text.rpartition("was aborted: ")[2].strip().partition("\n")[0]
        passes = is_spark or state.startswith(_PASSING)
        return cls(text, state, passes and not _lacks_driver(text))

    @property
    def remedy(self) -> str:
        """What to do about it, where that is known."""
        if _lacks_driver(self.text):
            return (
                "; add the driver's jar to spark.jars (the operator's jars=), and its class to options.driver"
            )
        if self.state.startswith(("08", "28", "3D")):
            return "; check options.url, user and password, and whether the database is up"
        return ""


_KNOWN = ("java.sql.SQLException", "org.apache.spark.SparkException")


def _lacks_driver(text: str) -> bool:
    return "ClassNotFound" in text or "No suitable driver" in text


def _telling(java: Any) -> Any:
    """Return the deepest error of a database among *java* and its causes, or else the deepest of all."""
    chain = [java]
    while chain[-1].getCause() is not None:
        chain.append(chain[-1].getCause())
    of_database = [each for each in chain if is_instance_of(SparkContext._gateway, each, _KNOWN[0])]
    return (of_database or chain)[-1]


def _texts(result: Any, column: str) -> list[str]:
    found = []
    while result.next():
        found.append(str(result.getString(column)))
    result.close()
    return found
