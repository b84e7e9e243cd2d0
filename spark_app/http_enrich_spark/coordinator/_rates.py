"""Names the rate limits of a pipeline, for driver and workers alike."""

from __future__ import annotations

from collections.abc import Sequence

from http_enrich_middleware import MiddlewareConfig, Rate


def cluster_rates(middleware: Sequence[MiddlewareConfig]) -> dict[str, list[Rate]]:
    """Return the limits that hold for the whole cluster, by names made of their places and rates."""
    found = [each.cluster_rates() for each in middleware]
    return {source_name(n, rates): rates for n, rates in enumerate(each for each in found if each)}


def source_name(position: int, rates: Sequence[Rate]) -> str:
    """Return the name of the limit that is built at that *position* among those of the cluster."""
    return "/".join([str(position), *(f"{rate.limit} per {rate.per:g}" for rate in rates)])
