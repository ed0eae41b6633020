"""What a hook in a clone has to say. Apart from the hooks, so that it is one class whichever of them is started."""

from dataclasses import dataclass


@dataclass
class Verdict:
    """What is said, and whether git is stopped."""

    refuses: bool = False
    said: str = ""
