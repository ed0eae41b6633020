"""The hooks in a repository of code: commits heed the locks of others and are linked to the backlog."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from gitmem.facade.verdict import Verdict

if TYPE_CHECKING:
    from gitmem.domains.committing import InTheWay
    from gitmem.memory.memory import Memory

TRAILER = "Gitmem-Item"
NOTES = "gitmem"
_NOTE_TRIES = 5


class Where(Struct, frozen=True):
    """The memory, the project and the agent that a repository of code belongs to."""

    repo: str
    project: str
    agent: str
    session: str

    @classmethod
    def told(cls) -> "Where":
        """As the environment says, else as `gitmem hooks install` or `git config gitmem.*` has set it."""
        listed = _git("config", "--get-regexp", r"^gitmem\.", may_fail=True)
        known = dict(line.removeprefix("gitmem.").partition(" ")[::2] for line in listed.splitlines())
        names = ("repo", "project", "agent", "session")
        return cls(**{name: os.environ.get(f"GITMEM_{name.upper()}") or known.get(name, "") for name in names})

    @property
    def person(self) -> str:
        """The agent, or the user of this machine."""
        from gitmem.facade.given import user_name

        return self.agent or user_name()


def _git(*arguments: str, may_fail: bool = False, stdin: str | None = None) -> str:
    # With the environment as it is: git tells its hooks there which index is being committed.
    done = subprocess.run(["git", *arguments], capture_output=True, input=stdin, text=True, errors="surrogateescape", check=False)
    if done.returncode and not may_fail:
        raise RuntimeError(f"git {arguments[0]} failed: {done.stderr.strip()[:300]}")
    return done.stdout if done.returncode == 0 else ""


def _pre_commit(_: list[str]) -> Verdict:
    """Refuse files that another agent holds locked; tell of others who work on them."""
    files = _staged()
    if not files:
        return Verdict()
    where = Where.told()
    from gitmem.domains.committing import in_the_way
    from gitmem.memory.memory import Memory

    found = in_the_way(Memory(_path(where)), where.project, where.person, files)
    return Verdict(bool(found.held), "\n".join(_report(found)))


def _staged() -> list[str]:
    """The paths whose content is decided in this commit; what a merge takes over as it is was decided elsewhere."""
    changed = [_changed_from(tip) for tip in ("HEAD", "MERGE_HEAD") if _git("rev-parse", "-q", "--verify", tip, may_fail=True)]
    return sorted(set.intersection(*changed)) if changed else _split(_git("ls-files", "-z"))


def _changed_from(tip: str) -> set[str]:
    return set(_split(_git("diff", "--cached", "--name-only", "--no-renames", "--no-ext-diff", "-z", tip, "--")))


def _split(listing: str) -> list[str]:
    return [path for path in listing.split("\0") if path]


def _path(where: Where) -> Path:
    from gitmem.memory.memory import default_path

    return Path(where.repo).expanduser() if where.repo else default_path()


def _report(found: "InTheWay") -> Iterator[str]:
    from gitmem.domains.locks.standing import few
    from gitmem.names import age_in_words, format_time, shown

    if found.held:
        yield "gitmem: this commit changes files that others hold locked. Nothing was committed."
    for lock in found.held:
        since = f" for {age_in_words(lock.since)}" if lock.since else ""
        until = f", until {format_time(lock.until)}" if lock.until else ""
        files = few([_shown(each) for each in lock.wanted or ()])
        yield f"  {files}: {lock.held_by} holds {lock.file}{since}{until}: {shown(lock.reason, 300)}"
        if lock.stale:
            yield f"    nothing was heard of {lock.held_by} for {lock.idle_for}: break_lock may take it away"
    if found.held:
        holders = few(sorted({lock.held_by for lock in found.held}))
        yield f"fix: commit the rest without them, ask {holders} with send_message, or wait until they are free."
    for lock in found.relied_on:
        files = few([_shown(each) for each in lock.wanted or ()])
        why = f"{lock.file}: {shown(lock.reason, 300)}"
        yield f"gitmem: {lock.held_by} relies on {files} ({why}); tell them what you change."
    for work in found.work:
        files = few([_shown(each.removeprefix("./")) for each in work.yours])
        what = f"{shown(work.title, 200)}, {work.age} ago"
        yield f"gitmem: {work.agent} works on {files} as well ({what}); talk to them."


def _shown(path: str) -> str:
    return path if path.isprintable() else repr(path)


def _prepare_commit_msg(arguments: list[str]) -> Verdict:
    """Add the trailer that links the commit to the backlog item that its author has in progress."""
    file, source = arguments[0], arguments[1] if len(arguments) > 1 else ""
    # an amended commit, a merge and what is replayed say already what they belong to, or never did
    if source in ("merge", "commit") or _is_replayed() or _has_trailer(file):
        return Verdict()
    where = Where.told()
    from gitmem.domains.committing import link_of
    from gitmem.memory.memory import Memory

    link = link_of(Memory(_path(where)), where.project, where.person, where.session)
    if link.item:
        _git("interpret-trailers", "--in-place", "--if-exists", "doNothing", "--trailer", f"{TRAILER}: {link.item}", file)
    return Verdict()


def _has_trailer(file: str) -> bool:
    # anywhere, not only at the end: a squashed message has those of the commits that went into it
    with open(file, encoding="utf-8", errors="replace") as text:  # noqa: PTH123  pathlib is not loaded yet
        return any(line.lower().startswith(f"{TRAILER.lower()}:") for line in text)


def _is_replayed() -> bool:
    names = ("rebase-merge", "rebase-apply", "CHERRY_PICK_HEAD", "REVERT_HEAD", "sequencer")
    arguments = [part for name in names for part in ("--git-path", name)]
    return any(os.path.exists(path) for path in _git("rev-parse", *arguments).splitlines())  # noqa: PTH110


def _post_commit(_: list[str]) -> Verdict:
    """Note the link beside the commit, where it can be read without its message: a line of JSON in refs/notes/gitmem."""
    # a person's log.showSignature would add words of its own
    items = _git("log", "--no-show-signature", "-1", f"--format=%(trailers:key={TRAILER},valueonly)").split()
    if not items:
        return Verdict()
    where = Where.told()
    from gitmem.domains.committing import link_of
    from gitmem.memory.memory import Memory

    memory = Memory(_path(where))
    session = link_of(memory, where.project, where.person, where.session).session
    known = {"memory": _memory_name(memory), "project": where.project}
    who = {"session": session, "agent": where.person}
    lines = [json.dumps({name: value for name, value in (known | {"item": item} | who).items() if value}) for item in items]
    # an amended commit of the same second can be the very one that has been noted
    known_lines = _git("notes", f"--ref={NOTES}", "show", "HEAD", may_fail=True).splitlines()
    if new := [line for line in lines if line not in known_lines]:
        _append_note("\n".join(new))
    return Verdict()


def _memory_name(memory: "Memory") -> str:
    """What the memory is called for others: where it is shared, else its folder. Never a password, nor a path of this machine."""
    from gitmem.git.repository import ask_git

    url = ask_git(memory.path, "config", "--get", "remote.origin.url").strip()
    scheme, separator, rest = url.partition("://")
    if not separator:
        return memory.path.name
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}" if scheme != "file" else path.rpartition("/")[2]


def _append_note(text: str) -> None:
    for left in reversed(range(_NOTE_TRIES)):
        try:
            _git("notes", f"--ref={NOTES}", "append", "-F", "-", "HEAD", stdin=text)
        except RuntimeError:
            if not left:
                raise
            time.sleep(0.05)  # a commit in another worktree writes its own
        else:
            return


HOOKS: dict[str, Callable[[list[str]], Verdict]] = {
    "pre-commit": _pre_commit,
    "prepare-commit-msg": _prepare_commit_msg,
    "post-commit": _post_commit,
}
