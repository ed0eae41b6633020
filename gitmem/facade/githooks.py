"""What git's hooks call: the gate for pushes. Starts fast: no MCP, no index, no pydantic."""

import os
import sys
from pathlib import Path

import gitmem.domains.files  # noqa: F401  declares the record kinds of `main` and the gate's rules
from gitmem.errors import GitmemError
from gitmem.facade.pushing import Push, Update
from gitmem.facade.receiving import receive
from gitmem.git.repository import Repository
from gitmem.names import shown


def main(arguments: list[str] | None = None) -> int:
    """Run one hook: 0 lets the push in, 1 refuses it with the reasons on stderr."""
    name = (sys.argv[1:] if arguments is None else arguments)[0]
    if name != "pre-receive":
        sys.stderr.write(f"gitmem: there is no hook {shown(name)}\n")
        return 1
    try:
        updates = tuple(Update(*line.split()) for line in sys.stdin)
        repository = Repository(Path(os.environ.get("GIT_DIR", ".")), alternates=_quarantine())
        reasons = receive(Push(repository, updates))
    except GitmemError as error:
        reasons = [str(error)]
    for reason in reasons:
        sys.stderr.write(reason + "\n")
    return 1 if reasons else 0


def _quarantine() -> tuple[Path, ...]:
    # git keeps pushed objects in quarantine until pre-receive succeeds
    path = os.environ.get("GIT_QUARANTINE_PATH")
    return (Path(path),) if path else ()


if __name__ == "__main__":
    raise SystemExit(main())
