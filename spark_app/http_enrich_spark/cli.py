"""The command `http-enrich`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import click

from ._logs import log_to
from .bundle import python_variables
from .config import PipelineError, Recipe, RunInfo, check_pipeline, read_document


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


_MASTER = click.option("--master", default="local[*,4]", show_default=True, help="Spark master.")


@main.command()
@_FILE
@_VARIABLES
@_MASTER
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
    from .app import execute

    info = RunInfo(id=run_id, **window)
    anew = uuid4().hex if fresh else ""
    _print_figures(lambda: execute(_read(file, variables, info), master=master, fresh=anew), master)


def _outcomes(_: click.Context, __: click.Parameter, text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


@main.command()
@click.argument("run")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@_VARIABLES
@_MASTER
@click.option(
    "--only",
    default="",
    callback=_outcomes,
    metavar="OUTCOMES",
    help="Of which outcomes, such as rate_limited,server_error; default: all failures.",
)
def redrive(run: str, file: Path | None, variables: dict[str, str], master: str, only: list[str]) -> None:
    """
    Request again those rows of a published run that failed, and print the run's figures as JSON.

    RUN is its folder, the `folder` in its figures. Their answers take their place in the table. FILE is a
    mended pipeline to do it with, with its --var; by default it is done as the run was.
    """
    from .app import redrive as start

    if variables and file is None:
        msg = "--var goes with FILE; without it, the run's own values are used"
        raise click.UsageError(msg)
    _print_figures(
        lambda: start(
            run, only=only, instead=_read(file, variables, RunInfo()) if file else None, master=master
        ),
        master,
    )


def _read(file: Path, variables: dict[str, str], run: RunInfo) -> Recipe:
    document = read_document(file)
    return Recipe(str(file), document.text or "", variables, run)


def _print_figures(action: Callable[[], dict[str, object]], master: str) -> None:
    import msgspec

    from .driver import RunError

    log_to(sys.stderr)
    os.environ.update(python_variables(master))
    try:
        figures = action()
    except (PipelineError, RunError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(msgspec.json.format(msgspec.json.encode(figures)).decode())


if __name__ == "__main__":
    main()
