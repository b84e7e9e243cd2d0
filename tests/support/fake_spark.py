"""Stands in for `spark-submit`, writes down what it was given, and reports what it was told to."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path
from typing import Any, NamedTuple

_SCRIPT = """#!{python} -S
import json, os, pathlib, shutil, sys

folder, report, application, status = pathlib.Path({folder!r}), {report!r}, {application!r}, {status!r}
print({says!r})
options = dict(zip(sys.argv[1:], sys.argv[2:]))
sandbox = folder / "sandbox"
shutil.rmtree(sandbox, ignore_errors=True)
sandbox.mkdir()
for file in filter(None, options.get("--files", "").split(",")):
    shutil.copy(file, sandbox)
submission = json.loads((sandbox / sys.argv[-1]).read_text())  # an absolute path is not below the sandbox
modes = {{each.name: each.stat().st_mode & 0o777 for each in sandbox.iterdir()}}
given = {{"argv": sys.argv, "environ": dict(os.environ), "submission": submission, "modes": modes}}
with (folder / "given.jsonl").open("a") as lines:
    lines.write(json.dumps(given) + "\\n")
if application:
    print("Submitted application " + application)
if report is not None:
    place = pathlib.Path(submission["report"])
    if submission.get("remote"):
        place.mkdir(parents=True, exist_ok=True)
        place = place / ("outcome-" + application + ".json")
    place.write_text(report)
sys.exit(status)
"""


class Given(NamedTuple):
    """What one start was given: arguments, environment, the submission, and modes of the shipped files."""

    argv: list[str]
    environ: dict[str, str]
    submission: dict[str, Any]
    modes: dict[str, int]


class FakeSpark:
    """The program and what it has seen."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.program = str(folder / "fake-spark-submit")

    def will(
        self,
        report: dict[str, Any] | None,
        *,
        status: int | None = None,
        application: str = "",
        says: str = "",
    ) -> FakeSpark:
        """Have it leave *report*, say *says*, name its *application*, and end with *status*."""
        failed = report is not None and report.get("error") is not None
        script = _SCRIPT.format(
            python=sys.executable,
            folder=str(self._folder),
            report=None if report is None else json.dumps(report),
            application=application,
            says=says,
            status=int(failed) if status is None else status,
        )
        file = Path(self.program)
        file.write_text(script)
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
        return self

    @property
    def starts(self) -> list[Given]:
        """Every start so far."""
        log = self._folder / "given.jsonl"
        return [Given(**json.loads(line)) for line in log.read_text().splitlines()] if log.exists() else []
