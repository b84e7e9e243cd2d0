"""The engine that docs/engines.md builds does what every engine does."""

from __future__ import annotations

import pickle
import re
from typing import Any

import pytest

from http_enrich_spark.config import PipelineError, check_pipeline, load_pipeline
from http_enrich_transport import TransportConfig, TransportEngineFactory, parse_transport
from tests.docs.conftest import PAGE
from tests.docs.test_blocks import REST
from tests.transport.contract import test_contract

NAME = "acme_http:HttpxEngine"

CONTRACT: list[tuple[Any, ...]] = [
    (test_contract.test_hands_over_status_headers_and_body,),
    *((test_contract.test_sends_every_method_once, each) for each in ("GET", "HEAD", "POST", "DELETE")),
    (test_contract.test_sends_headers_and_body_as_they_are,),
    (test_contract.test_leaves_the_request_as_it_was,),
    (test_contract.test_follows_no_redirect, 302),
    (test_contract.test_keeps_no_cookie,),
    (test_contract.test_an_answer_may_have_no_body, 204),
    (test_contract.test_a_body_beyond_the_limit_is_an_error_and_the_next_one_is_not,),
    (test_contract.test_a_silent_peer_ends_at_the_deadline,),
    (test_contract.test_a_request_may_have_its_own_deadline,),
    (test_contract.test_a_deadline_leaves_the_task_free_to_go_on,),
    (test_contract.test_cancelling_goes_through,),
    (test_contract.test_serves_many_at_a_time,),
    (test_contract.test_headers_that_frame_a_message_are_the_engines, "transfer-encoding"),
    (test_contract.test_a_value_cannot_smuggle_a_header, "a\r\nX: b"),
    (test_contract.test_an_address_has_to_be_complete_and_encoded, "ws://h/"),
    (test_contract.test_messages_hold_no_query_and_no_secret,),
]


def pipeline(**transport: object) -> dict[str, Any]:
    return {**REST, "transport": transport}


@pytest.mark.parametrize(
    "point", CONTRACT, ids=lambda point: "-".join(map(str, (point[0].__name__, *point[1:])))
)
async def test_it_keeps_the_contract(point: tuple[Any, ...]) -> None:
    test, *arguments = point

    await test(NAME, *arguments)


@pytest.mark.parametrize("name", ["httpx", NAME])
def test_a_pipeline_names_it_by_its_entry_point_or_path(name: str) -> None:
    config = load_pipeline(pipeline(engine=name, connections=20), environ={}).transport

    assert (type(config).__name__, config.concurrency, config.engine) == ("HttpxConfig", 20, NAME)


def test_its_options_are_checked_like_all_others() -> None:
    with pytest.raises(PipelineError, match=r"unknown key 'conections'; did you mean 'connections'\?"):
        check_pipeline(pipeline(engine=NAME, conections=20))


def test_what_travels_to_the_workers_finds_it_there() -> None:
    config: TransportConfig = pickle.loads(pickle.dumps(parse_transport({"engine": "httpx"})))

    assert config == parse_transport({"engine": NAME})


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere:Engine", "No module named 'nowhere'; it has to be installed here and on the executors"),
        ("acme_http:Engine", "has no attribute 'Engine'"),
        ("acme_http:HttpxConfig", "it is no TransportEngine"),
        ("acme_http:refuse", "it is no TransportEngine"),
        (".foo:Bar", "it has to be installed here"),
        (":", "it has to be installed here"),
        ("acme", "there are: aiohttp, httpx, memory, pyreqwest"),
    ],
)
def test_a_name_that_leads_nowhere_says_why(name: str, said: str) -> None:
    with pytest.raises(PipelineError) as caught:
        check_pipeline(pipeline(engine=name))

    assert said in str(caught.value)
    assert "transport.engine" in str(caught.value)


def test_the_decorator_is_for_processes_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TransportEngineFactory, "_engines", dict(TransportEngineFactory._engines))
    block = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.M | re.S)[1]

    exec(compile(block, str(PAGE), "exec"), {})
