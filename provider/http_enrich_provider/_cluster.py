"""Says which drivers can be left to a cluster, where they must be found again and ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException

if TYPE_CHECKING:
    from .operators import HttpEnrichSparkOperator

_ADDRESS = "yarn_resourcemanager_webapp_address"
_REFUSED = {
    "spark://": "Spark's standalone master takes no Python application in deploy mode 'cluster'",
    "k8s": "on Kubernetes, spark-submit would leave the connections in spark.kubernetes.file.upload.path",
}


def check_cluster_mode(operator: HttpEnrichSparkOperator, master: str, connection: Any) -> None:
    """Raise `AirflowFailException` unless *master*, that of *connection*, takes a driver that we can end."""
    if "yarn" not in master:
        reasons = (why for prefix, why in _REFUSED.items() if master.startswith(prefix))
        why = next(reasons, "the deploy mode 'cluster' needs a cluster")
        msg = f"{why}; set deploy_mode='client' on the operator or in the Spark connection"
        raise AirflowFailException(msg)
    if not connection.extra_dejson.get(_ADDRESS):
        msg = (
            f"the connection {operator._conn_id!r} has no extra {_ADDRESS!r}, by which a stopped task ends "
            "its application; set it to the address of YARN's resource manager, such as http://rm.example.com:8088"
        )
        raise AirflowFailException(msg)
    if operator.durable and not operator._yarn_track_via_rm_api:
        msg = "set yarn_track_via_rm_api=True, by which a retry finds its application; or durable=False"
        raise AirflowFailException(msg)
