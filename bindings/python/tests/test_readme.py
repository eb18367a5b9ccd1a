"""What the pages show runs as it stands."""

import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent


@pytest.mark.parametrize("page", [PACKAGE / "README.md", PACKAGE.parent.parent / "README.md"])
def test_the_python_of_a_page_runs(page):
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    blocks = [block for block in blocks if "arcos" in block]
    assert blocks
    exec("\n".join(blocks), {})
