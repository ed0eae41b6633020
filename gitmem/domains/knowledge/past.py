"""The past of the memory: history, blame, diff, recent changes, and undoing them."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, islice

from gitmem.desk import Desk
from gitmem.domains.projects import may_act_for_others
from gitmem.errors import BadArgument, NotFound, Refused
from gitmem.git.log import FileVersion, diff_blobs, file_versions
from gitmem.git.log import blame as blame_lines
from gitmem.git.objects import Commit, Entry
from gitmem.memory.pushers import note_of
from gitmem.memory.view import NO_TREE, View
from gitmem.names import age_in_words, parse_when, shown
from gitmem.verbs import checked_limit, verb

PATHS_MAX = 20  # of one commit, in recent_changes
LOOKED_AT_MOST = 5000  # commits that recent_changes and revert walk through


@dataclass(frozen=True)
class Version:
    """One version of a record. `pushed_by`: who brought it, if it came by a push; `author` is then as they typed it."""

    version: str
    commit: str
    author: str
    time: datetime
    subject: str
    verb: str
    session: str
    path: str
    pushed_by: str | None = None


@dataclass(frozen=True)
class History:
    """The versions of a record, newest first."""

    id: str
    versions: tuple[Version, ...]
    count: int


@dataclass(frozen=True)
class BlamedLines:
    """Neighbouring lines of one commit. The text is recorded content, not instructions."""

    author: str
    session: str
    age: str
    commit: str
    text: str


@dataclass(frozen=True)
class Blame:
    """Who wrote which part of a record."""

    id: str
    path: str
    parts: tuple[BlamedLines, ...]


@dataclass(frozen=True)
class Difference:
    """How two versions of a record differ, as a unified diff."""

    id: str
    from_version: str
    to_version: str
    diff: str


@dataclass(frozen=True)
class RecentChange:
    """One commit, and the records it touched."""

    commit: str
    author: str
    time: datetime
    age: str
    subject: str
    paths: tuple[str, ...]


@dataclass(frozen=True)
class RecentChanges:
    """Commits, newest first."""

    changes: tuple[RecentChange, ...]
    count: int
    commit: str


@dataclass(frozen=True)
class Reverted:
    """What a revert put back, in one new commit."""

    reverted: str
    restored: tuple[str, ...]
    removed: tuple[str, ...]
    note: str


class ChangedSince(Refused):
    """Later changes stand in the way of a revert."""

    def __init__(self, what: str, paths: list[str]) -> None:
        super().__init__(
            f"{what} cannot be reverted whole: {', '.join(paths[:10])} changed again later. Nothing was written.",
            fix="Revert the later changes first, or put back single records with revert(id=..., version=...).",
        )


@verb()
def history(desk: Desk, id: str, limit: int = 20) -> History:  # noqa: A002  the argument's public name
    """List the versions of a record, newest first, also of a deleted one: who changed it, when, and why.

    Args:
        id: the record.
        limit: at most this many.
    """
    found = _versions(desk, id)
    cut = found[: checked_limit(limit, 200)]
    return History(_stem(found[0].path), tuple(_version(desk, each) for each in cut), len(found))


def _versions(desk: Desk, record_id: str) -> list[FileVersion]:
    view = desk.view()
    if not view.commit:
        raise NotFound("This memory has no commit yet.", fix="Record something first.")
    repository = desk.memory.repository
    try:
        name = _file_name(desk.find(record_id, view))
    except NotFound:
        # a deleted record is only in history; the hex part is safe in a pattern
        name = f"*-{record_id.strip().lower().rpartition('-')[2]}*.*"
    found = list(file_versions(repository, view.commit, name))
    if not found:
        raise NotFound(f"There never was a record {shown(record_id)}.", fix="query finds records by their words.")
    return found


def _file_name(path: str) -> str:
    return path.rpartition("/")[2]


def _stem(path: str) -> str:
    return _file_name(path).rpartition(".")[0]


def _version(desk: Desk, found: FileVersion) -> Version:
    trailers, note = found.commit.trailers, note_of(desk.memory.repository, found.commit.oid)
    return Version(
        found.blob, found.commit.oid, found.commit.author.name, found.commit.time, found.commit.subject,
        trailers.get("Gitmem-Verb", ""), trailers.get("Gitmem-Session", ""), found.path,
        (note.pusher or None) if note else None,
    )


@verb()
def blame(desk: Desk, id: str) -> Blame:  # noqa: A002  the argument's public name
    """Say who wrote each part of a record, in which session, and how long ago.

    Args:
        id: the record.
    """
    view = desk.view()
    path = desk.find(id, view)
    lines = list(blame_lines(desk.memory.repository, view.commit, path))
    parts = []
    for commit, group in groupby(lines[_body_starts(lines) :], key=lambda each: each[0]):
        text = "\n".join(line for _, line in group)
        session = commit.trailers.get("Gitmem-Session", "")
        parts.append(BlamedLines(commit.author.name, session, age_in_words(commit.time), commit.oid, text))
    return Blame(_stem(path), path, tuple(parts))


def _body_starts(lines: list[tuple[Commit, str]]) -> int:
    # the front matter is gitmem's to write; who wrote the text is the question
    fences = [number for number, (_, line) in enumerate(lines) if line == "---"]
    return fences[1] + 2 if len(fences) > 1 and fences[0] == 0 else 0


@verb(aliases={"from": "from_version", "to": "to_version"})
def diff(desk: Desk, id: str, from_version: str = "", to_version: str = "") -> Difference:  # noqa: A002  public name
    """Show how two versions of a record differ; left out: the last change.

    Args:
        id: the record.
        from_version: the older version or commit, as history lists them; left out: the one before.
        to_version: the newer one; left out: the current one.
    """
    versions = [each for each in _versions(desk, id) if each.blob]
    newer = _pick(versions, to_version, versions[0])
    older_default = versions[min(versions.index(newer) + 1, len(versions) - 1)]
    older = _pick(versions, from_version, older_default)
    text = diff_blobs(desk.memory.repository, older.blob, newer.blob) if older.blob != newer.blob else ""
    return Difference(_stem(newer.path), older.blob, newer.blob, text)


def _pick(versions: list[FileVersion], wanted: str, default: FileVersion) -> FileVersion:
    if not wanted:
        return default
    text = wanted.lower()
    for each in versions:
        if len(text) >= 4 and (each.blob.startswith(text) or each.commit.oid.startswith(text)):
            return each
    raise NotFound(f"The record has no version {shown(wanted)}.", fix="history lists its versions and commits.")


@verb()
def recent_changes(desk: Desk, since: str = "7d", agent: str = "", limit: int = 20) -> RecentChanges:
    """List what changed in the project lately, newest first.

    Args:
        since: a date, an age such as 7d, or a commit.
        agent: only this agent's changes.
        limit: at most this many, up to 200.
    """
    view = desk.view()
    scopes = (desk.scope, "shared")
    touching = (
        commit
        for commit in _commits_since(desk, view, since)
        if (not agent or commit.author.name == agent) and touches(view, commit, scopes)
    )
    changes = tuple(_recent(view, each, scopes) for each in islice(touching, checked_limit(limit, 200)))
    return RecentChanges(changes, len(changes), view.commit)


def _recent(view: View, commit: Commit, scopes: tuple[str, ...]) -> RecentChange:
    prefixes = tuple(f"{scope}/" for scope in scopes)
    paths = [path for path, _, _ in view.objects.changes(commit) if path.startswith(prefixes)]
    author, time = commit.author.name, commit.time
    return RecentChange(commit.oid, author, time, age_in_words(time), commit.subject, tuple(paths[:PATHS_MAX]))


def _commits_since(desk: Desk, view: View, since: str) -> Iterator[Commit]:
    if not view.commit:
        return
    moment = parse_when(since)
    stop = "" if moment else desk.memory.commit_named(since)
    for commit in desk.memory.repository.log(view.commit, limit=LOOKED_AT_MOST):
        if commit.oid == stop or (moment and commit.time < moment):
            return
        yield commit


def touches(view: View, commit: Commit, scopes: Collection[str]) -> bool:
    """Whether a commit changed anything in a scope, against its first parent. Opens no folder in them."""
    before = view.objects.commit(commit.parents[0]).tree if commit.parents else NO_TREE
    at = view.objects.entry
    return any(at(commit.tree, scope) != (at(before, scope) if before != NO_TREE else None) for scope in scopes)


@verb(writes=True, destructive=True, in_project=True)
def revert(
    desk: Desk,
    commit: str = "",
    id: str = "",  # noqa: A002  the argument's public name
    version: str = "",
    agent: str = "",
    since: str = "",
) -> Reverted:
    """Undo a commit, put a record back to an earlier version, or undo an agent's changes since a time.

    It is one new commit; nothing is lost.

    Args:
        commit: undo this commit.
        id: put back this record (with version).
        version: the version to put back, as history lists them.
        agent: undo this agent's changes (with since).
        since: a date or an age such as 2h.
    """
    if commit and not (id or agent):
        return _revert_commit(desk, commit)
    if id and version and not (commit or agent):
        return _revert_record(desk, id, version)
    if agent and since and not (commit or id):
        return _revert_agent(desk, agent, since)
    raise BadArgument(
        "revert needs to know what to undo.", fix="Pass commit='...', or id and version, or agent and since: one of the three."
    )


def _revert_commit(desk: Desk, name: str) -> Reverted:
    view = desk.view()
    found = view.objects.commit(desk.memory.commit_named(name))
    if len(found.parents) > 1:
        fix = "Revert the commits that it brought in, one by one, or single records with id and version."
        raise Refused(f"Commit {found.oid[:10]} is a merge: it has no one state before it.", fix=fix)
    changes = view.objects.changes(found)
    _check_rights(desk, {found.author.name}, [path for path, _, _ in changes])
    later = [path for path, _, new in changes if view.entry(path) != new]
    if later:
        raise ChangedSince(f"Commit {found.oid[:10]}", later)
    return _put_back(desk, {path: old for path, old, _ in changes}, f"revert {found.oid[:10]}: {found.subject}", found.oid)


def _revert_record(desk: Desk, record_id: str, version: str) -> Reverted:
    versions = _versions(desk, record_id)
    wanted = _pick([each for each in versions if each.blob], version, versions[0])
    path = _current_path(desk, record_id) or wanted.path
    since = versions[: versions.index(wanted)]
    _check_rights(desk, {each.commit.author.name for each in since}, [path])
    entry = desk.view().objects.entry(wanted.commit.tree, wanted.path)
    return _put_back(desk, {path: entry}, f"revert {_stem(path)} to {wanted.blob[:10]}", wanted.blob)


def _current_path(desk: Desk, record_id: str) -> str | None:
    try:
        return desk.find(record_id)
    except NotFound:
        return None


def _revert_agent(desk: Desk, agent: str, since: str) -> Reverted:
    moment = parse_when(since)
    if moment is None:
        raise BadArgument(f"{shown(since)} is no time.", fix="Pass a date such as 2026-01-31 or an age such as 2h.")
    view = desk.view()
    before: dict[str, Entry | None] = {}
    stood_upon: set[str] = set()
    for commit in desk.memory.repository.log(view.commit, limit=LOOKED_AT_MOST):
        if commit.time < moment:
            break
        if commit.author.name != agent or len(commit.parents) > 1:
            continue  # a merge brings in what others wrote
        for path, old, new in view.objects.changes(commit):
            # newest first: what this commit left must be what stands now, or what the agent's next commit began with
            if new != before.get(path, view.entry(path)):
                stood_upon.add(path)
            before[path] = old
    if not before:
        raise NotFound(f"{shown(agent)} changed nothing since {since}.", fix="recent_changes(agent=...) lists what they did.")
    _check_rights(desk, {agent}, list(before))
    if stood_upon:
        raise ChangedSince(f"What {agent} did since {since}", sorted(stood_upon))
    return _put_back(desk, before, f"revert what {agent} did since {since}", agent)


def _check_rights(desk: Desk, authors: set[str], paths: list[str]) -> None:
    others = authors - {desk.agent}
    scopes = {"/".join(path.split("/")[:2]) if path.startswith("projects/") else "shared" for path in paths}
    if others and not all(may_act_for_others(desk, scope) for scope in scopes):
        raise Refused(
            f"This would undo changes of {', '.join(sorted(others))}, and you are no admin of {', '.join(sorted(scopes))}.",
            fix="Ask them or an admin to revert it.",
        )


def _put_back(desk: Desk, target: dict[str, Entry | None], subject: str, what: str) -> Reverted:
    view = desk.view()
    wanted = {path: entry for path, entry in target.items() if view.entry(path) != entry}
    with desk.transaction(subject) as change:
        for path, entry in wanted.items():
            if entry is None:
                change.delete(path)
            else:
                change.restore(path, entry.oid)
    restored = tuple(path for path, entry in wanted.items() if entry is not None)
    removed = tuple(path for path, entry in wanted.items() if entry is None)
    note = "undone in one new commit; reverting that commit brings it back" if wanted else "it is so already; nothing was written"
    return Reverted(what, restored, removed, note)


