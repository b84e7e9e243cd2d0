"""The program that `tests.support.application` starts: enriches rows when it is told to."""

from __future__ import annotations

import json
import sys
import threading
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from http_enrich_spark.worker import EnrichBatches, WorkerPlan
from http_enrich_spark.worker._record import HTTP_DDL
from tests.support.pipelines import load

LIMIT = 4
PARTITIONS = 8
ROWS = 80


class Commands:
    """What the program can do."""

    def __init__(self, master: str, settings: dict[str, str]) -> None:
        builder = SparkSession.builder.master(master)
        quiet = {"spark.ui.enabled": "false", "spark.log.level": "ERROR"}
        for setting, value in (quiet | settings).items():
            builder = builder.config(setting, value)
        self._spark = builder.getOrCreate()
        self._held: threading.Thread | None = None

    def run(self, url: str, path: str = "/items", stages: int = 1) -> list[str]:
        """Enrich some rows, in as many stages; returns the pids of the workers."""
        frame = self._spark.range(ROWS).selectExpr(f"concat('{path}', id) AS icao", "array() AS pids")
        for _ in range(stages):
            frame = _enriched(frame, url)
        return sorted({pid for row in frame.collect() for pid in row.pids})

    def hold(self, url: str) -> None:
        """Begin to enrich rows that get no answer."""

        def work() -> None:
            try:
                self.run(url, "hold")
            except Exception as error:  # noqa: BLE001 - the job is meant to fail
                print(f"held no longer: {error}"[:500], file=sys.stderr)

        self._held = threading.Thread(target=work)
        self._held.start()

    def cancel(self) -> None:
        """Cancel what `hold` has begun."""
        assert self._held is not None
        self._spark.sparkContext.cancelAllJobs()
        self._held.join()

    def stop(self) -> None:
        """Stop Spark."""
        self._spark.stop()


def _enriched(frame: DataFrame, url: str) -> DataFrame:
    changes = {
        "endpoint.base_url": url,
        # An idle connection outlives an idle worker.
        "transport": {"base_timeout": 300, "tcp_connection": {"limit": LIMIT, "keepalive_timeout": 300}},
        "middleware": [{"type": "worker_identity"}],
    }
    worker = EnrichBatches(WorkerPlan.of(load(changes)), frame.columns)
    answered = frame.repartition(PARTITIONS, "icao").mapInArrow(
        worker, f"icao STRING, pids ARRAY<STRING>, http {HTTP_DDL}"
    )
    pids = "IF(http.status = 200, array_append(pids, http.metadata['worker.pid']), pids) AS pids"
    return answered.selectExpr("icao", pids)


def main(master: str, settings: str) -> None:
    """Obey the lines of standard input until it ends."""
    commands: Any = Commands(master, json.loads(settings))
    for line in sys.stdin:
        command, options = json.loads(line)
        print(json.dumps(getattr(commands, command)(**options)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
