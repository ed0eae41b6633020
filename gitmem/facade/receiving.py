"""Receiving a push: who brings it, whose work it is, and whether it may come in."""

from collections.abc import Iterator

from msgspec.structs import replace

from gitmem.facade.pushing import Push, Update
from gitmem.facade.ref_rules import SPEAKING, TO_PROPOSE, reasons_of
from gitmem.git.repository import MAIN, PROPOSALS
from gitmem.memory.pushers import UNKNOWN, UNPROVEN, Note, note_of, note_push
from gitmem.names import shown

_TOLD_MOST = 5
_SIGNED_ONLY = "a signature proves only what brings signed commits, and not who moves {}"


def receive(push: Push) -> list[str]:
    """The reasons to refuse a push, in lines for whoever pushes. If there are none, it is noted who brings it."""
    reasons = [reason for update in push.updates for reason in reasons_of(push, update)]
    unproven = [update for update in push.updates if _asks_who(update) and not push.is_proven(update)]
    if unproven:
        reasons = [_not_known(push.pusher.why or _SIGNED_ONLY.format(shown(unproven[0].ref, 100))), *reasons]
    reasons += [*_forged(push), *_reads_otherwise(push)]
    if not reasons:
        _note(push)
    return reasons


def _asks_who(update: Update) -> bool:
    """Whether only somebody known may do it: all may propose something new."""
    return not (update.is_new and update.ref.startswith(PROPOSALS))


def _not_known(why: str) -> str:
    return (
        f"gitmem: it is not known who pushes this: {why}. It can only be proposed. Nothing was changed.\n"
        f"fix: propose it with '{TO_PROPOSE}', or push in a way that proves who you are: with an ssh key that\n"
        "'gitmem ssh-serve' knows, with commits that are signed with a key of allowed_signers, or by path on the same machine."
    )


def _forged(push: Push) -> Iterator[str]:
    """Nobody brings what a member is said to have done, unless they may speak for them."""
    caller = push.pusher.caller()
    forged = [name for name in sorted(push.authors) if name in push.registered and not caller.may_speak_for(name)]
    for name in forged[:_TOLD_MOST]:
        commits = push.authors[name]
        single = f"commit {commits[0].oid[:8]} says that it is"
        count = single if len(commits) == 1 else f"{len(commits)} commits say that they are"
        who = f"{caller.name}, who pushes," if push.pusher.is_known else "it is not known who pushes, and whoever it is"
        yield (
            f"gitmem: {count} by {name}, and {who} may not speak for {name}. Nothing was changed.\n"
            f"fix: commit under your own name and push again; {SPEAKING}."
        )


def _reads_otherwise(push: Push) -> Iterator[str]:
    """What git converts before it shows it says something else there than the gate has read."""
    for commit in push.commits:
        _, found, rest = push.repository.objects.read(commit.oid)[1].partition(b"\n\n")[0].partition(b"\nencoding ")
        if found and rest.split(b"\n")[0].upper() not in (b"UTF-8", b"UTF8"):
            yield (
                f"gitmem: commit {commit.oid[:8]} is in another encoding than UTF-8, in which its author would read otherwise. "
                "Nothing was changed.\n"
                "fix: commit it again with 'git -c i18n.commitEncoding=UTF-8 commit --amend'."
            )
            return


def _note(push: Push) -> None:
    who, how = push.pusher.name or UNKNOWN, push.pusher.proof or UNPROVEN
    note_push(push.repository, {commit.oid: Note(who, how) for commit in push.commits})
    new = {commit.oid for commit in push.commits}
    as_proposed = [each for each in push.updates if each.ref == MAIN and each.new not in new]
    merged = [commit.oid for each in as_proposed for commit in push.commits_onto(each.old, each.new)]
    note_push(push.repository, {oid: replace(note_of(push.repository, oid) or Note(), let_in_by=who) for oid in merged})
