"""
Lets the parts of Airflow work with one SQLite file side by side.

A transaction that begins with a savepoint, as that of a backfill's does, reads before it writes. SQLite
refuses its first write at once if another process has written in between, and no waiting helps. So such
a transaction says at its beginning that it will write, and waits for its turn there.

Airflow imports this module for `CONNECT_ARGS`, which its setting `sql_alchemy_connect_args` names.
"""

from __future__ import annotations

import sqlite3

from sqlalchemy import Connection, Engine, event

CONNECT_ARGS = {"timeout": 60.0}
"""Seconds to wait for another process to end its transaction."""


@event.listens_for(Engine, "savepoint")
def _begin_to_write(connection: Connection, _: str) -> None:
    """Begin the transaction in which the savepoint is, if it has not begun, as one that writes."""
    driver = connection.connection.dbapi_connection
    if isinstance(driver, sqlite3.Connection) and not driver.in_transaction:
        driver.execute("BEGIN IMMEDIATE")
