"""The one family of errors that people and agents get to see."""


class GitmemError(Exception):
    """Something was refused or could not be done.

    Args:
        message: what happened, with the values that made it happen.
        fix: what helps, in one sentence; never a runnable destructive command.
    """

    def __init__(self, message: str, *, fix: str) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message} {self.fix}"


class Refused(GitmemError):
    """The request is understood and is not carried out."""


class NotFound(GitmemError):
    """What was asked for is not in the memory."""


class BadArgument(GitmemError):
    """An argument is missing, unknown or not what would be accepted."""


def closest(word: str, known: "list[str] | tuple[str, ...]", *, most: int = 3) -> list[str]:
    """The known words that are near to `word`, nearest first: for "did you mean"."""
    from difflib import get_close_matches  # imported late: only a refusal needs it

    return get_close_matches(word, known, n=most, cutoff=0.6)
