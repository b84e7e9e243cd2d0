"""Turns a report into what its page shows: tiles, charts, and tables that say the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ._report import Failures, Report, Summary
from ._series import Rates, rates, rebinned

NOTHING = "—"

_STATES = {
    "published": ("Published", "good"),
    "repeated": ("Published before; nothing was done now", "good"),
    "failed": ("Failed; nothing was published", "bad"),
}
_QUANTILES = {"p50_ms": "p50", "p90_ms": "p90", "p99_ms": "p99", "max_ms": "longest"}


class Tile(NamedTuple):
    """One figure, with a word on what it says."""

    label: str
    value: str
    hint: str = ""
    tone: str = ""


class Chart(NamedTuple):
    """
    A chart: what it shows in a sentence, the same as a table, and the data that the page's script draws.

    `kind` is one of `rates`, `latency`, `bars`.
    """

    id: str
    title: str
    text: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    kind: str
    data: Any


class Page(NamedTuple):
    """All that the page of a report shows."""

    title: str
    state: str
    tone: str
    error: str | None
    kind: str | None
    facts: Sequence[tuple[str, str]]
    tiles: Sequence[Tile]
    earlier: Sequence[Tile]
    charts: Sequence[Chart]
    failures: Sequence[Failures]
    counters: Sequence[tuple[str, str]]

    @property
    def data(self) -> dict[str, Any]:
        """What the page's script draws, by the id of the chart."""
        return {chart.id: {"kind": chart.kind, "data": chart.data} for chart in self.charts}


def page_of(report: Report) -> Page:
    """Return the page that shows *report*."""
    summary = report.summary or Summary()
    state, tone = _STATES.get(report.state, (report.state or "Ended", "plain"))
    return Page(
        title=summary.pipeline or "Enrichment report",
        state=state,
        tone=tone,
        error=report.error,
        kind=report.kind,
        facts=_facts(report, summary),
        tiles=_tiles(summary),
        earlier=_earlier(summary),
        charts=[chart for make in _CHARTS if (chart := make(report, summary)) is not None],
        failures=sorted(report.failures, key=lambda each: -each.rows),
        counters=[(name, whole(count)) for name, count in report.workers.counters.items()],
    )


def whole(number: float | None) -> str:
    """Return *number* without decimals, in groups of three digits."""
    return NOTHING if number is None else f"{number:,.0f}"


def brief(number: float | None) -> str:
    """Return *number* with as many decimals as it needs at its size."""
    if number is None:
        return NOTHING
    return f"{number:,.0f}" if number >= 100 else f"{number:,.3g}"


def duration(seconds: float | None) -> str:
    """Return *seconds* in the two units that fit."""
    if seconds is None:
        return NOTHING
    if seconds < 60:
        return f"{brief(seconds)} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60:,} h {minutes % 60} min"


def share(part: float | None, total: float | None) -> str:
    """Return *part* of *total* in per cent; less than all is never shown as all."""
    if part is None or not total:
        return ""
    percent = 100 * part / total
    return "> 99.9 %" if 99.9 < percent < 100 else "< 0.1 %" if 0 < percent < 0.1 else f"{percent:.3g} %"


def _facts(report: Report, summary: Summary) -> list[tuple[str, str]]:
    facts = {"ended": report.at, "run": summary.run_id, "sink": summary.sink, "kept in": summary.folder}
    return [(name, value) for name, value in facts.items() if value]


def _tiles(summary: Summary) -> list[Tile]:
    out = summary.rows_out if summary.rows_out is None else summary.rows_out + summary.dead
    retried = share(summary.retries, summary.calls)
    return [
        Tile("Rows in", whole(summary.rows_in)),
        Tile("Rows out", whole(summary.rows_out), share(summary.rows_out, summary.rows_in)),
        Tile("OK", whole(summary.ok), share(summary.ok, out), "good"),
        Tile("Failed", whole(summary.failed), share(summary.failed, out), "bad" if summary.failed else ""),
        Tile("Calls", whole(summary.calls), "for the rows that were kept"),
        Tile("Retries", whole(summary.retries), f"{retried} of the calls" if retried else ""),
        Tile("Rows per second", brief(summary.rows_per_second), "this try"),
        Tile("Time on requests", duration(summary.seconds), "this try"),
    ]


def _earlier(summary: Summary) -> list[Tile]:
    """Return what did not go in at one end and come out at the other once, and only once."""
    return [
        Tile("Resumed", whole(summary.resumed), "rows that earlier tries had answered"),
        Tile("Redone", whole(summary.redone), "rows answered more than once, about"),
        Tile("Left out", whole(summary.left_out), "rows that shared an id with another"),
        Tile("Dead letter", whole(summary.dead), "failed rows that were put aside"),
    ]


def _throughput(report: Report, _: Summary) -> Chart | None:
    curve = rates(report.curve)
    if not curve:
        return None
    text = (
        f"Up to {brief(max(each.rows for each in curve))} rows per second, over {duration(curve[-1].until)}."
    )
    columns = ("until", "rows/s", "calls/s", "failed rows/s")
    return Chart(
        "throughput",
        "Throughput",
        text,
        columns,
        list(map(_rate_row, curve)),
        "rates",
        [list(each) for each in curve],
    )


def _rate_row(each: Rates) -> tuple[str, ...]:
    return (duration(each.until), brief(each.rows), brief(each.calls), brief(each.failed))


def _latency(report: Report, _: Summary) -> Chart | None:
    bins = rebinned(report.histogram)
    if not bins:
        return None
    marks = [(word, report.latency[key]) for key, word in _QUANTILES.items() if key in report.latency]
    text = "Milliseconds per row, waiting and retries included"
    text += ": " + ", ".join(f"{word} {brief(ms)} ms" for word, ms in marks) + "." if marks else "."
    rows = [(f"{brief(each.above)} to {brief(each.upto)} ms", whole(each.rows)) for each in bins]
    data = {"bins": [list(each) for each in bins], "marks": marks}
    return Chart("latency", "Latency", text, ("took", "rows"), rows, "latency", data)


def _bars(
    id_: str,
    title: str,
    what: str,
    counts: Mapping[str, float],
    tone: Callable[[str], str],
    number: Callable[[float], str] = whole,
) -> Chart | None:
    shown = {name: count for name, count in sorted(counts.items(), key=lambda item: -item[1]) if count}
    if not shown:
        return None
    total = sum(shown.values())
    largest = next(iter(shown))
    rows = [(name, number(count), share(count, total)) for name, count in shown.items()]
    data = [
        (name, count, f"{number(count)}  ({share(count, total)})", tone(name))
        for name, count in shown.items()
    ]
    text = f"Most: {largest}, {share(shown[largest], total)}."
    return Chart(id_, title, text, (id_, what, "share"), rows, "bars", data)


def _outcomes(_: Report, summary: Summary) -> Chart | None:
    return _bars("outcome", "Outcomes", "rows", summary.outcomes, _tone_of_outcome)


def _statuses(report: Report, _: Summary) -> Chart | None:
    return _bars("status", "HTTP statuses", "rows", report.statuses, _tone_of_status)


def _seconds(report: Report, _: Summary) -> Chart | None:
    return _bars(
        "spent on",
        "Where the time of the rows went",
        "time",
        report.workers.seconds,
        lambda _: "plain",
        duration,
    )


def _tone_of_outcome(name: str) -> str:
    return {"ok": "good", "ignored": "plain"}.get(name, "bad")


def _tone_of_status(name: str) -> str:
    return {"2": "good", "3": "plain", "4": "warn"}.get(name[:1], "bad")


_CHARTS: Iterable[Callable[[Report, Summary], Chart | None]] = (
    _throughput,
    _latency,
    _outcomes,
    _statuses,
    _seconds,
)
