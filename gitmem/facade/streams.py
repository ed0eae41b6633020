"""The command's standard streams: there whatever the shell did with them, and clear about what cannot be printed."""

import io
import os
import sys
from typing import TYPE_CHECKING

from gitmem.errors import GitmemError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class NotPrinted(GitmemError):
    """Standard output does not take what a command answers."""

    def __init__(self, error: OSError) -> None:
        super().__init__(
            f"It was done, but the answer could not be printed: {error.strerror or error}.",
            fix="Send standard output somewhere else. What was written need not be written again.",
        )


class _Output(io.FileIO):
    """A file that nothing more goes to once it failed: what is still buffered must not fail again at exit."""

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write. A reader that has enough is no failure, and the business of whoever runs the command."""
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
            raise NotPrinted(error) from None


def prepare() -> None:
    """Open the streams that the shell closed, and have failures of standard output told as such."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # the lowest number that is free is this one; left free, the memory's next file would be taken for a stream
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  open as long as the process
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    output, settings = io.BufferedWriter(_Output(1, "w", closefd=False)), sys.stdout
    sys.stdout = io.TextIOWrapper(output, settings.encoding, settings.errors, line_buffering=bool(settings.line_buffering))
