"""Command line of the demo: `python -m http_enrich_demo demo` or `... airflow`."""

from __future__ import annotations

import argparse
import sys

from http_enrich_demo import demo, web
from http_enrich_demo.processes import stop_on_signals
from http_enrich_demo.run_dag import DagRunError
from http_enrich_demo.services import ServiceError
from http_enrich_demo.verify import VerificationError

COMMANDS = {"demo": demo.run, "airflow": web.run}
INTERRUPTED = 130


def main() -> int:
    """Run a command and return the exit code."""
    parser = argparse.ArgumentParser(prog="http_enrich_demo", description=__doc__)
    parser.add_argument("command", choices=COMMANDS, help="run and check a day, or serve Airflow")
    options = parser.parse_args()
    stop_on_signals()
    try:
        COMMANDS[options.command]()
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return INTERRUPTED
    except (demo.DemoError, DagRunError, ServiceError, VerificationError) as error:
        print(f"\nThe {options.command} failed. {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
