"""What a run that failed tells to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from http_enrich_middleware import Histogram
from http_enrich_spark.config import ExecutionConfig
from http_enrich_spark.driver import RunError
from http_enrich_spark.driver._summary import Counts, Failure
from http_enrich_spark.driver._verdict import rejection, too_many_failures
from http_enrich_spark.worker._outcome import outcome_of

REASON = "60.0% of the rows failed"


def verdict(failed: Mapping[str, int]) -> RunError:
    failures = [Failure(outcome, rows, "kind", "text") for outcome, rows in failed.items()]
    counts = Counts(100, 0, 100, 0, dict(failed), {}, Histogram(), failures)
    return rejection(counts, REASON)


@pytest.mark.parametrize(
    ("failed", "limits", "warned"),
    [(6, {}, True), (5, {}, False), (6, {"max_error_rate": 0.5}, False), (51, {}, False)],
)
def test_many_failures_are_told_of_where_nobody_has_said_how_many_may_be(
    failed: int, limits: dict[str, Any], warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    outcomes = {"ok": 100 - failed, "not_found": failed}
    failures = [Failure("not_found", failed, "http_status", "404")]
    counts = Counts(100, 0, 100, 0, outcomes, {}, Histogram(), failures)
    refused = too_many_failures(counts, ExecutionConfig(**limits))

    assert (refused is not None) is (failed > 50)
    assert any("set it lower" in text for text in caplog.messages) is warned


@pytest.mark.parametrize(
    ("outcome", "advice", "retry", "kind"),
    [
        ("auth", "the API rejected the credentials; correct the key, the password or", False, "auth"),
        ("rate_limited", "the API's rate limit is exhausted; lower rate_limit", True, "rate_limited"),
        ("connect", "the API cannot be reached; check endpoint.base_url", True, "error_rate"),
        ("server_error", "the API is in trouble; start it again later", True, "error_rate"),
        ("timeout", "the API is too slow; raise transport.base_timeout", True, "error_rate"),
        ("not_found", "the API does not know most rows; check endpoint.path", False, "error_rate"),
        ("parse", "the answers are not what the pipeline expects; mend response", False, "error_rate"),
    ],
)
def test_most_failures_say_what_to_do_and_whether_to_try_again(
    outcome: str, advice: str, retry: bool, kind: str
) -> None:
    error = verdict({outcome: 40, "rule": 20})

    assert str(error).startswith(advice)
    assert str(error).endswith(f": {REASON}")
    assert (error.retry, error.kind) == (retry, kind)


@pytest.mark.parametrize(
    "failed",
    [
        {"timeout": 40, "server_error": 35, "connect": 25},
        {"not_found": 49, "timeout": 26, "rate_limited": 25},
        {"parse": 29, "protocol": 20, "local": 10},
    ],
)
def test_an_outage_of_many_faces_is_tried_again(failed: dict[str, int]) -> None:
    error = verdict(failed)

    assert str(error) == f"the API is in trouble; start it again later: {REASON}"
    assert (error.retry, error.kind) == (True, "error_rate")


def test_a_token_server_that_is_away_is_tried_again_and_one_that_refuses_is_not() -> None:
    away, refused = (verdict({outcome_of(kind): 60}) for kind in ("auth_unavailable", "auth_failed"))

    assert (away.retry, away.kind) == (True, "error_rate")
    assert (refused.retry, refused.kind) == (False, "auth")


@pytest.mark.parametrize("failed", [{"auth": 20, "timeout": 19, "connect": 9, "parse": 18}, {"rule": 60}, {}])
def test_a_mixture_has_no_one_remedy(failed: dict[str, int]) -> None:
    error = verdict(failed)

    assert (str(error), error.retry, error.kind) == (REASON, False, "error_rate")
