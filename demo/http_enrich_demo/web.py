"""The `airflow` command: the complete Airflow with its web pages, the example DAGs and the airport API."""

from __future__ import annotations

import secrets

from http_enrich_demo.airflow_env import BUILD, DAGS, DATA, environment, web_settings
from http_enrich_demo.airports import ensure_source
from http_enrich_demo.processes import free_ports
from http_enrich_demo.rest import AirflowRest
from http_enrich_demo.run_dag import DAG_ID
from http_enrich_demo.services import running_api
from http_enrich_demo.serving import serving

# Not the database of `demo`: a scheduler would start the tasks of a DAG run that `demo` is working on.
HOME = BUILD / "airflow" / "web"
LOG = BUILD / "airflow" / "web.log"


def run() -> None:
    """Serve Airflow until Ctrl-C, then stop all of it."""
    ensure_source(DATA / "source")
    LOG.unlink(missing_ok=True)
    token = secrets.token_urlsafe()
    ports = free_ports(3)
    with running_api(token, LOG.parent) as api_url:
        env = environment(HOME, DAGS, data=DATA, api_url=api_url, token=token) | web_settings(*ports)
        print(f"Airflow is starting, which takes up to a minute; its log is {LOG}", flush=True)
        with serving(env, LOG) as airflow:
            _print_welcome(airflow.rest, api_url)
            airflow.wait()


def _print_welcome(rest: AirflowRest, api_url: str) -> None:
    print(f"\n  Airflow      {rest.url}/dags/{DAG_ID}")
    print(f"  log in as    {rest.user}, password {rest.password}")
    print(f"  airport API  {api_url}/stats")
    print("\n  Switch a DAG on and press Trigger. Ctrl-C stops everything.", flush=True)
