"""Keeping memories: remember, set_tier, forget."""

from msgspec import Struct
from msgspec.structs import replace

from gitmem.desk import Desk, Scope
from gitmem.domains.memories.record import Category, Remembered, Tier, keys_in, paths_of, standing
from gitmem.domains.projects import may_act_for_others
from gitmem.errors import NotFound, Refused, closest
from gitmem.names import check_name, now, shown
from gitmem.verbs import check_version, verb


class Kept(Struct, frozen=True):
    """A memory as it was just written, without its value. `new`: nothing stood under the key before."""

    key: str
    category: Category
    project: str
    tier: Tier
    version: str
    new: bool = False
    previous_version: str | None = None
    moved_from: Category | None = None


class Forgotten(Struct, frozen=True):
    """A memory that is no longer there; its history stays."""

    key: str
    category: Category
    project: str
    version: str
    note: str


class UnknownMemory(NotFound):
    """Nothing is remembered under this key."""

    def __init__(self, key: str, where: str, hints: list[str]) -> None:
        super().__init__(
            f"Nothing is remembered under {shown(key)} in {where}.",
            fix=" ".join([*hints, "list_memories shows all keys; remember(key=..., value=...) keeps a new one."]),
        )


class NotYourMemory(Refused):
    """Only its author or an admin may make the team forget something."""

    def __init__(self, record: Remembered) -> None:
        owner = record.author or "somebody unknown"
        super().__init__(
            f"{record.key} was remembered by {owner}; only they or an admin may make the team forget it.",
            fix=f"Ask {owner} or an admin, correct it with remember, or take it out of the briefings with set_tier(tier='deep').",
        )


@verb(writes=True, idempotent=True)
def remember(
    desk: Desk,
    key: str,
    value: str,
    category: Category | None = None,
    scope: Scope = "project",
    tier: Tier | None = None,
    if_version: str = "",
) -> Kept:
    """Keep what a name stands for: a person, a term, a client, a preference. A key that is there already gets the new value.

    Args:
        key: the name to recall it by: lower case, a-z 0-9 . _ -.
        value: what to remember, in Markdown.
        category: what sort of thing it is; left out: as it was, and other for a new key.
        scope: project, or shared for every project of the team.
        tier: hot is told in briefings, deep only when recalled; left out: as it was, and hot for a new key.
        if_version: the version that you replace; refused if somebody changed it since.
    """
    check_name(key, "memory")
    old = standing(desk.view(), desk.scoped(scope), key)
    check_version(old, if_version)
    before = old or Remembered(scope=desk.scoped(scope), key=key, value="", author=desk.agent, created=now())
    text = value.replace("\r\n", "\n").strip("\n")
    author = before.author if text == before.value else desk.agent
    made = replace(before, category=category or before.category, tier=tier or before.tier, value=text, author=author)
    return _keep(desk, old, made, f"remember {key}")


def _keep(desk: Desk, old: Remembered | None, made: Remembered, subject: str) -> Kept:
    with desk.transaction(subject) as change:
        for path in paths_of(made.scope, made.key):
            # also what cannot be read any more: a key stands in one place
            if path != made.path and desk.view().entry(path):
                change.delete(path)
        kept = change.put(made)
    return Kept(
        key=kept.key, category=kept.category, project=kept.project, tier=kept.tier, version=kept.version, new=old is None,
        previous_version=old.version if old and old.version != kept.version else None,
        moved_from=old.category if old and old.category != kept.category else None,
    )


@verb(writes=True, idempotent=True)
def set_tier(desk: Desk, key: str, tier: Tier, scope: Scope = "project", if_version: str = "") -> Kept:
    """Say whether a memory is told in briefings (hot) or only when somebody recalls it (deep).

    Args:
        key: the memory.
        tier: hot or deep.
        scope: project, or shared.
        if_version: the version that you looked at; if it is no longer current, nothing is written.
    """
    old = _existing(desk, key, scope)
    check_version(old, if_version)
    return _keep(desk, old, replace(old, tier=tier), f"{key} becomes {tier}")


@verb(writes=True, destructive=True)
def forget(desk: Desk, key: str, scope: Scope = "project", reason: str = "", if_version: str = "") -> Forgotten:
    """Take a memory of yours away. It stays in history, and revert brings it back.

    Args:
        key: the memory.
        scope: project, or shared.
        reason: why, for those who read the history.
        if_version: the version that you looked at; if it is no longer current, nothing is taken away.
    """
    old = _existing(desk, key, scope)
    check_version(old, if_version)
    if old.author != desk.agent and not may_act_for_others(desk, old.scope):
        raise NotYourMemory(old)
    with desk.transaction(f"forget {key}", body=reason) as change:
        change.delete(old.path)
    return Forgotten(old.key, old.category, old.project, old.version, f"revert(commit='{desk.commit[:12]}') brings it back")


def _existing(desk: Desk, key: str, scope: Scope) -> Remembered:
    found = standing(desk.view(), desk.scoped(scope), check_name(key, "memory"))
    if found is not None:
        return found
    where = desk.scoped(scope)
    other: Scope = "shared" if scope == "project" else "project"
    is_elsewhere = standing(desk.view(), desk.scoped(other), key) is not None
    hints = [f"There is one with scope='{other}'."] if is_elsewhere else near_keys(desk, key, where)
    raise UnknownMemory(key, where.removeprefix("projects/"), hints)


def near_keys(desk: Desk, key: str, *scopes: str) -> list[str]:
    """A hint at keys that are spelled alike, in whatever category."""
    # a view of its own: what is looked at for a hint must not count as read
    view = desk.view().apart()
    near = closest(key, sorted({each for scope in scopes for each in keys_in(view, scope)}))
    return [f"Did you mean {' or '.join(near)}?"] if near else []
