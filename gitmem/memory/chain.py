"""Chains: what is pending becomes commits on top of a tip, in memory, to be written in one flush."""

from collections.abc import Mapping

from msgspec.structs import replace

from gitmem.git.objects import FILE, FOLDER, NO_TREE, Commit, Entry, NewObject, Objects, new_object
from gitmem.memory.caller import GITMEM_PERSON
from gitmem.memory.pending import PendingCommit, Stale
from gitmem.memory.view import names_at


class Chain:
    """Commits on top of `tip`, "" or None for none. `new` are their objects, each commit after what it holds."""

    def __init__(self, objects: Objects, tip: str | None) -> None:
        self._objects = objects
        self._tip = self.head = tip or ""
        self._tree = objects.commit(tip).tree if tip else NO_TREE
        self.new: list[NewObject] = []

    @property
    def is_empty(self) -> bool:
        """Whether nothing was added."""
        return self.head == self._tip

    def add(self, pending: PendingCommit) -> str:
        """Append a commit; its id, "" if it would change nothing. Raises Stale if what it read has changed."""
        if pending.base != self.head and (changed := self._changed(pending)):
            raise Stale(self.head, changed)
        tree, new = graft(self._objects, self._tree, pending.edits)
        if tree == self._tree and not pending.merges:
            return ""
        parents = ((self.head,) if self.head else ()) + pending.merges
        commit = Commit(tree, parents, pending.author, GITMEM_PERSON, pending.time, pending.message)
        made = new_object("commit", commit.encode())
        self._objects.keep_commit(replace(commit, oid=made.oid))
        self.new += [*new, made]
        self.head, self._tree = made.oid, tree
        return made.oid

    def _changed(self, pending: PendingCommit) -> list[str]:
        read = [path for path, seen in pending.reads.items() if self._objects.entry(self._tree, path) != seen]
        listed = [path for path, seen in pending.listings.items() if names_at(self._objects, self._tree, path) != seen]
        return read + listed


def graft(objects: Objects, tree_oid: str, edits: Mapping[str, NewObject | None]) -> tuple[str, list[NewObject]]:
    """A tree with files set or removed: its id, and the objects that are new. Folders that get empty go."""
    new: list[NewObject] = [blob for blob in edits.values() if blob is not None]
    oid = _graft(objects, tree_oid, {tuple(path.split("/")): blob for path, blob in edits.items()}, new)
    if oid is None:
        new.append(new_object("tree", b""))  # git wants even the empty tree to be there
    return oid or NO_TREE, new


def _graft(
    objects: Objects, tree_oid: str, edits: Mapping[tuple[str, ...], NewObject | None], new: list[NewObject]
) -> str | None:
    tree = objects.tree(tree_oid)
    below: dict[str, dict[tuple[str, ...], NewObject | None]] = {}
    for (name, *rest), blob in edits.items():
        if rest:
            below.setdefault(name, {})[tuple(rest)] = blob
        else:
            tree = tree.with_entry(name, Entry(FILE, blob.oid) if blob else None)
    for name, inner in below.items():
        old = tree.entries.get(name)
        start = old.oid if old and old.mode == FOLDER else NO_TREE
        grafted = _graft(objects, start, inner, new)
        tree = tree.with_entry(name, Entry(FOLDER, grafted) if grafted else None)
    if not tree.entries:
        return None
    made = new_object("tree", tree.data)
    if made.oid != tree_oid:
        objects.keep_tree(made.oid, tree)
        new.append(made)
    return made.oid
