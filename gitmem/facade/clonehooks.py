"""What the hooks in a clone or in a repository of code call. Nothing here may keep somebody from working by being broken.

Only REFUSES stops git; whatever else happens is told in a line and let pass. In a repository of code all of it has two
seconds: it runs in a process of its own, which is given up when they are over, also one that nothing can end because
it waits for a file system that does not answer.
"""

import gc
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress

from msgspec import json

from gitmem.facade.verdict import Verdict

REFUSES = 77
LIMIT_SECONDS = 2.0  # GITMEM_HOOK_SECONDS sets another one

Work = Callable[[], Verdict]


def main(arguments: list[str] | None = None) -> int:
    """Run gitmem's part of one hook: REFUSES stops git, anything else does not."""
    gc.disable()  # looking for garbage takes an eighth of the time, and all of it goes in a moment
    role, name, *rest = sys.argv[1:] if arguments is None else arguments
    verdict = _in_time(lambda: _in_code(name, rest)) if role == "code" else _in_memory_clone(name, rest)
    if verdict.said:
        sys.stderr.write(verdict.said.rstrip("\n") + "\n")
    return REFUSES if verdict.refuses else 0


def _in_code(name: str, arguments: list[str]) -> Verdict:
    from gitmem.facade import codehooks  # imported late: what that takes counts, too

    return codehooks.HOOKS[name](arguments)


def _in_memory_clone(name: str, arguments: list[str]) -> Verdict:
    try:
        from gitmem.facade import memoryclone

        return memoryclone.HOOKS[name](arguments)
    except Exception as error:  # noqa: BLE001  the memory checks what is pushed anyway
        return _skipped(error)


# --- in time ----------------------------------------------------------------------------------------


def _in_time(work: Work) -> Verdict:
    """What the work says, unless it takes too long."""
    limit = _limit()
    deadline = time.monotonic() + limit
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _answer(writer, work)
    os.close(writer)
    with suppress(ProcessLookupError, PermissionError):
        os.setpgid(child, child)  # whichever of the two comes first
    try:
        text = _read_until(reader, deadline)
    finally:
        # It is not waited for: a process that hangs in a read does not even end when it is killed.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child, signal.SIGKILL)
    if not text:
        return Verdict(said=f"gitmem: no answer from the memory within {limit:g} s; this was not checked.")
    return json.decode(text, type=Verdict)


def _limit() -> float:
    try:
        return float(os.environ["GITMEM_HOOK_SECONDS"])
    except (KeyError, ValueError):
        return LIMIT_SECONDS


def _answer(writer: int, work: Work) -> None:
    """In the child: do the work, answer, and end."""
    os.setpgid(0, 0)  # so that the git programs which it starts go with it
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):  # who reads git's output must not wait for a child that hangs
        os.dup2(nothing, stream)
    try:
        verdict = work()
    except BaseException as error:  # noqa: BLE001  whatever it is must not stop a commit
        verdict = _skipped(error)
    data = json.encode(verdict)
    while data:
        data = data[os.write(writer, data) :]
    os._exit(0)


def _read_until(reader: int, deadline: float) -> bytes:
    """All that comes; b"" if it does not end in time."""
    data = b""
    while True:
        ready, _, _ = select.select([reader], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return b""
        if not (piece := os.read(reader, 65536)):
            return data
        data += piece


def _skipped(error: BaseException) -> Verdict:
    what = getattr(error, "message", "") or f"{type(error).__name__}: {error}"
    fix = getattr(error, "fix", "")
    return Verdict(said=f"gitmem: this was not checked: {' '.join(what.split())}{f' {fix}' if fix else ''}")


if __name__ == "__main__":
    raise SystemExit(main())
