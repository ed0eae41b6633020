"""What is proposed, as a push finds it: who has proposed it, and what of it the push lets in."""

from collections.abc import Iterable

from gitmem.facade.pushing import Push, merge_base
from gitmem.git.repository import PROPOSALS, written_in
from gitmem.memory import gate
from gitmem.memory.pushers import UNKNOWN, note_of


def reviewed_in(push: Push, change: gate.Change) -> frozenset[str]:
    """The paths of a change that somebody else has proposed just so, and that whoever pushes lets in with it.

    What nobody known has proposed does not count: it could be anybody's, also that of whoever pushes.
    """
    objects, found = push.repository.objects, set()
    for tip in push.repository.refs.list(PROPOSALS).values():
        base = merge_base(push.main.commit, tip)
        if not base or not proposers_of(push, tip).isdisjoint((push.pusher.name, UNKNOWN)):
            continue
        for path, _, proposed in objects.differences(objects.commit(base).tree, objects.commit(tip).tree):
            edit = change.edits.get(path)
            if edit is not None and edit.new == proposed:
                found.add(path)
    return frozenset(found)


def proposers_of(push: Push, tip: str) -> set[str]:
    """Who has proposed what a branch holds: members whose commits it has, and who pushed the commits of others."""
    found: set[str] = set()
    for oid in written_in(push.repository.path, tip, f"^{push.main.commit}") or [tip]:
        commit = push.repository.objects.commit(oid)
        members = push.names_of(commit) & push.registered
        note = note_of(push.repository, oid)
        found |= members or {note.pusher if note and note.pusher else commit.author.name}
    return found


def speaks_for_any(push: Push, names: Iterable[str]) -> bool:
    """Whether whoever pushes may speak for one of these."""
    return push.pusher.is_known and any(map(push.pusher.caller().may_speak_for, names))
