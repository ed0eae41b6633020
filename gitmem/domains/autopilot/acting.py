"""Autopilot: which agents may act on messages without a person, how far, and what they did."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from gitmem.desk import Desk
from gitmem.domains.autopilot.record import BUDGET_MAX, REASON_MAX, Autopilot
from gitmem.domains.messages import DEPTH_MAX
from gitmem.domains.messages.listing import receipt_of
from gitmem.domains.messages.mailbox import find_message
from gitmem.domains.messages.record import EVERYBODY, FINISHED, Message, place_of
from gitmem.domains.messages.shown import ACTED_MAX, Shown
from gitmem.domains.people import check_known
from gitmem.domains.projects import admins_of, may_act_for_others
from gitmem.errors import BadArgument, NotFound, Refused
from gitmem.names import age_in_words, format_time, now, parse_time
from gitmem.records.check import at_most, between, plain_text
from gitmem.verbs import verb

HOUR = timedelta(hours=1)
KEPT = timedelta(days=7)
DIGEST_MAX_HOURS = 168


class Policy(Struct, frozen=True):
    """What an agent may do without a person, and how much of it is left this hour."""

    agent: str
    enabled: bool
    paused: bool
    depth_cap: int
    hourly_budget: int
    destructive_gate: bool
    used_this_hour: int
    reason: str | None = None
    set_by: str | None = None


class PolicyList(Struct, frozen=True):
    """The policies of a project. Who is not listed may not act without a person."""

    policies: tuple[Policy, ...]
    count: int


class Paused(Struct, frozen=True):
    """Whose autopilot was stopped."""

    paused: tuple[str, ...]
    count: int


class BudgetCheck(Struct, frozen=True):
    """Whether the caller may act on a message without a person, and why not."""

    allowed: bool
    id: str
    depth: int
    used_this_hour: int
    hourly_budget: int
    reasons: tuple[str, ...]


class Action(Struct, frozen=True):
    """A message that an agent acted on without a person."""

    agent: str
    id: str
    at: datetime
    age: str
    subject: str
    from_agent: str
    status: str


class AutopilotDigest(Struct, frozen=True):
    """What was done on autopilot, the newest first."""

    actions: tuple[Action, ...]
    count: int
    hours: int


class NotAnAdmin(Refused):
    """Only an admin decides who may act without a person."""

    def __init__(self, agent: str, what: str, admins: list[str]) -> None:
        whom = ", ".join(admins) or "for an admin to be named"
        super().__init__(f"{agent} is no admin and may not {what}.", fix=f"Ask {whom}.")


@verb(writes=True, idempotent=True)
def set_autopilot(
    desk: Desk, agent: str, enabled: bool = False, depth_cap: int = 1, hourly_budget: int = 10, destructive_gate: bool = True
) -> Autopilot:
    """Set whether an agent may act on messages without a person, and how far. Only admins do; it takes back a pause.

    Args:
        agent: whose policy it is.
        enabled: whether they may at all.
        depth_cap: on messages of at most this many replies in their thread, 0 to 5.
        hourly_budget: on at most this many messages an hour, up to 100.
        destructive_gate: texts that ask for destructive acts need a person.
    """
    _check_admin(desk, f"set the autopilot of {agent[:80]}")
    _check_numbers(depth_cap, hourly_budget)
    check_known(desk, agent)
    made = Autopilot(
        scope=desk.scope, agent=agent, enabled=enabled, depth_cap=depth_cap, hourly_budget=hourly_budget,
        destructive_gate=destructive_gate, set_by=desk.agent, changed=now(),
    )
    before = desk.view().record(made.path)
    if isinstance(before, Autopilot) and replace(made, set_by=before.set_by, changed=before.changed) == before:
        return before
    with desk.transaction(f"autopilot of {agent}: {'on' if enabled else 'off'}") as change:
        return change.put(made)


@verb(writes=True, at_once=True, idempotent=True)
def pause_autopilot(desk: Desk, agent: str = "", reason: str = "") -> Paused:
    """Stop autopilot at once: your own, or as an admin anybody's. set_autopilot lets it go on.

    Args:
        agent: whose; left out, everybody's of the project.
        reason: why, for who looks at it later.
    """
    if agent != desk.agent:
        _check_admin(desk, f"pause the autopilot of {agent[:80] or 'everybody'}")
    if what := at_most(REASON_MAX)(reason) or plain_text(reason):
        raise BadArgument(f"reason {what}.", fix="Say it in a line.")
    chosen = [each for each in _policies(desk) if not agent or each.agent == agent]
    if agent and not chosen:
        raise NotFound(f"{agent[:80]} has no autopilot in {desk.project}.", fix="autopilot_status lists who has one.")
    running = [each for each in chosen if not each.paused]
    with desk.transaction(f"autopilot: {desk.agent} pauses {agent or 'all'}", body=reason) as change:
        for each in running:
            change.put(replace(each, paused=True, reason=reason.strip(), set_by=desk.agent, changed=now()))
    return Paused(tuple(each.agent for each in running), len(running))


@verb()
def autopilot_status(desk: Desk, agent: str = "") -> PolicyList:
    """List who may act on messages without a person, how far, and what is left of their budgets.

    Args:
        agent: only this one's.
    """
    found = tuple(_state(desk, each) for each in _policies(desk) if not agent or each.agent == agent)
    if agent and not found:
        check_known(desk, agent)
    return PolicyList(found, len(found))


@verb(marks=True)
def autopilot_check_budget(desk: Desk, id: str) -> BudgetCheck:  # noqa: A002  the argument's public name
    """Ask whether you may act on a message without a person, before you do. A yes counts against your hour, once a message.

    Args:
        id: the message, or its last part alone, or the first four or more digits of that.
    """
    view = desk.memory.view(place_of(desk.project))
    message = find_message(view, id, agent=desk.agent)
    receipt = receipt_of(view, message.path, desk.agent)
    finished = receipt.status if receipt and receipt.status in FINISHED else ""
    policy = _policy_of(desk, desk.agent)
    answers: list[BudgetCheck] = []

    def edit(mark: Shown | None) -> Shown:
        # decided on the mark that is overwritten: of two who ask at once, one gets the last of the budget
        old = mark or Shown(scope=desk.scope, agent=desk.agent)
        acted = dict(_acted(old))
        used = sum(now() - at < HOUR for at in acted.values())
        reasons = tuple(_reasons(policy, message, desk.agent, finished))
        if message.id not in acted and used >= policy.hourly_budget:
            reasons = (*reasons, f"the budget of {policy.hourly_budget} an hour is used up")
        counts = not reasons and message.id not in acted
        answers.append(BudgetCheck(not reasons, message.id, message.depth, used + counts, policy.hourly_budget, reasons))
        return replace(old, acted=_kept({**acted, message.id: now()})) if counts else old

    desk.memory.marks.change(Shown, desk.project, desk.agent, edit)
    return answers[-1]


@verb()
def autopilot_digest(desk: Desk, hours: int = 24) -> AutopilotDigest:
    """Read what was done on autopilot in a project lately: who acted on which message, and what came of it.

    Args:
        hours: how far back, up to 168.
    """
    if not 1 <= hours <= DIGEST_MAX_HOURS:
        raise BadArgument(f"hours is {hours}.", fix=f"1 to {DIGEST_MAX_HOURS} are accepted.")
    found = [
        _action(desk, mark.agent, message, at)
        for mark in desk.memory.marks.all(Shown, desk.project)
        for message, at in _acted(mark) if now() - at < timedelta(hours=hours)
    ]
    found.sort(key=lambda action: action.at, reverse=True)
    return AutopilotDigest(tuple(found), len(found), hours)


# --- policies --------------------------------------------------------------------------------------


def _policies(desk: Desk) -> Iterator[Autopilot]:
    yield from desk.view().records(Autopilot, f"{desk.scope}/autopilot")


def _policy_of(desk: Desk, agent: str) -> Autopilot:
    none = Autopilot(scope=desk.scope, agent=agent)
    found = desk.view().record(none.path)
    return found if isinstance(found, Autopilot) else none


def _state(desk: Desk, policy: Autopilot) -> Policy:
    mark = desk.memory.marks.read(Shown, desk.project, policy.agent)
    used = sum(now() - at < HOUR for _, at in _acted(mark)) if mark else 0
    return Policy(
        policy.agent, policy.enabled, policy.paused, policy.depth_cap, policy.hourly_budget, policy.destructive_gate, used,
        policy.reason or None, policy.set_by or None,
    )


def _reasons(policy: Autopilot, message: Message, agent: str, finished: str) -> Iterator[str]:
    if not policy.enabled:
        yield f"an admin has not enabled autopilot for {agent}"
    if policy.paused:
        yield f"autopilot is paused{f': {policy.reason}' if policy.reason else ''}"
    if message.to not in (agent, EVERYBODY) or message.from_agent == agent:
        yield f"the message is for {message.to}"
    if finished:
        yield f"you have {finished} it already"
    if message.require_human:
        yield "its sender wants a person to decide"
    if message.flags and policy.destructive_gate:
        yield f"it asks for {', '.join(message.flags)}"
    if message.depth > policy.depth_cap:
        yield f"it is reply {message.depth} of its thread, and {policy.depth_cap} is the most"


def _check_admin(desk: Desk, what: str) -> None:
    if not may_act_for_others(desk, desk.scope):
        raise NotAnAdmin(desk.agent, what, admins_of(desk.view(), desk.scope))


def _check_numbers(depth_cap: int, hourly_budget: int) -> None:
    checks = {"depth_cap": (depth_cap, DEPTH_MAX), "hourly_budget": (hourly_budget, BUDGET_MAX)}
    problems = [f"{name} {what}" for name, (value, most) in checks.items() if (what := between(0, most)(value))]
    if problems:
        raise BadArgument(f"set_autopilot: {'; '.join(problems)}.", fix="0 stops it without taking the policy away.")


# --- what was done ---------------------------------------------------------------------------------


def _acted(mark: Shown) -> Iterator[tuple[str, datetime]]:
    for line in mark.acted:
        moment, _, message = line.partition(" ")
        try:
            yield message, parse_time(moment)
        except ValueError:  # a mark that was written by hand
            continue


def _kept(acted: dict[str, datetime]) -> tuple[str, ...]:
    recent = [(at, message) for message, at in acted.items() if now() - at < KEPT]
    return tuple(f"{format_time(at)} {message}" for at, message in sorted(recent)[-ACTED_MAX:])


def _action(desk: Desk, agent: str, message_id: str, at: datetime) -> Action:
    view = desk.memory.view(place_of(desk.project))
    try:
        message = find_message(view, message_id, agent=agent)
    except NotFound:
        return Action(agent, message_id, at, age_in_words(at), "", "", "removed")
    receipt = receipt_of(view, message.path, agent)
    status = receipt.status if receipt else "not answered"
    return Action(agent, message.id, at, age_in_words(at), message.subject, message.from_agent, status)
