"""What differs between commits, as the index and its overlay take it."""

from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import islice

from gitmem.git.history import last_changes
from gitmem.git.objects import Difference, Entry
from gitmem.index.ahead import Ahead
from gitmem.index.overlay import Edit
from gitmem.index.passages import Change, Passage, passages_of
from gitmem.index.store import Edits
from gitmem.memory.memory import Memory
from gitmem.records.codec import decode
from gitmem.records.kind import kind_at

_NEVER = Change(datetime.fromtimestamp(0, UTC), "")


class Changes:
    """The changes of one memory's records."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._objects = memory.repository.objects
        self._ahead = Ahead(memory)

    def tree(self, commit: str) -> str | None:
        """The tree of a commit; None for the state before the first. Raises MissingObject."""
        return self._objects.commit(commit).tree if commit else None

    def between(self, old: str, new: str, at_most: int | None = None) -> list[Difference]:
        """The files that differ between two commits."""
        return list(islice(self._objects.differences(self.tree(old), self.tree(new)), at_most))

    def edits(self, old: str, new: str, differing: list[Difference] | None = None) -> list[Edit]:
        """What differs between two commits (worked out unless it is known), as edits of the overlay."""
        differing = self.between(old, new) if differing is None else differing
        changes = self._changes(new, old, differing)
        view = self._memory.view(commit=new)
        edits = []
        for path, was, now in differing:
            if kind_at(path) is None:
                continue
            decoded = view.parsed.get(self._objects.blob, view.place, path, now.oid) if now and now.is_file else None
            passages = self._ahead.take(path, decoded.record) if decoded and decoded.record else []
            edits.append(Edit(path, passages, changes.get(path, _NEVER), was_there=was is not None))
        return edits

    def _changes(self, new: str, old: str, differing: list[Difference]) -> dict[str, Change]:
        there = [path for path, _, now in differing if now is not None]
        commit = self._objects.commit(new) if new else None
        if commit is not None and commit.parents == ((old,) if old else ()):
            return dict.fromkeys(there, Change(commit.time, commit.author.name))
        found = last_changes(self._memory.repository, new, there) if new else {}
        return {path: Change(change.time, change.author) for path, change in found.items()}

    def streamed(self, old: str, new: str, touched: Iterable[str] = ()) -> Edits:
        """Edits for the index itself: each path with its passages now, without keeping anything in memory.

        Of the `touched` paths also those that say the same again: who changed them last is another one.
        """
        differing = self.between(old, new)
        return self._streamed(new, [*differing, *self._as_they_are(new, touched, differing)])

    def _as_they_are(self, commit: str, touched: Iterable[str], differing: Iterable[Difference]) -> list[Difference]:
        """What of the touched paths does not differ, as differences of nothing."""
        tree, again = self.tree(commit), set(touched) - {path for path, _, _ in differing}
        entries = ((path, self._objects.entry(tree, path)) for path in sorted(again)) if tree else ()
        return [(path, entry, entry) for path, entry in entries if entry is not None]

    def back(self, old: str, new: str, touched: Iterable[str]) -> list[Edit]:
        """The edits from an index that is ahead to an earlier commit; `touched` are the paths that were changed since.

        What says the same again has another last change there, and so has what was removed and brought back.
        """
        differing = self.between(old, new)
        return [*self.edits(old, new, differing), *self.edits("", new, self._as_they_are(new, touched, differing))]

    def everything(self, commit: str) -> tuple[Edits, int]:
        """The same of all files of a commit, and how many these are."""
        tree = self.tree(commit)
        files = list(self._objects.files(tree)) if tree else []
        return self._streamed(commit, ((path, None, entry) for path, entry in files)), len(files)

    def _streamed(self, commit: str, differing: Iterable[Difference]) -> Edits:
        found = [(path, now) for path, _, now in differing if kind_at(path) is not None]
        changes = last_changes(self._memory.repository, commit, [path for path, now in found if now]) if commit else {}
        for path, now in found:
            last = changes.get(path)
            change = Change(last.time, last.author) if last else _NEVER
            yield path, [(passage, change) for passage in self._passages(path, now)]

    def _passages(self, path: str, entry: Entry | None) -> list[Passage]:
        declared = kind_at(path)
        if entry is None or declared is None or not entry.is_file:
            return []
        kind, data = self._objects.read(entry.oid)
        record = decode(declared, path, data).record if kind == "blob" else None
        return passages_of(path, record) if record is not None else []

    def close(self) -> None:
        """Stop listening to what is written."""
        self._ahead.close()
