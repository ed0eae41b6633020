"""Merging what agents coordinate with: locks, messages, live sessions, and marks."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from gitmem.domains.locks.record import BrokenLock, Fence, Lock
from gitmem.domains.memories.record import Usage, Use
from gitmem.domains.messages.record import Message, Receipt
from gitmem.domains.messages.shown import Shown
from gitmem.domains.presence import Presence
from gitmem.domains.sessions import LiveSession
from gitmem.git.repository import Repository
from gitmem.memory.marks import Mark
from gitmem.memory.versions import merge_mark
from gitmem.memory.view import Place
from gitmem.names import now
from gitmem.records.codec import decode, encode
from gitmem.records.kind import kind_of
from tests.memory.test_merge import NINE, TEN, Bench, files_of

WEB = "projects/web"
LOCKS, MESSAGES, SESSIONS = (Place(family, "web") for family in ("locks", "messages", "sessions"))
UNTIL = now() + timedelta(days=1)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(Repository.init(tmp_path_factory.mktemp("merge") / "memory.git").objects)


def lock(agent: str, pattern: str, fence: int, **more: Any) -> Lock:
    return Lock(scope=WEB, agent=agent, pattern=pattern, reason="work", fence=fence, since=NINE, until=UNTIL, **more)


def held(*locks: Lock, last: int = 0) -> dict[str, bytes]:
    return files_of(*locks, Fence(scope=WEB, last=last or max(each.fence for each in locks)))


# --- locks ---------------------------------------------------------------------------------------------


def test_of_two_locks_on_the_same_files_the_landed_one_stays_and_the_other_is_told_as_broken(bench: Bench):
    ours, theirs = lock("ann", "src/", 1), lock("bob", "src/api/", 1)
    done = bench.merge({}, held(ours), held(theirs), landed="theirs", place=LOCKS)
    broken = BrokenLock(
        scope=WEB, agent="ann", pattern="src/", by="bob", at=NINE, reason="bob had src/api/ first, in another clone"
    )
    assert done.files == held(theirs) | files_of(broken)
    assert [(loss.path, loss.why, loss.lost) for loss in done.losses] == [
        (ours.path, "bob holds src/api/ since before this reached the others", encode(ours))
    ]


def test_a_lock_that_stays_gets_a_number_above_all_that_have_landed(bench: Bench):
    ours, theirs = lock("ann", "docs/", 3), lock("bob", "src/", 5)
    done = bench.merge({}, held(ours), held(theirs), landed="theirs", place=LOCKS)
    assert done.files == held(replace(ours, fence=6), theirs)
    assert done.losses == ()


def test_without_a_hub_one_of_the_locks_stays_and_it_is_the_same_whoever_merges(bench: Bench):
    ours, theirs = held(lock("ann", "src/", 1)), held(lock("bob", "src/", 1))
    done = bench.merge({}, ours, theirs, place=LOCKS)
    assert done == bench.merge({}, theirs, ours, times=(TEN, NINE), place=LOCKS)
    assert done.files.items() >= theirs.items()


def test_shared_locks_of_two_clones_both_stay(bench: Bench):
    ours, theirs = lock("ann", "src/", 1, mode="shared"), lock("bob", "src/", 1, mode="shared")
    done = bench.merge({}, held(ours), held(theirs), landed="theirs", place=LOCKS)
    assert done.files == held(replace(ours, fence=2), theirs)


def test_a_lock_that_was_broken_here_does_not_stand_in_the_way(bench: Bench):
    old, ours = lock("bob", "src/", 1), lock("ann", "src/", 2)
    done = bench.merge(held(old), held(ours), held(old), landed="theirs", place=LOCKS)
    assert (done.files, done.losses) == (held(ours), ())


def test_a_lock_that_was_let_go_stays_gone_even_if_it_was_renewed_elsewhere(bench: Bench):
    old = lock("ann", "src/", 1)
    renewed = replace(old, renewed=TEN)
    gone = files_of(Fence(scope=WEB, last=1))
    done = bench.merge(held(old), held(renewed), gone, landed="theirs", place=LOCKS)
    assert done.files == gone
    assert [loss.lost for loss in done.losses] == [encode(renewed)]


def test_a_lock_that_was_renewed_in_two_clones_ends_at_the_later_time(bench: Bench):
    old = lock("ann", "src/", 1)
    renewals = [held(replace(old, renewed=TEN, until=UNTIL + timedelta(hours=hours))) for hours in (2, 1)]
    assert bench.merge(held(old), *renewals, place=LOCKS).files == renewals[0]


def test_locks_whose_time_is_over_do_not_come_in(bench: Bench):
    over = replace(lock("ann", "src/", 1), until=NINE)
    theirs = held(lock("bob", "src/", 1))
    assert bench.merge({}, held(over), theirs, landed="theirs", place=LOCKS).files == theirs


# --- messages ------------------------------------------------------------------------------------------


def message(name: str, **more: Any) -> Message:
    return Message(
        scope=WEB, id=f"{name}-3fa2b81c09", from_agent="bob", to="*", subject=name, sent=NINE, message=f"About {name}.", **more
    )


def posted(*messages: Message) -> dict[str, bytes]:
    return files_of(*messages) | {each.notice: b"" for each in messages}


def receipt(of: Message, status: Any, **more: Any) -> Receipt:
    return Receipt(scope=WEB, day=of.day, id=of.id, agent="ann", status=status, **more)


def merged(bench: Bench, base: Mapping[str, bytes], ours: Mapping[str, bytes], theirs: Mapping[str, bytes]) -> Any:
    done = bench.merge(base, ours, theirs, landed="theirs", place=MESSAGES)
    assert bench.problems(theirs, done.files, place=MESSAGES) == []
    return done


def test_messages_of_two_clones_are_all_there(bench: Bench):
    ours, theirs = posted(message("one")), posted(message("two"))
    assert merged(bench, {}, ours, theirs).files == ours | theirs


def test_a_message_that_was_completed_before_it_reached_others_stays(bench: Bench):
    one = replace(message("one"), to="ann")
    ours = files_of(one, receipt(one, "completed", received=NINE))
    assert merged(bench, {}, ours, theirs := posted(message("two"))).files == ours | theirs


def test_what_is_completed_in_one_clone_and_received_in_the_other_is_completed(bench: Bench):
    base = posted(one := message("one"))
    ours = base | files_of(receipt(one, "completed", received=NINE, finished=TEN))
    theirs = base | files_of(receipt(one, "received", received=TEN))
    done = merged(bench, base, ours, theirs)
    assert done.files == base | files_of(receipt(one, "completed", received=TEN, finished=TEN))


def test_a_message_that_two_clones_claimed_is_that_of_whoever_landed(bench: Bench):
    base = posted(one := message("one"))
    ours = base | files_of(replace(one, claimed_by="ann", claimed=NINE))
    theirs = base | files_of(replace(one, claimed_by="eve", claimed=TEN))
    done = merged(bench, base, ours, theirs)
    assert done.files == theirs
    assert [(loss.path, b"claimed_by: ann" in (loss.lost or b"")) for loss in done.losses] == [(one.path, True)]


def test_a_receipt_for_a_message_that_is_gone_goes_too(bench: Bench):
    base = posted(one := message("one"))
    assert merged(bench, base, base | files_of(receipt(one, "received")), {}).files == {}


# --- sessions ------------------------------------------------------------------------------------------


def test_a_session_that_ended_in_one_clone_stays_ended(bench: Bench):
    live = LiveSession(scope=WEB, id="web_ann_3fa2b81c", agent="ann", task="Fix it", started=NINE)
    done = bench.merge(files_of(live), files_of(replace(live, task="Fix it now")), {}, place=SESSIONS)
    assert done.files == {}


# --- marks ---------------------------------------------------------------------------------------------


def marks(base: Mark | None, ours: Mark, theirs: Mark, times: tuple[datetime, datetime] = (NINE, NINE)) -> Mark:
    """A mark merged from two, and the same the other way round."""
    files = [None if each is None else encode(each) for each in (base, ours, theirs)]
    made = merge_mark(ours.ref, "web", *files, ours_time=times[0], theirs_time=times[1])
    assert made == merge_mark(ours.ref, "web", files[0], files[2], files[1], ours_time=times[1], theirs_time=times[0])
    decoded = decode(kind_of(type(ours)), f"{ours.agent}.yaml", made or b"", scope=WEB)
    assert decoded.problems == ()
    assert isinstance(decoded.record, Mark)
    return decoded.record


def test_the_latest_sign_of_life_counts_with_what_was_said_in_it():
    ours = Presence(scope=WEB, agent="ann", status="busy", current_task="Z", seen=NINE)
    theirs = Presence(scope=WEB, agent="ann", status="error", current_task="A", seen=TEN)
    assert marks(None, ours, theirs) == theirs


def test_recalls_of_two_clones_are_never_counted_twice():
    base, ours, theirs = (
        Usage(scope=WEB, agent="ann", uses=tuple(Use(key=key, count=count, last=last) for key, count, last in uses))
        for uses in ([("psr", 5, NINE)], [("psr", 7, NINE), ("abc", 1, NINE)], [("psr", 6, TEN)])
    )
    assert marks(base, ours, theirs) == replace(
        base, uses=(Use(key="psr", count=7, last=TEN), Use(key="abc", count=1, last=NINE))
    )


def test_what_was_shown_comes_from_one_clone_whole_so_that_positions_count_by_their_commit():
    base = Shown(scope=WEB, agent="ann", commit="0" * 40, positions="0 1")
    ours = replace(base, commit="1" * 40, positions="0 9", acted=("x 1",))
    theirs = replace(base, commit="2" * 40, positions="0 2", acted=("x 2",))
    made = marks(base, ours, theirs)
    assert isinstance(made, Shown)
    assert (made.commit, made.positions) in [(each.commit, each.positions) for each in (ours, theirs)]
    assert set(made.acted) == {"x 1", "x 2"}
