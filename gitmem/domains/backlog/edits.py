"""The past of an item, from git: who changed which fields, through all its moves."""

from datetime import UTC, datetime, timedelta

from msgspec import Struct

from gitmem.desk import BODY_MAX, Desk
from gitmem.domains.backlog.drafting import changes
from gitmem.domains.backlog.finding import scopes_of
from gitmem.domains.backlog.record import BacklogItem
from gitmem.git.log import FileVersion, file_versions, path_versions
from gitmem.git.objects import Commit
from gitmem.memory.view import View

# By so much the clocks of those who write may differ.
_CLOCKS_APART = timedelta(days=1)
_GIT_BEGINS = datetime(2005, 4, 7, tzinfo=UTC)


class ItemEdit(Struct, frozen=True):
    """One change of an item: who made it, when, and what fields it changed."""

    version: str
    commit: str
    by: str
    time: datetime
    verb: str
    changed: tuple[str, ...]
    reason: str | None = None
    session: str | None = None


def versions_of(desk: Desk, view: View, item: BacklogItem) -> list[FileVersion]:
    """The versions of an item, newest first."""
    repository = desk.memory.repository
    paths = [f"{scope}/backlog/{item.shard}/{item.id}.md" for scope in scopes_of(view)]
    # git walks through all of history to find the few commits, so it is told when and where to look, as far as that is known
    for since in [item.created - _CLOCKS_APART, None] if item.created and item.created > _GIT_BEGINS else [None]:
        found = list(path_versions(repository, view.commit, *paths, since=since))
        if found and not found[-1].old_blob and not _came_from_elsewhere(view, found[-1]):
            return found
    return list(file_versions(repository, view.commit, f"{item.id}.md"))


def _came_from_elsewhere(view: View, first: FileVersion) -> bool:
    """Whether it was moved from a project that is gone."""
    name = first.path[first.path.rindex("/") :]
    parents = first.commit.parents
    before = view.objects.commit(parents[0]).tree if parents else None
    return any(new is None and path.endswith(name) for path, _, new in view.objects.differences(before, first.commit.tree))


def edit_of(view: View, found: FileVersion) -> ItemEdit:
    """What a version of an item changed."""
    commit, trailers = found.commit, found.commit.trailers
    return ItemEdit(
        found.blob, commit.oid, commit.author.name, commit.time, trailers.get("Gitmem-Verb", ""),
        _changed(view, found), _reason(commit) or None, trailers.get("Gitmem-Session") or None,
    )  # fmt: skip


def _reason(commit: Commit) -> str:
    paragraphs = commit.message.strip("\n").split("\n\n")[1:]
    return "\n\n".join(paragraphs[:-1] if "Gitmem-Verb" in commit.trailers else paragraphs)[:BODY_MAX]


def _changed(view: View, found: FileVersion) -> tuple[str, ...]:
    old = _version(view, found.old_path, found.old_blob)
    new = _version(view, found.path, found.blob)
    if new is None:
        return ("deleted",) if not found.blob else ("what cannot be read",)
    return changes(old, new) if old else ("added",)


def _version(view: View, path: str, blob: str) -> BacklogItem | None:
    decoded = view.parsed.get(view.objects.blob, view.place, path, blob) if blob else None
    return decoded.record if decoded and isinstance(decoded.record, BacklogItem) else None
