"""
What the operator costs where Airflow parses a DAG file: its import, and a check per pipeline.

Imports are timed in processes of their own, which take turns with those that import Airflow's own
`SparkSubmitOperator`; the difference is that of medians. Pipelines are timed in one process: the first
one, which imports what a check needs, further files, and files that were checked before.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from ._report import Row, dump, show

ROOT = Path(__file__).resolve().parents[1]
AIRFLOWS = "from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator"
OURS = "from http_enrich_provider.operators import HttpEnrichSparkOperator"
_IMPORT = "import time; started = time.process_time(); {}; print(time.process_time() - started)"
_VARIABLES = {"source": "in", "out": "out"}


def main() -> None:
    """Measure imports and checks."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--pipelines", type=int, default=50)
    parser.add_argument("--checks", action="store_true", help="time checks only, as JSON")
    arguments = parser.parse_args()
    if arguments.checks:
        print(json.dumps(checks(arguments.pipelines)))
        return
    rows: list[Row] = [*imports(arguments.rounds), *in_child(arguments.pipelines)]
    show(f"{arguments.rounds} imports each, {arguments.pipelines} pipelines; milliseconds of CPU", rows)
    dump("parse", rows)


def imports(rounds: int) -> list[Row]:
    """Return what each import costs, and ours beyond Airflow's."""
    spent: dict[str, list[float]] = {AIRFLOWS: [], OURS: []}
    for turn in range(rounds):
        for statement in sorted(spent, reverse=bool(turn % 2)):
            spent[statement].append(_seconds(statement))
    base, ours = (1000 * median(each) for each in spent.values())
    return [
        _row("import SparkSubmitOperator", base),
        _row("import HttpEnrichSparkOperator", ours, ours - base),
    ]


def in_child(pipelines: int) -> list[Row]:
    """Return what `checks` finds in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.parse", "--checks", "--pipelines", str(pipelines)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    first, others, again = json.loads(done.stdout.splitlines()[-1])
    return [
        _row("first pipeline", first),
        _row("each further pipeline", others),
        _row("each known pipeline", again),
    ]


def checks(pipelines: int) -> tuple[float, float, float]:
    """Return milliseconds for the first of *pipelines*, and medians for the others and for all once more."""
    from http_enrich_provider.operators import HttpEnrichSparkOperator

    text = (ROOT / "dags_examples" / "airports.yaml").read_text()
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"p{n}.yaml" for n in range(pipelines)]
        for file in files:
            file.write_text(text)

        def check(file: Path) -> float:
            started = time.process_time()
            HttpEnrichSparkOperator(task_id=file.stem, pipeline=file, variables=_VARIABLES)
            return 1000 * (time.process_time() - started)

        first, *others = map(check, files)
        return first, median(others), median(map(check, files))


def _seconds(statement: str) -> float:
    command = [sys.executable, "-c", _IMPORT.format(statement)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


def _row(what: str, milliseconds: float, more: float = 0.0) -> Row:
    return {"what": what, "cpu_ms": round(milliseconds, 2), "more_ms": round(more, 2)}


if __name__ == "__main__":
    main()
