"""Messages under many hands at once: claims, the same text, one inbox read twice, waiting, ten thousand messages."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitmem import verbs
from gitmem.answers import structured
from gitmem.desk import Desk
from gitmem.domains.messages.mailbox import mailbox_of
from gitmem.domains.messages.posting import post
from gitmem.domains.messages.record import FAMILY, Message, Slot, place_of
from gitmem.domains.messages.shown import Shown, flags_of, runs_of, some_runs
from gitmem.errors import GitmemError
from gitmem.index.search import Index
from gitmem.memory.caller import Caller
from gitmem.memory.memory import Memory
from gitmem.names import instant
from tests.conftest import Team, git

REF = f"refs/gitmem/{FAMILY}/web"


class Processes:
    """Several openings of one memory, as several processes would have them."""

    def __init__(self, path: Path, count: int) -> None:
        self.memories = [Memory(path) for _ in range(count)]
        self.indexes = [Index(memory) for memory in self.memories]

    def call(self, number: int, called: str, agent: str, **arguments: Any) -> dict[str, Any]:
        which = number % len(self.memories)
        desk = Desk(self.memories[which], self.indexes[which], Caller(agent, "declared"), project="web", verb=called)
        return structured(verbs.call(desk, verbs.find(called), arguments))

    def close(self) -> None:
        for each in (*self.indexes, *self.memories):
            each.close()


@pytest.fixture
def processes(team: Team) -> Iterator[Processes]:
    opened = Processes(team.memory.path, 4)
    yield opened
    opened.close()


def at_once(count: int, do: Callable[[int], dict[str, Any]]) -> list[dict[str, Any] | GitmemError]:
    """What came of `do` in that many threads that start together."""
    barrier = threading.Barrier(count)

    def each(number: int) -> dict[str, Any] | GitmemError:
        barrier.wait()
        try:
            return do(number)
        except GitmemError as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(each, range(count)))


def fill(memory: Memory, count: int, *, to: str = "bob") -> None:
    """Put messages of the last hours into an inbox, in one commit: a tenth urgent, a tenth low."""
    priorities = ("urgent", "low", *["normal"] * 8)
    start = instant() - timedelta(hours=30)
    with memory.transaction(memory.view(place_of("web")), Caller("ann"), "fill") as change:
        for number in range(count):
            sent = start + timedelta(seconds=number * 10, microseconds=number)
            post(change, Message(
                scope="projects/web", id=f"nr-{(number * 2654435761) % 2**32:08x}", from_agent="ann", to=to,
                subject=f"nr {number}", priority=priorities[number % 10], sent=sent.replace(microsecond=0),
                microsecond=sent.microsecond, message=f"text {number}",
            ))


def waiting_for(memory: Memory, agent: str) -> tuple[Slot, ...]:
    view = memory.view(place_of("web"))
    return mailbox_of(view, agent).at(view).slots


# --- races ---


@pytest.mark.parametrize("same_agent", [False, True])
def test_of_32_who_claim_one_message_exactly_one_gets_it(team: Team, processes: Processes, same_agent: bool):
    sent = team.call("send_message", to_instance="*", message="Fix CI", category="task")["id"]
    name = (lambda _: "bob") if same_agent else (lambda number: f"worker-{number}")
    results = at_once(32, lambda number: processes.call(number, "claim_message", name(number), id=sent))
    won = [each for each in results if isinstance(each, dict)]
    lost = [each for each in results if isinstance(each, GitmemError)]
    assert len(won) == 1
    winner = won[0]["claimed_by"]
    assert {each.message.split(" claimed ")[0] for each in lost} == {"You have" if same_agent else f"{winner} has"}
    assert git(team.memory.path, "rev-list", "--count", REF).strip() == "2"


def test_the_same_text_sent_by_16_at_once_is_sent_once(team: Team, processes: Processes):
    team.call("project", action="add_agent", name="web", member="bob")
    results = at_once(16, lambda number: processes.call(number, "send_message", "ann", to_instance="bob", message="Deploy"))
    [won] = [each for each in results if isinstance(each, dict)]
    assert all(won["id"] in each.message for each in results if isinstance(each, GitmemError))
    assert team.call("get_messages", agent="bob")["total"] == 1


def test_all_who_write_to_one_agent_at_once_are_read(team: Team, processes: Processes):
    team.call("project", action="add_agent", name="web", member="bob")
    at_once(24, lambda number: processes.call(number, "send_message", f"worker-{number}", to_instance="bob", message=f"from {number}"))
    read = team.call("get_messages", agent="bob", limit=100)["messages"]
    assert {each["message"] for each in read} == {f"from {number}" for number in range(24)}


def test_all_who_acknowledge_one_broadcast_at_once_do(team: Team, processes: Processes):
    sent = team.call("send_message", to_instance="*", message="CI is red")["id"]
    results = at_once(16, lambda number: processes.call(number, "acknowledge_message", f"worker-{number}", id=sent))
    assert {each["status"] for each in results if isinstance(each, dict)} == {"received"}
    assert len(results) == 16
    shown = team.call("get_messages", thread=sent)["messages"][0]["recipients"]
    assert len(shown) == 16


def test_two_who_read_one_inbox_at_once_share_it_out(team: Team, processes: Processes):
    fill(team.memory, 200)
    results = at_once(8, lambda number: processes.call(number, "get_messages", "bob", limit=20))
    read = [each["id"] for answer in results if isinstance(answer, dict) for each in answer["messages"]]
    assert len(read) == len(set(read)) == 160
    assert team.call("get_messages", agent="bob")["total"] == 40


def test_a_thread_that_several_want_to_go_on_with_is_stopped_with_one_word_to_the_admin(team: Team, processes: Processes):
    last = team.call("send_message", agent="worker-0", to_instance="ann", message="0")["id"]
    for depth in range(1, 6):
        last = team.call("send_message", agent="worker-0", to_instance="ann", message=str(depth), reply_to=last)["id"]
    before = team.call("get_messages")["total"]
    results = at_once(8, lambda number: processes.call(number, "send_message", f"worker-{number}", to_instance="ann", message="6", reply_to=last))
    assert all("more than 5 replies" in str(each) for each in results)
    assert (before, team.call("get_messages")["total"]) == (6, 1)


# --- waiting ---


def test_who_waits_is_woken_by_a_message_from_another_process(team: Team, processes: Processes):
    answers: list[dict[str, Any]] = []
    waiting = threading.Thread(target=lambda: answers.append(team.call("wait_for_messages", agent="bob", timeout_seconds=30)))
    waiting.start()
    processes.call(1, "send_message", "ann", to_instance="*", message="CI is red")
    waiting.join(10)
    assert [each["message"] for each in answers[0]["messages"]] == ["CI is red"]
    assert team.call("wait_for_messages", agent="bob")["count"] == 1  # waiting took nothing away
    assert team.call("get_messages", agent="bob")["count"] == 1


def test_who_waits_in_vain_is_told_so_and_not_refused(team: Team):
    answer = team.call("wait_for_messages", agent="bob", timeout_seconds=0.1)
    assert answer == {"messages": [], "count": 0, "total": 0, "note": "no message came within 0.1 seconds; call again to go on waiting"}


def test_nobody_waits_longer_than_a_client_would(team: Team, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gitmem.domains.messages.waiting.TIMEOUT_MAX", 0.05)
    assert "the longest that one call waits" in team.call("wait_for_messages", agent="bob", timeout_seconds=600)["note"]
    for odd in (-1, float("nan")):
        assert "timeout_seconds is" in team.refusal("wait_for_messages", agent="bob", timeout_seconds=odd).message


def test_ones_own_messages_wake_nobody(team: Team):
    team.call("send_message", to_instance="*", message="CI is red")
    assert team.call("wait_for_messages", timeout_seconds=0)["count"] == 0


# --- ten thousand ---


def test_ten_thousand_messages_are_each_read_once_in_order_and_the_mark_stays_small(team: Team):
    fill(team.memory, 10_000)
    read: list[int] = []
    largest = 0
    while messages := team.call("get_messages", agent="bob", limit=100)["messages"]:
        read += [int(each["message"].split()[1]) for each in messages]
        largest = max(largest, len(git(team.memory.path, "cat-file", "-p", "refs/gitmem/inbox/web/bob")))
        if len(read) == 5000:  # what is urgent is not kept waiting by what is old
            fill_one = team.call("send_message", agent="cy", to_instance="*", message="now -1", priority="urgent")
            assert team.call("get_messages", agent="bob", limit=1)["messages"][0]["id"] == fill_one["id"]
    urgent, normal, low = ([n for n in range(10_000) if n % 10 in part] for part in ({0}, set(range(2, 10)), {1}))
    assert read == urgent + normal + low
    assert largest < 300
    assert git(team.memory.path, "rev-list", "--count", REF).strip() == "2"
    assert team.call("get_messages", agent="bob", include_delivered=True)["messages"][0]["message"] == "text 0"


def test_a_process_that_has_just_started_lists_an_inbox_without_opening_a_message(team: Team):
    fill(team.memory, 2000)
    fresh = Memory(team.memory.path)
    read: list[str] = []
    fresh.repository.objects.blob = lambda oid, real=fresh.repository.objects.blob: (read.append(oid), real(oid))[1]  # type: ignore[method-assign]
    assert len(waiting_for(fresh, "bob")) == 2000
    assert read == []
    fresh.close()


def test_a_listing_is_the_same_whether_it_grew_or_was_made_at_once(team: Team):
    fill(team.memory, 300)
    team.call("project", action="add_agent", name="web", member="bob")
    team.call("get_messages", agent="bob", limit=100)
    for number in range(20):
        team.call("send_message", to_instance="bob" if number % 2 else "*", message=f"more {number}", agent="cy")
    for each in team.call("get_messages", agent="bob", include_delivered=True, limit=50)["messages"]:
        team.call("update_message_status", agent="bob", id=each["id"], status="completed")
    fresh = Memory(team.memory.path)
    grown = waiting_for(team.memory, "bob")
    assert grown == waiting_for(fresh, "bob")
    assert len(grown) == 300 + 20 - 50
    fresh.close()


# --- the positions of the mark ---


@given(st.lists(st.booleans(), max_size=300))
def test_positions_are_read_back_as_they_were_written(shown: list[bool]):
    written = runs_of(bytearray(shown))
    assert some_runs(written) is None
    assert list(flags_of(written, len(shown))) == shown


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 50)), max_size=20), st.integers(0, 200))
def test_positions_beyond_the_inbox_are_none(runs: list[tuple[int, int]], count: int):
    assert len(flags_of(" ".join(f"{skip} {take}" for skip, take in runs), count)) == count


@settings(max_examples=20)
@given(st.integers(1, 3), st.integers(4001, 6000))
def test_scattered_positions_never_grow_over_what_a_mark_may_hold(gap: int, count: int):
    flags = bytearray(([1] + [0] * gap) * count)
    written = runs_of(flags)
    assert flags_of(written, len(flags)) == flags[: 2000 * (gap + 1)] + bytes((count - 2000) * (gap + 1))
    assert len(written) < 20_000


@pytest.mark.parametrize("odd", ["1", "a b", "0 0", "-1 2", "0 1  2 3", "0 99999999999", "1 2\n3"])
def test_what_is_no_list_of_positions_is_seen_as_such(odd: str):
    assert some_runs(odd)


@pytest.mark.parametrize("odd", [{"positions": "1 2 3"}, {"positions": "0 999999999"}, {"commit": "main"}, {"commit": "0" * 40}])
def test_a_mark_that_makes_no_sense_hides_at_most_what_is_there(team: Team, odd: dict[str, str]):
    team.call("project", action="add_agent", name="web", member="bob")
    team.call("send_message", to_instance="bob", message="one")
    known = {"commit": team.memory.head(place_of("web")), "positions": "0 1", **odd}
    team.memory.marks.change(Shown, "web", "bob", lambda _: Shown(scope="projects/web", agent="bob", **known))
    assert team.call("get_messages", agent="bob")["count"] == (0 if odd == {"positions": "0 999999999"} else 1)
    team.call("send_message", to_instance="bob", message="two")
    assert team.call("get_messages", agent="bob")["count"] == 1
