"""The command `http-enrich`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from ._logs import log_to
from .bundle import python_variables
from .config import PipelineError, RunInfo, check_pipeline, load_pipeline


def _variables(_: click.Context, __: click.Parameter, pairs: tuple[str, ...]) -> dict[str, str]:
    for pair in pairs:
        if "=" not in pair:
            msg = f"{pair!r} is not of the form name=value"
            raise click.BadParameter(msg)
    return dict(pair.split("=", 1) for pair in pairs)


_FILE = click.argument("file", type=click.Path(path_type=Path))
_VARIABLES = click.option(
    "--var",
    "variables",
    multiple=True,
    callback=_variables,
    metavar="NAME=VALUE",
    help="Value for ${var.NAME}.",
)


@click.group()
@click.version_option(package_name="airflow-provider-http-enrich-spark")
def main() -> None:
    """Enrich the rows of a Spark table through an HTTP API."""


@main.command()
@_FILE
@_VARIABLES
def validate(file: Path, variables: dict[str, str]) -> None:
    """Check FILE without Spark, network and secrets."""
    try:
        document = check_pipeline(file, variables=variables or None)
    except PipelineError as error:
        raise click.ClickException(str(error)) from None
    for warning in document.warnings:
        click.echo(f"{warning.at(document.name)} (a warning)", err=True)
    click.echo(f"{file}: ok")


@main.command()
@_FILE
@_VARIABLES
@click.option("--master", default="local[*,4]", show_default=True, help="Spark master.")
@click.option("--run-id", default="manual", show_default=True, help="Value for ${run.id}.")
@click.option("--window-start", help="ISO 8601; value for ${run.window_start}.")
@click.option("--window-end", help="ISO 8601, excluded; value for ${run.window_end}.")
@click.option("--partition-key", help="Value for ${run.partition_key}.")
@click.option("--fresh", is_flag=True, help="Request everything, whatever earlier tries have answered.")
def run(
    file: Path, variables: dict[str, str], master: str, run_id: str, fresh: bool, **window: str | None
) -> None:
    """
    Run FILE on Spark and print its figures as JSON.

    A run that has ended early goes on where it was; one that is published is not done again. Runs are told
    apart by pipeline and window, and without a window by their id.
    """
    import msgspec

    from .app import execute
    from .driver import RunError

    log_to(sys.stderr)
    os.environ.update(python_variables(master))
    info = RunInfo(id=run_id, **window)
    try:
        config = load_pipeline(file, variables=variables, run=info)
        figures: dict[str, Any] = execute(config, info, master=master, fresh=fresh)
    except (PipelineError, RunError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(msgspec.json.format(msgspec.json.encode(figures)).decode())


if __name__ == "__main__":
    main()
