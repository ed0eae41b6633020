"""What the command line and the environment say: which memory, who asks, how to print."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from gitmem.facade.calls import Claims, Office
    from gitmem.memory.caller import Caller
    from gitmem.memory.memory import Memory


class Given(Struct):
    """The options that every command takes; "" or False where one is not given."""

    repo: str = ""
    project: str = ""
    agent: str = ""
    session_id: str = ""
    json: bool = False

    @property
    def path(self) -> Path:
        """The memory's folder."""
        from gitmem.memory.memory import default_path  # imported late: `--help` and `--version` need no memory

        named = self.repo or os.environ.get("GITMEM_REPO", "")
        return Path(named).expanduser() if named else default_path()

    @property
    def stated_agent(self) -> str:
        """The agent that somebody named; "" if nobody did."""
        return self.agent or os.environ.get("GITMEM_AGENT", "")

    @property
    def stated_project(self) -> str:
        """The project that somebody named; "" if nobody did."""
        return self.project or os.environ.get("GITMEM_PROJECT", "")

    def claims(self) -> "Claims":
        """What a verb's call gets to know about its caller."""
        from gitmem.facade.calls import Claims

        # the user's name is worth as much as a client program's: start_session may introduce another
        return Claims(agent=self.stated_agent, project=self.stated_project, client=user_name())

    def caller(self) -> "Caller":
        """Who asks, for commands that are no verbs."""
        from gitmem.memory.caller import Caller
        from gitmem.names import check_name

        stated = self.stated_agent
        return Caller(check_name(stated, "agent"), "declared") if stated else Caller(user_name(), "client")

    @contextmanager
    def memory(self) -> "Iterator[Memory]":
        """The memory, open for as long as the block runs. Raises GitmemError if there is none."""
        from gitmem.memory.memory import Memory

        with logged_to_file(), closing(Memory(self.path)) as opened:
            yield opened

    @contextmanager
    def office(self) -> "Iterator[Office]":
        """The memory with what verbs need, open for as long as the block runs."""
        from gitmem.facade.calls import Office
        from gitmem.memory.memory import Memory

        with logged_to_file(), closing(Office(Memory(self.path))) as office:
            yield office


def user_name() -> str:
    """The operating system's name of the user, as the name of an agent."""
    import getpass

    from gitmem.facade.calls import NOBODY
    from gitmem.names import name_problem, slugify

    try:
        name = slugify(getpass.getuser())
    except (KeyError, OSError):  # a user id without a name, as containers have them
        return NOBODY
    return NOBODY if name_problem(name) else name


def log_path() -> Path:
    """The file that failures of ours are logged to: in the user's state folder, or among temporary files."""
    import tempfile

    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    folder = Path(state) / "gitmem"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        folder = Path(tempfile.gettempdir())
    return folder / "gitmem.log"


@contextmanager
def logged_to_file() -> Iterator[None]:
    """Send the log to the log file: standard error is for people. The file is made with its first line."""
    import logging

    handler: logging.Handler = logging.FileHandler(log_path(), encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()
