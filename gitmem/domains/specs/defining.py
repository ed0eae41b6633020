"""Defining specs: new versions by their owner, and handing a spec over."""

from msgspec import Struct
from msgspec.structs import replace

from gitmem.answers import NOTHING_NEW
from gitmem.desk import Conflict, Desk, Scope
from gitmem.domains.people import NotAtWork, at_work_in
from gitmem.domains.projects import may_act_for_others
from gitmem.domains.specs.json_schema import schema_problem
from gitmem.domains.specs.naming import Called, find_spec, read_spec
from gitmem.domains.specs.record import SPEC_TYPES, STATE, AnyType, Spec, SpecType, State, Versioned, loses_too_much
from gitmem.domains.specs.release import FIRST, Bump, a_release, acceptable_after, order, raised
from gitmem.domains.specs.versions import highest_tagged, keep_tag
from gitmem.errors import BadArgument, Refused
from gitmem.names import now, shown
from gitmem.records.shape import Json
from gitmem.verbs import verb


class Defined(Struct, frozen=True):
    """A spec as it stands after a call. `version` or `blob` may be given as if_version; `tag` is its git tag."""

    name: str
    spec_type: str
    version: str
    owner: str
    project: str
    path: str
    tag: str
    blob: str
    note: str | None = None


class NotOwner(Refused):
    """The spec belongs to somebody else."""

    def __init__(self, record: Versioned, agent: str, what: str, *, is_admin: bool = False) -> None:
        propose = "Propose your change: the same call with as_proposal=True"
        take_over = f"You are an admin: transfer_spec(name='{record.known_as}', to='{agent}') makes it yours."
        super().__init__(
            f"{record.known_as} ({record.release}, {record.project}) belongs to {record.owner}, and {agent} may not {what}.",
            fix=take_over if is_admin else f"{propose}, or ask for it to be handed over with transfer_spec.",
        )


class NotHigher(Refused):
    """The version is out already, or a higher one is."""

    def __init__(self, known_as: str, wanted: str, latest: str) -> None:
        same = f"{latest} is out already with another text or schema" if wanted == latest else f"{latest} is out already"
        super().__init__(
            f"{known_as} cannot become version {wanted}: {same}, and versions only rise. Nothing was written.",
            fix=f"Pass version {acceptable_after(latest)}, or leave version out and say with bump which part rises.",
        )


class BadSchema(BadArgument):
    """A JSON Schema that is none."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"json_schema is no JSON Schema: {problem}.", fix="Mend it there; nothing was written.")


class StateWouldShrink(Refused):
    """A state document would lose most of its text."""

    def __init__(self, record: Versioned, length: int) -> None:
        super().__init__(
            f"{record.known_as} would shrink from {len(record.content):,} to {length:,} characters. Nothing was written.",
            fix=f"Read it with get_spec(name='{record.known_as}') and keep what still holds; "
            "pass force=true if it is really to be replaced.",
        )


@verb(writes=True, idempotent=True, aliases={"type": "spec_type"})
def define_spec(
    desk: Desk,
    name: str,
    content: str,
    version: str = "",
    spec_type: AnyType | None = None,
    json_schema: dict[str, Json] | None = None,
    tags: tuple[str, ...] | None = None,
    bump: Bump = "patch",
    force: bool = False,
    scope: Scope = "project",
    if_version: str = "",
) -> Defined:
    """Define a spec that others can rely on, or a new version of one that you own. The first to define a name owns it.

    Args:
        name: what it is called, such as orders-api; state:NAME is a document of where the work stands.
        content: the whole text, in Markdown.
        version: the semantic version, higher than the last; left out, the last one rises (or 1.0.0).
        spec_type: interface, api, schema, requirement, state or architecture; left out: as it is, or interface.
        json_schema: a JSON Schema for validate_against_spec; left out: as it is.
        tags: words to find it by; left out: as they are.
        bump: which part rises if version is left out.
        force: replace a state document though it gets much shorter.
        scope: project, or shared for every project of the team.
        if_version: the version that your change is based on, to be refused if there is another now.
    """
    blank = _blank(desk, Called.parse(name), spec_type, desk.scoped(scope))
    current = read_spec(desk.view(), blank.path)
    _check_turn(desk, current, blank, if_version)
    asked = _with(current or blank, content, spec_type, json_schema, tags)
    record = replace(asked, release=_release(desk, current, asked, version.strip().removeprefix("v"), bump))
    if isinstance(current, State) and loses_too_much(current.content, record.content) and not force:
        raise StateWouldShrink(current, len(record.content))
    return _put(desk, f"spec: {record.known_as} {record.release}", record, current, forced=force)


def _blank(desk: Desk, called: Called, spec_type: AnyType | None, scope: str) -> Versioned:
    """The spec that a call means, as if it were not there yet."""
    if called.is_state and spec_type not in (None, STATE):
        fix = "Leave spec_type out, or choose a name without state: in front."
        raise BadArgument(f"state:{called.name} is a state document, and no {spec_type}.", fix=fix)
    state = State(scope=scope, name=called.name, release="", owner=desk.agent, created=now(), content="")
    spec = Spec(
        scope=scope, name=called.name, release="", owner=desk.agent, created=state.created, content="",
        spec_type=_type_in(called.name),
    )
    if called.is_state or spec_type == STATE:
        return state
    is_known_state = spec_type is None and not desk.view().entry(spec.path) and desk.view().entry(state.path)
    return state if is_known_state else spec


def _type_in(name: str) -> SpecType:
    # a name such as api:orders says what it is
    return next((each for each in SPEC_TYPES if name.startswith(f"{each}.")), "interface")


def _check_turn(desk: Desk, current: Versioned | None, blank: Versioned, if_version: str) -> None:
    if current is None:
        if if_version:
            raise Conflict(f"There is no spec {blank.known_as} here yet.", fix="Leave if_version out to define it.")
        return
    if current.owner and current.owner != desk.agent and not desk.proposes:
        is_admin = may_act_for_others(desk, current.scope)
        raise NotOwner(current, desk.agent, "define a version of it", is_admin=is_admin)
    _check_version(current, if_version)


def _check_version(current: Versioned, if_version: str) -> None:
    given = if_version.strip().lower()
    if given and given.removeprefix("v") != current.release and not current.version.startswith(given):
        raise Conflict(
            f"{current.known_as} is at version {current.release} ({current.version[:12]}), not {shown(if_version, 40)}.",
            fix="Read it again with get_spec, apply your change to what it says now, and send the new version.",
        )


def _with(
    base: Versioned, content: str, spec_type: AnyType | None, json_schema: dict[str, Json] | None, tags: tuple[str, ...] | None
) -> Versioned:
    """The spec with what a call says of it; what it does not say stays."""
    text = content.replace("\r\n", "\n").strip("\n")
    words = base.tags if tags is None else tuple(dict.fromkeys(tag.strip() for tag in tags if tag.strip()))
    changed = replace(base, content=text, tags=words)
    if isinstance(changed, Spec):
        return replace(
            changed,
            spec_type=changed.spec_type if spec_type is None or spec_type == "state" else spec_type,
            json_schema=changed.json_schema if json_schema is None else _checked(json_schema),
        )
    if json_schema is not None:
        raise BadArgument(f"{base.known_as} is a state document, which has no JSON Schema.", fix="Leave json_schema out.")
    return changed


def _checked(json_schema: dict[str, Json]) -> dict[str, Json]:
    if problem := schema_problem(json_schema):
        raise BadSchema(problem)
    return json_schema


def _release(desk: Desk, current: Versioned | None, asked: Versioned, version: str, bump: Bump) -> str:
    """The version that a definition makes. Raises NotHigher."""
    if version and (problem := a_release(version)):
        raise BadArgument(f"version {problem}.", fix="Leave version out, and say with bump which part rises.")
    if current and version in ("", current.release) and asked.substance == current.substance:
        return current.release
    known = [each for each in (current.release if current else "", highest_tagged(desk, asked)) if each and not a_release(each)]
    latest = max(known, key=order, default="")
    if not version:
        return raised(latest, bump) if latest else FIRST
    if latest and order(version) <= order(latest):
        raise NotHigher(asked.known_as, version, latest)
    return version


def _put(desk: Desk, subject: str, record: Versioned, before: Versioned | None, *, forced: bool = False) -> Defined:
    if record == before:
        keep_tag(desk, before)
        return _defined(before, note=NOTHING_NEW)
    with desk.transaction(subject) as change:
        change.forced = forced
        made = change.put(record)
    # A crash here leaves a version on main without its tag; the next definition, or whoever asks for that version, sets it.
    if before is not None:
        keep_tag(desk, before)
    keep_tag(desk, made, desk.commit if before is None or made.release != before.release else "")
    return _defined(made)


def _defined(record: Versioned, note: str | None = None) -> Defined:
    tag = record.tag.removeprefix("refs/tags/")
    return Defined(
        record.known_as, record.type, record.release, record.owner, record.project, record.path, tag, record.version, note
    )


@verb(writes=True, idempotent=True)
def transfer_spec(desk: Desk, name: str, to: str, if_version: str = "") -> Defined:
    """Hand a spec over: from then on `to` owns it. For its owner, and for admins of the project.

    Args:
        name: the spec; state:NAME for a state document.
        to: the member of the project, or the agent at work in it, who gets it.
        if_version: the version that you looked at; if it is no longer current, nothing is written.
    """
    record = find_spec(desk, name)
    _check_version(record, if_version)
    if desk.agent != record.owner and not may_act_for_others(desk, record.scope):
        raise NotOwner(record, desk.agent, "hand it over")
    known = at_work_in(desk, record.scope)
    if to not in known:
        raise NotAtWork(to, record.scope, known)
    return _put(desk, f"spec: {record.known_as} goes to {to}", replace(record, owner=to), record)
