"""Marks as records: one small file an agent and purpose, overwritten in place, without commits.

    @kind
    class Presence(Mark):
        ref: ClassVar[str] = "presence"
        ...

It lives at `refs/gitmem/<ref>/<project>/<agent>`, which holds the file's blob.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, ClassVar, TypeVar

from gitmem.errors import GitmemError
from gitmem.git.refs import RefLocked
from gitmem.git.repository import Repository
from gitmem.memory.pending import StorageFailed
from gitmem.memory.view import ParsedFiles, Place
from gitmem.names import check_name
from gitmem.records.check import a_name
from gitmem.records.codec import encode
from gitmem.records.kind import Record, field

if TYPE_CHECKING:
    from gitmem.git.maintenance import Upkeep

_TRIES = 100


class Mark(Record):
    """What every mark has: whose it is."""

    home: ClassVar[str] = "{agent}.yaml"

    agent: str = field("whose it is", check=a_name, example="ann")


M = TypeVar("M", bound=Mark)


class MarkRefused(GitmemError):
    """A mark kept changing under its writer."""

    def __init__(self, ref: str) -> None:
        super().__init__(f"{ref} keeps changing; nothing of this call was kept.", fix="Call it again in a moment.")


class MarkBook:
    """The marks of one memory."""

    def __init__(self, repository: Repository, parsed: ParsedFiles, upkeep: "Upkeep") -> None:
        self._repository = repository
        self._parsed = parsed
        self._upkeep = upkeep

    def read(self, cls: type[M], project: str, agent: str) -> M | None:
        """An agent's mark of class `cls` in a project, or None if there is none that can be read."""
        return self._read(cls, project, agent)[1]

    def all(self, cls: type[M], project: str) -> Iterator[M]:
        """The marks of a class of all agents of a project, by name."""
        prefix = f"{Place(cls.ref, project).ref}/"
        for ref in self._repository.refs.list(prefix):
            if found := self.read(cls, project, ref.removeprefix(prefix)):
                yield found

    def change(self, cls: type[M], project: str, agent: str, edit: Callable[[M | None], M]) -> M:
        """Overwrite a mark with what `edit` makes of it, durably; nothing is written if that is the same.

        `edit` is called again if another process was faster. Raises MarkRefused, StorageFailed.
        """
        ref = f"{Place(cls.ref, check_name(project, 'project')).ref}/{check_name(agent, 'agent')}"
        for _ in range(_TRIES):
            old, current = self._read(cls, project, agent)
            made = edit(current)
            if made == current:
                return made
            try:
                if self._repository.marks.swap(ref, old, encode(made)):
                    self._upkeep.marked()
                    return made
            except RefLocked:
                continue
            except OSError as error:
                raise StorageFailed(error) from error
        raise MarkRefused(ref)

    def _read(self, cls: type[M], project: str, agent: str) -> tuple[str | None, M | None]:
        place = Place(cls.ref, project)
        found = self._repository.marks.read(f"{place.ref}/{agent}")
        if found is None:
            return None, None
        oid, data = found
        decoded = self._parsed.get(lambda _: data, place, f"{agent}.yaml", oid)
        record = decoded.record if decoded else None
        return oid, record if isinstance(record, cls) else None
