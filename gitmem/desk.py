"""The desk: what a verb works at. Who is calling, in which project, on which snapshot of the memory."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Literal, TypeVar

from gitmem.errors import BadArgument, GitmemError, NotFound, Refused, closest
from gitmem.memory.caller import Caller
from gitmem.memory.find import find_path
from gitmem.memory.pending import Stale
from gitmem.memory.view import MAIN_PLACE, Place, View
from gitmem.names import shown
from gitmem.records.check import at_most, plain_text
from gitmem.records.kind import Kind

BODY_MAX = 2000  # characters of a reason in a commit's message
TRIES = 40
# The part of the memory that a call means: its project's, or what every project shares.
Scope = Literal["project", "shared"]
T = TypeVar("T")

if TYPE_CHECKING:
    from gitmem.index.search import Index
    from gitmem.memory.agreement import Agreement
    from gitmem.memory.draft import Draft
    from gitmem.memory.memory import Memory
    from gitmem.memory.transaction import Transaction


class UnknownProject(NotFound):
    """A project that the memory does not have."""

    def __init__(self, name: str, known: list[str]) -> None:
        near = closest(name, known)
        hint = f"Did you mean {' or '.join(near)}? " if near else ""
        super().__init__(
            f"There is no project {shown(name)} in this memory.",
            fix=f"{hint}list_projects shows them all; project(action='create', name=...) makes a new one.",
        )


class Conflict(GitmemError):
    """A write lost the race again and again, or was made from a version that is no longer current."""


class NotProposable(Refused):
    """A call that is not, or not only, about files of main."""

    def __init__(self, verb: str, *, at_once: bool) -> None:
        what = "what it does takes effect at once" if at_once else "it changes nothing that could wait for a review"
        super().__init__(f"{verb} cannot be proposed: {what}. Nothing was written.", fix="Call it without as_proposal.")


class Desk:
    """One caller at work on one memory, for the time of one call.

    Every attempt of a verb sees one fixed view of each place; `restart` moves on to the present.
    """

    def __init__(self, memory: "Memory", index: "Index", caller: Caller, *, project: str = "", verb: str = "") -> None:
        self.memory = memory
        self.index = index
        self.caller = caller
        self._project = project
        self._verb = verb
        self._views: dict[Place, View] = {}
        self._aside: dict[Place, View] = {}
        self.commit = ""
        self.task = ""  # what the caller works on, for what the briefing looks up
        self.attempt = 0  # how many races this call has lost
        self._agreed: Agreement | None = None
        self._asked: set[Place] = set()
        self.draft: Draft | None = None  # where what the call writes to main goes, if it is to be proposed

    @property
    def agent(self) -> str:
        """The caller's name."""
        return self.caller.name

    @property
    def proposes(self) -> bool:
        """Whether the call only proposes: what it may say is checked, but not who may say it."""
        return self.draft is not None

    @property
    def project(self) -> str:
        """The project that the call is about. Raises if none was named or it does not exist."""
        if not self._project:
            raise BadArgument(
                "The call does not say which project it is about.",
                fix="Pass project='NAME', or start the server with --project NAME; list_projects shows them.",
            )
        if self.view().entry(f"projects/{self._project}/project.yaml") is None:
            raise UnknownProject(self._project, self.projects())
        return self._project

    @property
    def asked_project(self) -> str:
        """The same, or "" if none was named or it does not exist."""
        return self._project if self._project and self.view().peek(f"projects/{self._project}/project.yaml") else ""

    @property
    def scope(self) -> str:
        """The scope of the desk's project: `projects/<name>`."""
        return f"projects/{self.project}"

    def scoped(self, scope: Scope) -> str:
        """The scope that a call's argument means."""
        return self.scope if scope == "project" else "shared"

    def projects(self) -> list[str]:
        """The names of all projects."""
        view = self.view()
        return [name for name in view.names("projects") if view.entry(f"projects/{name}/project.yaml")]

    def view(self, place: Place = MAIN_PLACE) -> View:
        """The snapshot of a place that this attempt works on."""
        if place not in self._views:
            drafted = self.draft.tip if self.draft and place == MAIN_PLACE else None
            self._views[place] = self.memory.view(place, commit=drafted)
        return self._views[place]

    def aside(self, place: Place) -> View:
        """A snapshot to look things up in that does not count as read: what others do there does not disturb this call."""
        if place not in self._aside:
            self._aside[place] = self.memory.view(place)
        return self._aside[place]

    def view_as_of(self, when: str) -> View:
        """`main` as it was at a commit, date or age; the present if `when` is empty."""
        return self.memory.view_as_of(when) if when else self.view()

    def transaction(
        self, subject: str, place: Place = MAIN_PLACE, *, body: str = "", agreed: bool = False
    ) -> "DeskTransaction":
        """Edits that land as one commit, authored by the caller, when the `with` block ends.

        `agreed`: at the hub first, if the memory has one that decides; `local_only` says why that could not be.
        `body` is the caller's own text for the commit's message. Raises BadArgument if a message cannot hold it,
        NotProposable.
        """
        if self.draft is not None and place != MAIN_PLACE:
            raise NotProposable(self._verb, at_once=True)
        if what := plain_text(body) or at_most(BODY_MAX)(body):
            raise BadArgument(f"The reason {what}.", fix="Say it shorter and in plain text; long text belongs into a record.")
        made = self.memory.transaction(
            self.view(place), self.caller, subject, verb=self._verb, body=body, draft=self.draft
        )
        if agreed and self.draft is None and (agreement := self._agreement()):
            made.writer = agreement
        return DeskTransaction(self, made)

    def ask_hub(self, place: Place) -> None:
        """Before something is refused because of what others hold: run the call again if the hub knows better. Raises Stale."""
        if place in self._asked or not (agreement := self._agreement()):
            return
        self._asked.add(place)
        if agreement.catch_up(place.ref):
            raise Stale(self.memory.head(place), ["the hub"])

    @property
    def local_only(self) -> str | None:
        """Why the hub does not know of what this call has done; None if it does, or if there is no hub."""
        return self._agreed.local_only or None if self._agreed else None

    def _agreement(self) -> "Agreement | None":
        from gitmem.memory.hubs import deciding_hub  # imported late: few verbs ask, and the push hook loads the desk

        if self._agreed is None and (hub := deciding_hub(self.memory.repository)):
            from gitmem.memory.agreement import Agreement

            self._agreed = Agreement(self.memory, hub)
        return self._agreed

    def working_with(self, verb: str, project: str = "") -> "Desk":
        """A desk of the same caller, for another verb that is a part of this call."""
        desk = Desk(self.memory, self.index, self.caller, project=project or self._project, verb=verb)
        desk.draft = self.draft
        return desk

    def find(self, record_id: str, view: View | None = None, *, kind: Kind | None = None) -> str:
        """The path of the record (of a kind, or of any) that an id or the start of its digits means, the desk's project first."""
        return find_path(view or self.view(), record_id, scope=self.scope if self._project else None, kind=kind)

    def restart(self) -> None:
        """Let go of the snapshots: the next view is of the present."""
        self._views.clear()
        self._aside.clear()

    def until_landed(self, part: Callable[[], T], what: str) -> T:
        """Run a part of a verb that ends in a transaction, again on the present as long as it loses races.

        A verb with several transactions wraps those after the first: what has landed must not be done twice.
        Raises Conflict.
        """
        with ExitStack() as stack:
            for self.attempt in range(TRIES):
                if self.attempt == 1:
                    # those who lost stand in line: racing on, each would mostly undo the others' work, and some lose for seconds
                    stack.enter_context(self.memory.writer.in_line())
                    self.restart()
                try:
                    return part()
                except Stale as stale:
                    lost = stale
                    self.restart()
        raise Conflict(
            f"{what} lost the race for {', '.join(lost.paths)} {TRIES} times; the memory is now at {lost.tip[:10]}. "
            "Nothing of this was written.",
            fix="Call it again in a moment.",
        )


class DeskTransaction:
    """A transaction that tells its desk the commit, and moves the desk on to it."""

    def __init__(self, desk: Desk, transaction: "Transaction") -> None:
        self._desk = desk
        self._transaction = transaction

    def __enter__(self) -> "Transaction":
        return self._transaction

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None:
            self._transaction.land()
            self._desk.commit = self._transaction.commit or self._desk.commit
            self._desk.restart()
