"""Says of which answers nothing must be published, and what to do about it."""

from __future__ import annotations

from http_enrich_spark._logs import logger
from http_enrich_spark.config import ExecutionConfig

from ._errors import RunError
from ._facts import Frozen
from ._summary import Counts, Failure

_ADVICE = {
    "auth": "the API rejected the credentials; correct the key, the password or the token",
    "rate_limited": "the API's rate limit is exhausted; lower rate_limit, or start it again later",
    "connect": "the API cannot be reached; check endpoint.base_url and the network",
    "tls": "there is no TLS with the API; check transport.tls and the API's certificate",
    "timeout": "the API is too slow; raise transport.base_timeout, or lower execution.concurrency",
    "server_error": "the API is in trouble; start it again later",
    "circuit": "the API is in trouble; start it again later",
    "not_found": "the API does not know most rows; check endpoint.path, or list response_rules",
    "client_error": "the API refuses the requests; check endpoint by the error below",
    "invalid_request": "most rows make no valid request; check endpoint and the columns it names",
    "parse": "the answers are not what the pipeline expects; mend response (that costs nothing) or json_body",
    "redirect": "the API sends elsewhere; correct endpoint.base_url, or list redirect",
}
"""What a failure of most rows means, and its remedy."""

_PASSING = {"rate_limited", "connect", "timeout", "server_error", "circuit", "protocol", "local"}
"""Failures that may be gone by the next try, which asks again for the rows that failed and for no other."""


NOTABLE = 0.05
"""Share of failed rows above which a run that has no limit of its own warns of them."""


def check_whole(counts: Counts, frozen: Frozen) -> None:
    """Compare what was written with what was frozen, before anyone sees it."""
    if (counts.rows, counts.ids) != (frozen.rows, frozen.ids):
        what = "with other ids" if counts.rows == frozen.rows else f"out of {frozen.rows:,}"
        msg = f"{counts.rows:,} rows came {what}; nothing was published, please report this as a bug"
        raise RunError(msg, kind="internal")


def too_many_failures(counts: Counts, limits: ExecutionConfig) -> str | None:
    """Return what is said of more failures than *limits* allow, None if they do; warns where none was set."""
    rate, limit = counts.error_rate, limits.max_error_rate
    failed, why = f"{rate:.1%} of the rows failed", "; ".join(map(str, counts.failures))
    if rate > limit:
        return f"{failed}, more than execution.max_error_rate = {limit:.1%} ({why}); nothing was published"
    if rate > NOTABLE and "max_error_rate" not in limits.model_fields_set:
        logger.warning(
            "%s (%s); that is published, since execution.max_error_rate is %.0f%% unless it is set: set it "
            "lower, and such a run fails instead",
            failed,
            why,
            limit * 100,
        )
    return None


def rejection(counts: Counts, reason: str, *, kind: str = "error_rate") -> RunError:
    """Return the error of a run whose answers, which are *counts*, must not be published for *reason*."""
    worst = _worst(counts.failures)
    if worst in ("auth", "rate_limited"):
        kind = worst
    return RunError(
        f"{_ADVICE[worst]}: {reason}" if worst in _ADVICE else reason, retry=worst in _PASSING, kind=kind
    )


def _worst(failures: list[Failure]) -> str:
    """
    Return the outcome that half of the failures or more have had; nothing if there is none.

    An outage has many faces: where those that may pass make up half together, it is `server_error`.
    """
    half = sum(each.rows for each in failures) / 2
    if failures and failures[0].rows >= half:
        return failures[0].outcome
    passing = sum(each.rows for each in failures if each.outcome in _PASSING)
    return "server_error" if failures and passing >= half else ""
