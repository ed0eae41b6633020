"""What leaves the refs of locks, work and messages, and what never does."""

from datetime import timedelta

from msgspec.structs import replace

from gitmem.domains.locks.record import Lock
from gitmem.domains.messages.posting import post
from gitmem.domains.messages.record import Message
from gitmem.domains.messages.shown import Shown
from gitmem.domains.upkeep import tend
from gitmem.memory.caller import Caller
from gitmem.memory.view import Place
from gitmem.names import new_id, now
from tests.conftest import Team, git

MESSAGES = Place("messages", "web")


def sent(team: Team, to: str, days: int, text: str) -> None:
    """A message that bob sent some days ago."""
    message = Message(
        scope="projects/web", id=new_id(text), from_agent="bob", to=to, subject=text, message=text, sent=now() - timedelta(days=days)
    )
    with team.memory.transaction(team.memory.view(MESSAGES), Caller("bob"), "message") as change:
        post(change, message)


def subjects(team: Team) -> list[str]:
    return sorted(each.subject for each in team.memory.view(MESSAGES).records(Message))


def read(team: Team, agent: str) -> list[str]:
    return [each["subject"] for each in team.call("get_messages", agent=agent, limit=50)["messages"]]


def test_read_messages_leave_after_the_set_time_and_unread_ones_never_do(team: Team):
    sent(team, "ann", 40, "old and read")
    sent(team, "ann", 20, "new and read")
    assert read(team, "ann") == ["old and read", "new and read"]
    sent(team, "ann", 400, "old and unread")
    tend(team.memory, team.index)
    assert subjects(team) == ["new and read", "old and unread"]
    assert read(team, "ann") == ["old and unread"]
    tend(team.memory, team.index)
    assert subjects(team) == ["new and read"]
    left = [path for path, _ in team.memory.view(MESSAGES).files()]
    assert len(left) == 2  # the message and its name in the inbox


def test_a_broadcast_stays_until_all_who_were_there_have_read_it(team: Team):
    for name in ("bob", "cy"):
        team.call("project", project="", action="add_agent", name="web", member=name, tier="member")
        sent(team, name, 1, "hello")
        read(team, name)
    sent(team, "ann", 1, "hello")
    read(team, "ann")
    sent(team, "*", 40, "for all")
    assert "for all" in read(team, "ann")
    tend(team.memory, team.index)
    assert "for all" in subjects(team)
    assert read(team, "cy") == ["for all"]
    tend(team.memory, team.index)
    assert "for all" not in subjects(team)


def test_answered_messages_take_their_answers_along(team: Team):
    sent(team, "ann", 40, "do it")
    read(team, "ann")
    message = next(team.memory.view(MESSAGES).records(Message))
    team.call("update_message_status", arguments={"id": message.id, "status": "completed"})
    done = tend(team.memory, team.index)
    assert [(each.family, each.records) for each in done.dropped] == [("messages", 2)]
    assert list(team.memory.view(MESSAGES).files()) == []


def test_what_was_shown_is_known_when_the_history_of_that_time_is_gone(team: Team):
    team.call("project", project="", action="add_agent", name="web", member="bob", tier="member")
    with team.memory.transaction(team.memory.view(MESSAGES), Caller("bob"), "message") as change:
        change.time = now() - timedelta(days=2)
        first = Message(scope="projects/web", id=new_id("one"), from_agent="bob", to="ann", subject="one", message="one", sent=now())
        post(change, first)
    assert read(team, "ann") == ["one"]
    sent(team, "ann", 0, "two")
    tend(team.memory, team.index)
    mark = team.memory.marks.read(Shown, "web", "ann")
    assert mark is not None
    assert mark.commit == team.memory.head(MESSAGES)
    root = git(team.memory.path, "commit-tree", "-m", "anew", f"{mark.commit}^{{tree}}").strip()
    git(team.memory.path, "-c", "core.hooksPath=/dev/null", "update-ref", MESSAGES.ref, root)
    assert read(team, "ann") == ["two"]
    assert read(team, "ann") == []


def test_expired_locks_leave_and_held_ones_stay(team: Team):
    team.call("lock_files", files=["src/"], reason="held")
    team.call("lock_files", files=["docs/"], reason="over", agent="bob")
    place = Place("locks", "web")
    with team.memory.transaction(team.memory.view(place), Caller("bob"), "age") as change:
        held = next(each for each in change.view.records(Lock) if each.agent == "bob")
        change.put(replace(held, until=now() - timedelta(minutes=1)))
    done = tend(team.memory, team.index)
    assert [(each.family, each.records) for each in done.dropped] == [("locks", 1)]
    assert [each["file"] for each in team.call("get_locks", agent="cy")["locks"]] == ["src/"]
