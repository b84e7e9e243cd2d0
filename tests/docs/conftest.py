"""The engine that docs/engines.md builds, importable."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs/engines.md"


@pytest.fixture(scope="module", autouse=True)
def acme_http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Write down the module, beside the entry point of a distribution that brings it along."""
    text = PAGE.read_text()
    folder = tmp_path_factory.mktemp("installed")
    (folder / "acme_http.py").write_text(re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)[0])
    (entry_points,) = re.findall(r"^```toml\n(.*?)^```", text, re.M | re.S)
    distribution = folder / "acme_http-1.0.dist-info"
    distribution.mkdir()
    (distribution / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-http\nVersion: 1.0\n")
    group = re.sub(r'\[project\.entry-points\."(.*)"\]', r"[\1]", entry_points).replace('"', "")
    (distribution / "entry_points.txt").write_text(group)
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))
    sys.modules.pop("acme_http", None)
