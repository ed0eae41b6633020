"""Before a push is in: it passes the gate, or is refused with all the reasons."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

import gitmem.domains.files  # noqa: F401  declares the record kinds of `main` and the gate's rules
from gitmem.errors import GitmemError
from gitmem.facade.pushing import Push, Update
from gitmem.facade.receiving import receive
from gitmem.git.repository import Repository


def pre_receive(updates: Iterable[list[str]]) -> int:
    """0 lets the push in, 1 refuses it with the reasons on standard error."""
    try:
        repository = Repository(Path(os.environ.get("GIT_DIR", ".")), alternates=_quarantine())
        reasons = receive(Push(repository, tuple(Update(*each) for each in updates)))
    except GitmemError as error:
        reasons = [str(error)]
    for reason in reasons:
        sys.stderr.write(reason + "\n")
    return 1 if reasons else 0


def _quarantine() -> tuple[Path, ...]:
    # git keeps pushed objects in quarantine until pre-receive succeeds
    path = os.environ.get("GIT_QUARANTINE_PATH")
    return (Path(path),) if path else ()
