"""What a hook in a clone has to say. Apart from the hooks, so that it is one class whichever of them is started."""

from msgspec import Struct


class Verdict(Struct):
    """What is said, and whether git is stopped."""

    refuses: bool = False
    said: str = ""
