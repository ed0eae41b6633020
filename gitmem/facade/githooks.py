"""What the hooks in a memory's repository call. Starts fast: no MCP, no index, no pydantic."""

import gc
import sys
from collections.abc import Callable, Iterable

Hook = Callable[[Iterable[list[str]]], int]


def main(arguments: list[str] | None = None) -> int:
    """Run one hook on the updates that git names on standard input; its exit code."""
    name = (sys.argv[1:] if arguments is None else arguments)[0]
    gc.disable()  # what is loaded is no garbage, and looking for it takes a fifteenth of the time
    hook = _loaded(name)
    gc.enable()
    return hook(line.split() for line in sys.stdin)


def _loaded(name: str) -> Hook:
    if name == "pre-receive":
        from gitmem.facade.prereceive import pre_receive

        return pre_receive
    if name == "post-receive":
        from gitmem.facade.received import received

        return received
    raise SystemExit(f"gitmem: there is no hook {name[:60]!r}")


if __name__ == "__main__":
    raise SystemExit(main())
