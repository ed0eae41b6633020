"""Agreeing with the hub: a commit that lands there first, so that of two clones that want the same one gets it.

Used in place of the writer by a transaction. Without an answer of the hub the commit lands here alone, and says so.
"""

from dataclasses import replace

from gitmem.errors import GitmemError
from gitmem.git.objects import Commit, NewObject, new_object
from gitmem.git.refs import RefLocked
from gitmem.git.remote import Update
from gitmem.git.repository import run_git
from gitmem.memory.hubs import Hub, patience_of
from gitmem.memory.memory import Memory
from gitmem.memory.pending import PendingCommit, Stale, StorageFailed
from gitmem.memory.sync import ROUNDS, StillRacing, Sync
from gitmem.memory.view import NO_TREE, names_at
from gitmem.memory.writer import GITMEM, graft


class HubRefuses(GitmemError):
    """The hub does not take a ref."""

    def __init__(self, hub: Hub, why: str) -> None:
        super().__init__(f"{hub.name} refuses it: {why}.", fix="'gitmem sync' tells what is wrong.")


class Agreement:
    """The agreement of one call with the hub that decides. `local_only` says why there was none."""

    def __init__(self, memory: Memory, hub: Hub) -> None:
        self._memory = memory
        self._repository = memory.repository
        self._hub = hub
        self._remote = hub.remote(memory.repository, patience=patience_of(memory.repository))
        self.local_only = ""

    def land(self, pending: PendingCommit) -> str:
        """Commit at the hub and here; the commit's id. Raises Stale if the hub, or somebody here, was faster."""
        if not self.local_only:
            try:
                return self._land(pending)
            except (StorageFailed, StillRacing):
                raise
            except GitmemError as error:
                self.local_only = error.message
        return self._memory.writer.land(pending)

    def catch_up(self, ref: str) -> bool:
        """Bring what the hub has of a ref; whether anything came."""
        before = self._repository.refs.read(ref)
        try:
            self._sync(ref)
        except StorageFailed:
            raise
        except GitmemError as error:
            self.local_only = error.message
        return self._repository.refs.read(ref) != before

    def _land(self, pending: PendingCommit) -> str:
        ref = pending.ref
        for _ in range(ROUNDS):
            tip, there = (self._repository.refs.read(each) or "" for each in (ref, self._hub.tracking(ref)))
            if tip != there:
                self._sync(ref)
                continue
            self._check(pending, tip)
            made = self._made(pending, tip)
            if not made:
                return ""
            if self._publish(ref, tip, made):
                return made[-1].oid
            self._sync(ref)
        raise StillRacing(self._hub, [ref])

    def _sync(self, ref: str) -> None:
        report = Sync(self._memory, self._hub, self._remote, only=ref).run()
        if refused := [each for each in report.refused if each.ref == ref]:
            raise HubRefuses(self._hub, refused[0].why)

    def _check(self, pending: PendingCommit, tip: str) -> None:
        if tip == pending.base:
            return
        objects, tree = self._repository.objects, self._tree(tip)
        changed = [path for path, seen in pending.reads.items() if objects.entry(tree, path) != seen]
        changed += [path for path, seen in pending.listings.items() if names_at(objects, tree, path) != seen]
        if changed:
            raise Stale(tip, changed)

    def _tree(self, tip: str) -> str:
        return self._repository.objects.commit(tip).tree if tip else NO_TREE

    def _made(self, pending: PendingCommit, tip: str) -> list[NewObject]:
        """The objects of the commit on top of a tip, the commit last; none if it would change nothing."""
        tree, new = graft(self._repository.objects, self._tree(tip), pending.edits)
        if tree == self._tree(tip) and not pending.merges:
            return []
        parents = (*((tip,) if tip else ()), *pending.merges)
        commit = Commit(tree, parents, pending.author, GITMEM, pending.time, pending.message)
        made = new_object("commit", commit.encode())
        self._repository.objects.keep_commit(replace(commit, oid=made.oid))
        return [*new, made]

    def _publish(self, ref: str, tip: str, made: list[NewObject]) -> bool:
        """Move the hub's ref, then ours; False if somebody was faster there."""
        commit = made[-1].oid
        with self._repository.objects.written(made):
            (pushed,) = self._remote.push([Update(ref, tip, commit)])
            if pushed.outcome == "refused":
                raise HubRefuses(self._hub, pushed.said)
            if pushed.outcome == "lost":
                return False
            moved = self._move(ref, tip, commit)
        if not moved:  # somebody here wrote meanwhile, without asking the hub
            self._sync(ref)
        return True

    def _move(self, ref: str, tip: str, commit: str) -> bool:
        with self._memory.writer.alone():
            try:
                moved = self._repository.refs.swap(ref, tip or None, commit)
            except RefLocked:
                return False
        if moved:
            moves = (self._hub.tracking(ref), self._hub.agreed(ref))
            run_git(self._repository.path, "update-ref", "--stdin", stdin="".join(f"update {each} {commit}\n" for each in moves))
        return moved
