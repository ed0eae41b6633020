"""Agreeing with the hub: a commit that lands there first, so that of two clones that want the same one gets it.

Used in place of the writer by a transaction. Without an answer of the hub the commit lands here alone, and says so.
"""

from gitmem.errors import GitmemError
from gitmem.git.refs import RefLocked
from gitmem.git.remote import Update
from gitmem.git.repository import run_git
from gitmem.memory.chain import Chain
from gitmem.memory.hubs import Hub
from gitmem.memory.memory import Memory
from gitmem.memory.pending import PendingCommit, StorageFailed
from gitmem.memory.sync import ROUNDS, StillRacing, Sync


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
        self._remote = hub.remote(memory.repository, patience=hub.patience)
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
            chain = Chain(self._repository.objects, tip)
            if not (commit := chain.add(pending)) or self._publish(ref, tip, chain):
                return commit
            self._sync(ref)
        raise StillRacing(self._hub, [ref])

    def _sync(self, ref: str) -> None:
        report = Sync(self._memory, self._hub, self._remote, only=ref).run()
        if refused := [each for each in report.refused if each.ref == ref]:
            raise HubRefuses(self._hub, refused[0].why)

    def _publish(self, ref: str, tip: str, chain: Chain) -> bool:
        """Move the hub's ref, then ours; False if somebody was faster there."""
        with self._repository.objects.written(chain.new):
            (pushed,) = self._remote.push([Update(ref, tip, chain.head)])
            if pushed.outcome == "refused":
                raise HubRefuses(self._hub, pushed.said)
            if pushed.outcome == "lost":
                return False
            moved = self._move(ref, tip, chain.head)
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
