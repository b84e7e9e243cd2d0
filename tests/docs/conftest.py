"""What the docs build, importable: the engine of docs/engines.md and the middleware of docs/middleware.md."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = DOCS / "engines.md"
BUILT = {"acme_http": PAGE, "acme_steps": DOCS / "middleware.md"}


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Write down the modules, beside the entry points of distributions that bring them along."""
    folder = tmp_path_factory.mktemp("installed")
    for module, page in BUILT.items():
        _install(module, page.read_text(), folder)
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))
    for module in BUILT:
        sys.modules.pop(module, None)


def _install(module: str, text: str, folder: Path) -> None:
    (folder / f"{module}.py").write_text(re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)[0])
    (entry_points,) = re.findall(r"^```toml\n(.*?)^```", text, re.M | re.S)
    distribution = folder / f"{module}-1.0.dist-info"
    distribution.mkdir()
    name = module.replace("_", "-")
    (distribution / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    group = re.sub(r'\[project\.entry-points\."(.*)"\]', r"[\1]", entry_points).replace('"', "")
    (distribution / "entry_points.txt").write_text(group)
