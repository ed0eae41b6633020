"""The pages on backup and undoing are run as a reader would run them, and everything that they show must come out."""

from pathlib import Path

import pytest
from test_tutorial import ROOT, run_page


@pytest.mark.parametrize("name", ["backup", "undo"])
def test_what_the_page_shows_is_what_comes_out(name: str, tmp_path: Path) -> None:
    run_page(ROOT / "docs" / f"{name}.md", tmp_path)
