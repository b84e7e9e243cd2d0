"""
Rows per second and CPU per row of whole runs on a real Spark with one worker.

Contenders take turns, in another order each round; ratios are of the same
round. The worker has the first core, the server, another process, the last.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks._report import Row, dump, show

from ._measure import Bench, Figures
from ._scenarios import Scenario, scenarios
from ._server import serving
from ._session import ROOT, session

NAMES = ("latency-slow", "latency-tail", "cpu", "instead-slow", "instead-tail", "flat")


def main() -> None:
    """Measure the scenarios, and print and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--rows",
        type=int,
        default=20_000,
        help="rows per contender and round; `cpu` takes five times as many",
    )
    parser.add_argument("--many", type=int, default=1_000_000, help="rows that shall be as fast as a tenth")
    parser.add_argument("--warm", type=int, default=500, help="rows before each run that do not count")
    parser.add_argument("--only", choices=NAMES, nargs="+", default=NAMES, help="scenarios (all)")
    parser.add_argument("--json", type=Path, default=ROOT / "build/bench/pipeline.json")
    arguments = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder, serving() as url, session(Path(folder)) as spark:
        bench = Bench(spark, url, Path(folder), arguments.warm)
        for each in scenarios(bench, rounds=arguments.rounds, rows=arguments.rows, many=arguments.many):
            if each.name in arguments.only:
                found = measured(each)
                show(f"{each.name}, {each.rounds} rounds, medians", found)
                rows += found
    dump("pipeline", rows, arguments.json)


def measured(scenario: Scenario) -> list[Row]:
    """Return a row of figures for each run of *scenario*."""
    rounds = [_round(scenario, turn) for turn in range(scenario.rounds)]
    return [_medians(scenario, place, rounds) for place in range(len(scenario.runs))]


def _round(scenario: Scenario, turn: int) -> list[Figures]:
    count = len(scenario.runs)
    found: dict[int, Figures] = {}
    for place in [(turn + each) % count for each in range(count)]:
        found[place] = scenario.runs[place].measure()
        print(scenario.name, scenario.runs[place].contender, found[place], file=sys.stderr)
    return [found[place] for place in range(count)]


def _medians(scenario: Scenario, place: int, rounds: list[list[Figures]]) -> dict[str, Any]:
    own = [each[place] for each in rounds]
    ratios = [scenario.ratio(each[place], each[0]) for each in rounds]
    return {
        "scenario": scenario.name,
        "contender": scenario.runs[place].contender,
        "rows": scenario.runs[place].rows,
        **{name: median(each[name] for each in own) for name in own[0]},
        "ratio": round(median(ratios), 3),
        "ratio_min": round(min(ratios), 3),
        "ratio_max": round(max(ratios), 3),
    }


if __name__ == "__main__":
    main()
