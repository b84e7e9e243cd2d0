"""Lends variables to this process, from which spark-submit inherits them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """
    Set *variables* for the time of the block.

    A secret in the environment is seen by this user's processes only, while an
    argument or a Spark property is seen by everyone on the machine.
    """
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
