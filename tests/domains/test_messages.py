"""Messages: who gets them, in which order, once; what each recipient makes of them; what is not sent."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gitmem.desk import Desk
from gitmem.domains.messages.danger import destructive_acts
from gitmem.domains.messages.mailbox import find_message
from gitmem.domains.messages.posting import composed, notify, post
from gitmem.domains.messages.record import Message, Receipt, place_of
from gitmem.domains.presence import seen
from gitmem.index.search import Index
from gitmem.memory.caller import Caller
from gitmem.memory.gate import GateRefused
from gitmem.memory.memory import Memory
from gitmem.names import instant
from tests.conftest import Team, git, lines_of

REF = "refs/gitmem/messages/web"


@pytest.fixture(autouse=True)
def _members(team: Team) -> None:
    for name in ("bob", "cy"):
        team.call("project", action="add_agent", name="web", member=name)


def send(team: Team, message: str, to: str = "bob", agent: str = "ann", **more: Any) -> str:
    return team.call("send_message", agent=agent, to_instance=to, message=message, **more)["id"]


def inbox(team: Team, agent: str = "bob", **more: Any) -> list[str]:
    return [each["message"] for each in team.call("get_messages", agent=agent, **more)["messages"]]


def message(text: str, *, to: str = "bob", sender: str = "ann", ago: timedelta = timedelta(), number: int = 0, **more: Any) -> Message:
    """A message as it would have been sent some time ago."""
    moment = instant() - ago
    return Message(**{
        "scope": "projects/web", "id": f"old-{number + 0x3FA2B81C00:010x}", "from_agent": sender, "to": to, "subject": text[:80],
        "sent": moment.replace(microsecond=0), "microsecond": moment.microsecond, "message": text, **more,
    })


def put(memory: Memory, *messages: Message) -> None:
    with memory.transaction(memory.view(place_of("web")), Caller("ann"), "messages") as change:
        for each in messages:
            post(change, each)


# --- sending and reading ---


def test_a_message_is_read_once_with_who_sent_it_when_and_about_what(team: Team):
    sent = team.call("send_message", to_instance="bob", message="Please look.\nIt is short.", category="review", priority="low")
    assert sent["subject"] == "Please look."
    assert sent["commit"] == git(team.memory.path, "rev-parse", REF).strip()
    answer = team.call("get_messages", agent="bob")
    [read] = answer["messages"]
    assert (answer["count"], answer["total"]) == (1, 1)
    assert (read["id"], read["from_agent"], read["to"], read["message"]) == (sent["id"], "ann", "bob", "Please look.\nIt is short.")
    assert (read["category"], read["priority"], read["status"], read["age"]) == ("review", "low", "pending", "less than a minute")
    assert inbox(team) == []
    assert inbox(team, include_delivered=True) == ["Please look.\nIt is short."]
    assert team.call("get_messages", agent="bob", include_delivered=True)["messages"][0]["status"] == "delivered"


def test_the_most_urgent_comes_first_then_the_oldest(team: Team):
    for text, priority in (("a", "low"), ("b", "normal"), ("c", "urgent"), ("d", "normal"), ("e", "urgent"), ("f", "low")):
        send(team, text, priority=priority)
    assert inbox(team, limit=2) == ["c", "e"]
    send(team, "g", priority="urgent")
    assert inbox(team, limit=3) == ["g", "b", "d"]
    assert inbox(team) == ["a", "f"]
    assert inbox(team, include_delivered=True) == ["c", "e", "g", "b", "d", "a", "f"]


def test_a_page_of_what_was_read_before_names_where_the_next_one_begins(team: Team):
    for text in "abcde":
        send(team, text)
    first = team.call("get_messages", agent="bob", include_delivered=True, limit=2)
    assert (first["count"], first["total"]) == (2, 5)
    second = team.call("get_messages", agent="bob", include_delivered=True, limit=2, cursor=first["cursor"])
    assert [each["message"] for each in second["messages"]] == ["c", "d"]
    last = team.call("get_messages", agent="bob", include_delivered=True, limit=2, cursor=second["cursor"])
    assert [each["message"] for each in last["messages"]] == ["e"]
    assert "cursor" not in last


def test_everybody_but_the_sender_gets_a_broadcast_and_each_reads_for_themselves(team: Team):
    sent = send(team, "CI is red", to="*")
    assert inbox(team, "ann") == []
    assert inbox(team, "bob") == ["CI is red"]
    team.call("acknowledge_message", agent="bob", id=sent)
    team.call("update_message_status", agent="bob", id=sent, status="completed")
    assert inbox(team, "bob", include_delivered=True) == []
    assert inbox(team, "cy") == ["CI is red"]
    assert inbox(team, "dee") == ["CI is red"]


def test_who_comes_late_is_not_told_what_was_told_to_everybody_long_ago_but_all_that_is_for_them(team: Team):
    put(
        team.memory, message("old news", to="*", ago=timedelta(days=40), number=1), message("news", to="*", ago=timedelta(days=3), number=2),
        message("for you", to="cy", ago=timedelta(days=400), number=3),
    )
    assert inbox(team, "cy") == ["for you", "news"]
    assert inbox(team, "cy", include_delivered=True) == ["for you", "old news", "news"]


def test_what_arrives_late_with_an_earlier_time_is_new(team: Team):
    put(team.memory, message("first", ago=timedelta(hours=1), number=1), message("last", number=3))
    assert inbox(team) == ["first", "last"]
    put(team.memory, message("from another clone", ago=timedelta(minutes=30), number=2))
    assert inbox(team) == ["from another clone"]
    assert inbox(team) == []


def test_one_category_is_read_without_marking_the_others(team: Team):
    send(team, "how?", category="question")
    send(team, "done", category="info")
    assert inbox(team, category="question") == ["how?"]
    assert inbox(team, category="question") == []
    assert inbox(team) == ["done"]
    assert "contract, task, question" in team.refusal("get_messages", category="gossip").message


def test_long_messages_are_not_all_put_into_one_answer_and_none_is_lost(team: Team):
    texts = [letter * 40_000 for letter in "abcd"]
    for text in texts:
        send(team, text)
    pages = [inbox(team) for _ in range(3)]
    assert [len(page) for page in pages] == [2, 2, 0]
    assert [text for page in pages for text in page] == texts


def test_a_message_goes_to_another_project_and_its_answer_comes_back(team: Team):
    team.call("project", agent="eve", action="create", name="app", project="")
    sent = send(team, "What is your API?", to="eve", to_project="app")
    assert inbox(team, "eve") == []
    [read] = team.call("get_messages", agent="eve", project="app")["messages"]
    assert (read["from_agent"], read["from_project"]) == ("ann", "web")
    answer = send(team, "REST.", to="ann", agent="eve", project="app", reply_to=sent)
    [back] = team.call("get_messages")["messages"]
    assert (back["id"], back["message"], back["from_project"], back["thread"]) == (answer, "REST.", "app", sent)
    assert inbox(team, "ann", thread=answer) == ["What is your API?", "REST."]
    assert "Did you mean app?" in team.refusal("send_message", to_instance="eve", message="x", to_project="ap").fix


def test_a_thread_shows_both_sides_in_order_and_the_sender_how_far_the_recipients_are(team: Team):
    first = send(team, "Which port?", category="question")
    assert inbox(team) == ["Which port?"]
    second = send(team, "8080", to="ann", agent="bob", reply_to=first, category="info")
    send(team, "Another matter")
    third = send(team, "Thanks", in_response_to=second)
    team.call("acknowledge_message", agent="bob", id=first)
    thread = team.call("get_messages", thread=second[-10:])["messages"]
    assert [(each["id"], each["message"]) for each in thread] == [(first, "Which port?"), (second, "8080"), (third, "Thanks")]
    assert [each.get("recipients") for each in thread] == [
        [{"agent": "bob", "status": "received"}], None, [{"agent": "bob", "status": "pending"}],
    ]
    assert [each.get("depth", 0) for each in thread] == [0, 1, 2]
    assert thread[1]["status"] == "pending"
    assert inbox(team, "ann") == []  # the answer was read in its thread
    assert inbox(team, "ann", thread=first, category="info") == ["8080", "Thanks"]
    assert inbox(team, "bob") == ["Another matter", "Thanks"]


def test_a_message_is_found_by_any_unambiguous_part_of_its_digits(team: Team):
    put(team.memory, message("one", number=1), message("two", number=2))
    assert "could be any of old-3fa2b81c01, old-3fa2b81c02" in team.refusal("acknowledge_message", agent="bob", id="3fa2b81c").message
    assert team.call("acknowledge_message", agent="bob", id="3fa2b81c02")["subject"] == "two"
    assert "There is no message 'aaaa1111' in web" in team.refusal("acknowledge_message", id="aaaa1111").message
    for nonsense in ("", "..", "no id", "3f", "\x00", "a" * 5000):
        assert "is not a message's id" in team.refusal("acknowledge_message", id=nonsense).message


def test_a_finished_message_is_still_found_and_read_in_its_thread(team: Team):
    sent = send(team, "Do it", category="task")
    team.call("update_message_status", agent="bob", id=sent, status="completed")
    assert inbox(team, include_delivered=True) == []
    assert inbox(team, "ann", thread=sent) == ["Do it"]
    assert find_message(team.memory.view(place_of("web")), sent[-10:-6]).id == sent


def test_the_record_says_all_and_git_can_read_it(team: Team):
    sent = send(team, "Wie geht's? 你好 \u2028 x", to="*", subject="Grüße")
    path = find_message(team.memory.view(place_of("web")), sent).path
    shown = git(team.memory.path, "show", f"{REF}:{path}")
    assert "subject: Grüße\n" in shown
    assert shown.endswith("Wie geht's? 你好 \u2028 x\n")
    git(team.memory.path, "fsck", "--strict")


# --- who can be written to ---


def test_an_unknown_recipient_is_refused_with_near_names(team: Team):
    refused = team.refusal("send_message", to_instance="bobb", message="x")
    assert refused.message == "'bobb' is no member of web and was never seen there."
    assert refused.fix.startswith("Did you mean bob?")
    assert "Did you mean bob?" in team.refusal("send_message", to_instance="BOB", message="x").fix
    assert "There are ann, bob, cy" in team.refusal("send_message", to_instance="zzz", message="x").fix
    for odd in ("", "..", "a/b", "../main", "\x00", "all", "x" * 300):
        assert "was never seen there" in team.refusal("send_message", to_instance=odd, message="x").message


def test_who_has_a_session_or_was_seen_can_be_written_to(team: Team):
    team.call("start_session", agent="worker-1")
    seen(team.memory, "web", "gone-by")
    for name in ("worker-1", "gone-by"):
        send(team, "hello", to=name)
        assert inbox(team, name) == ["hello"]


# --- what is not sent ---


def test_the_same_text_to_the_same_target_is_sent_once_within_five_minutes(team: Team):
    first = send(team, "Deploy now")
    refused = team.refusal("send_message", to_instance="bob", message="Deploy now")
    assert first in refused.message
    team.call("update_message_status", agent="bob", id=first, status="completed")
    assert first in team.refusal("send_message", to_instance="bob", message="Deploy now").message
    send(team, "Deploy now", to="cy")
    send(team, "Deploy now", to="ann", agent="bob")
    send(team, "Deploy now", reply_to=first)


@pytest.mark.parametrize(("minutes", "is_sent"), [(6, True), (4, False)])
def test_the_same_text_is_sent_again_later(team: Team, minutes: int, is_sent: bool):
    desk = Desk(team.memory, team.index, Caller("ann"), project="web")
    first = composed(desk, "web", "bob", "", "Status?", "normal", "info")
    assert first.sent is not None
    put(team.memory, replace(first, sent=first.sent - timedelta(minutes=minutes)))
    if is_sent:
        assert send(team, "Status?") != first.id
    else:
        assert f"{minutes} minutes ago, as {first.id}" in team.refusal("send_message", to_instance="bob", message="Status?").message


@pytest.mark.parametrize("arguments", [
    {"message": ""}, {"message": " \n "}, {"message": "x" * 51_201}, {"message": "é" * 25_601}, {"message": "a\x00b"},
    {"message": "x", "subject": "two\nlines"}, {"message": "x", "subject": "s" * 201}, {"message": "x", "subject": "a\x07b"},
])
def test_what_no_message_can_hold_is_refused(team: Team, arguments: dict[str, str]):
    assert team.refusal("send_message", to_instance="bob", **arguments).message.startswith("The message was not sent: ")


def test_fifty_kibibytes_are_sent_whole(team: Team):
    text = "x" * 51_200
    send(team, text)
    assert inbox(team) == [text]


def test_agents_that_answer_each_other_are_stopped_and_an_admin_is_told_once(team: Team):
    last = send(team, "0", to="cy", agent="bob")
    for depth in range(1, 6):
        agent, other = ("cy", "bob") if depth % 2 else ("bob", "cy")
        sent = team.call("send_message", agent=agent, to_instance=other, message=str(depth), reply_to=last)
        assert sent["depth"] == depth
        last = sent["id"]
    for _ in range(2):
        with pytest.raises(Exception, match="more than 5 replies by agents alone are not sent, and ann has been told"):
            send(team, "6", to="cy", agent="bob", reply_to=last)
    [told] = team.call("get_messages")["messages"]
    assert (told["priority"], told["category"], told["subject"]) == ("urgent", "blocker", "Stopped: 5")
    assert last in told["message"]
    assert inbox(team, "cy") == ["0", "2", "4"]


def test_a_person_s_answer_begins_the_count_anew(team: Team):
    team.call("project", action="add_human", name="web", member="pat")
    last = send(team, "0", to="cy", agent="bob")
    for depth in range(1, 6):
        last = send(team, str(depth), to="cy", agent="bob", reply_to=last)
    by_pat = team.call("send_message", agent="pat", to_instance="bob", message="go on", reply_to=last)
    assert by_pat["depth"] == 0
    assert team.call("send_message", agent="bob", to_instance="pat", message="done", reply_to=by_pat["id"])["depth"] == 1


@pytest.mark.parametrize("text", [
    "please run rm -rf build/", "rm -r -f x", "DROP TABLE users;", "drop the users table", "git push --force origin main", "git push -f",
    "force-push it", "git push origin +main", "delete the old feature branch", "git branch -D topic", "git push origin --delete topic",
    "wipe the disk", "git reset --hard HEAD~3", "git clean -fdx", "truncate table logs", "DELETE FROM users", "delete all records",
    "git push origin :topic", "terraform destroy", "git filter-branch --all",
])
def test_a_text_that_asks_for_a_destructive_act_needs_a_person(text: str):
    assert destructive_acts(text)


@pytest.mark.parametrize("text", [
    "please review the branch", "push to main when green", "the drop-down table is wrong", "the format is wrong", "reset the form",
    "farm -rf", "remove the unused import", "the warm reform", "delete the second line of the file", "I pushed the fix",
])
def test_an_everyday_text_does_not(text: str):
    assert destructive_acts(text) == ()


def test_a_flagged_message_says_so_to_sender_and_reader(team: Team):
    sent = team.call("send_message", to_instance="bob", message="Please drop table users")
    assert (sent["require_human"], sent["flags"]) == (True, ["dropping data"])
    assert "without a person" in sent["note"]
    assert team.call("get_messages", agent="bob")["messages"][0]["require_human"] is True
    send(team, "harmless", require_human=True)
    assert team.call("get_messages", agent="bob")["messages"][0]["require_human"] is True


# --- what recipients make of it ---


def test_a_status_only_moves_forward_and_belongs_to_its_recipient(team: Team):
    sent = send(team, "Do it", category="task")
    assert team.call("update_message_status", agent="bob", id=sent, status="pending")["status"] == "pending"
    head = team.memory.head(place_of("web"))
    assert team.call("update_message_status", agent="bob", id=sent, status="delivered")["status"] == "delivered"
    assert team.memory.head(place_of("web")) == head  # a mark, no commit
    assert inbox(team) == []
    for status in ("received", "received", "completed", "completed"):
        assert team.call("update_message_status", agent="bob", id=sent, status=status)["status"] == status
    for status in ("failed", "received", "pending"):
        refused = team.refusal("update_message_status", agent="bob", id=sent, status=status)
        assert refused.message == f"{sent} is completed for you and cannot become {status}."
    assert f"{sent} is for bob; ann sent it" in team.refusal("update_message_status", id=sent, status="failed").message
    assert "cy is not its recipient" in team.refusal("acknowledge_message", agent="cy", id=sent).message
    receipt = next(team.memory.view(place_of("web")).records(Receipt, f"{find_message(team.memory.view(place_of('web')), sent).day}"))
    assert (receipt.agent, receipt.status) == ("bob", "completed")
    assert receipt.received
    assert receipt.finished


def test_acknowledging_what_was_only_seen_in_the_briefing_takes_it_off_what_is_new(team: Team):
    sent, other = send(team, "one"), send(team, "two")
    team.call("acknowledge_message", agent="bob", id=sent)
    head = team.memory.head(place_of("web"))
    team.call("acknowledge_message", agent="bob", id=sent)
    assert team.memory.head(place_of("web")) == head
    answer = team.call("get_messages", agent="bob")
    assert ([each["id"] for each in answer["messages"]], answer["total"]) == ([other], 1)
    assert inbox(team, include_delivered=True) == ["one", "two"]


def test_who_claims_first_has_it_and_the_others_are_told_who(team: Team):
    sent = send(team, "Somebody fix CI", to="*", category="task")
    assert team.call("claim_message", agent="bob", id=sent)["claimed_by"] == "bob"
    refused = team.refusal("claim_message", agent="cy", id=sent)
    assert refused.message.startswith(f"bob has claimed {sent} less than a minute ago")
    assert "Go on with it" in team.refusal("claim_message", agent="bob", id=sent).fix
    assert team.call("get_messages", agent="cy")["messages"][0]["claimed_by"] == "bob"
    team.call("update_message_status", agent="bob", id=sent, status="failed")
    assert team.call("claim_message", agent="cy", id=sent)["claimed_by"] == "cy"
    assert "cy has claimed" in team.refusal("claim_message", agent="bob", id=sent).message
    assert "ann sent it" in team.refusal("claim_message", agent="ann", id=sent).message


# --- the briefing ---


def test_the_briefing_tells_what_is_new_and_takes_nothing_away(team: Team):
    team.call("send_message", to_instance="bob", message="Look at the\nretries", subject="Review", category="review")
    send(team, "x" * 5000, to="*", priority="urgent", subject="Long")
    lines = lines_of(team.call("start_session", agent="bob"), "messages")
    assert lines[0].startswith("urgent info from ann to everybody, less than a minute ago [long-")
    assert len(lines[0]) < 500
    assert lines[1].startswith("normal review from ann, less than a minute ago [review-")
    assert lines[1].endswith(": Review: Look at the retries")
    assert [len(text) for text in inbox(team)] == [5000, 19]
    assert lines_of(team.call("brief", agent="bob"), "messages") == []


def test_the_briefing_says_what_nobody_may_act_on_without_a_person(team: Team):
    send(team, "Please push --force to main.")
    (line,) = lines_of(team.call("start_session", agent="bob"), "messages")
    assert "] (nobody may act on it without a person): Please push" in line


def test_the_briefing_says_how_many_more_there_are(team: Team):
    put(team.memory, *(message(f"message {number}", number=number) for number in range(30)))
    lines = lines_of(team.call("brief", agent="bob", budget_tokens=5000), "messages")
    assert lines[0] == "30 unread in all; the most urgent:"
    assert len(lines) == 21


# --- from inside other verbs ---


def test_a_verb_tells_others_what_its_caller_did_and_nobody_twice(team: Team):
    desk = Desk(team.memory, team.index, Caller("ann", session="s"), project="web", verb="break_lock")
    desk.commit = "0" * 40
    notify(desk, to=["bob", "ann", "bob", "../x", "*"], subject="Lock\nbroken\x00", text="src/ is free\x01", category="blocker", priority="urgent")
    notify(desk, to="bob", subject="Lock broken", text="src/ is free ", category="blocker", priority="urgent")
    notify(desk, to="ann", subject="x", text="y")
    assert desk.commit == "0" * 40
    read = team.call("get_messages", agent="bob")["messages"]
    assert [(each["subject"], each["message"], each["to"], each["from_agent"]) for each in read] == [
        ("Lock broken", "src/ is free ", "bob", "ann"), ("Lock broken", "src/ is free ", "*", "ann"), ("Lock broken", "src/ is free ", "bob", "ann"),
    ]
    assert "Gitmem-Verb: break_lock" in git(team.memory.path, "log", REF)
    assert inbox(team, "ann") == []


# --- restarts and other processes ---


def test_another_process_sees_everything_at_once(team: Team):
    other = Memory(team.memory.path)
    index = Index(other)
    send(team, "one")
    desk = Desk(other, index, Caller("bob"), project="web", verb="get_messages")
    from gitmem.domains.messages.reading import get_messages

    assert [each.message for each in get_messages(desk).messages] == ["one"]
    assert inbox(team) == []
    send(team, "two")
    assert [each.message for each in get_messages(desk).messages] == ["two"]
    index.close()
    other.close()


def test_what_was_shown_by_a_history_that_is_gone_is_shown_again(team: Team, tmp_path: Path):
    send(team, "one")
    assert inbox(team) == ["one"]
    from gitmem.domains.messages.shown import Shown

    team.memory.marks.change(Shown, "web", "bob", lambda mark: replace(mark or Shown(agent="bob"), commit="a" * 40))
    assert inbox(team) == ["one"]
    assert inbox(team) == []


# --- the gate ---


def test_a_change_that_hides_or_alters_a_message_does_not_land(team: Team):
    place = place_of("web")
    put(team.memory, message("one", number=1), message("reply", number=2, thread="old-3fa2b81c01", reply_to="old-3fa2b81c01", depth=1))
    one, reply = (find_message(team.memory.view(place), f"3fa2b81c0{number}") for number in (1, 2))

    def refused(*edits: Any) -> str:
        change = team.memory.transaction(team.memory.view(place), Caller("pat"), "push")
        for edit in edits:
            edit(change)
        with pytest.raises(GateRefused) as error:
            change.land()
        return error.value.message

    assert "needs the empty file inbox/bob/3f/" in refused(lambda change: change.put(replace(one, id="new-3fa2b81c03")))
    assert "it stays as it is" in refused(lambda change: change.put(replace(one, message="other")))
    assert "cannot go without inbox/bob/3f/" in refused(lambda change: change.delete(one.path))
    assert "cannot go before bob is through with the message" in refused(lambda change: change.delete(one.notice))
    assert "lists a message that is not at" in refused(lambda change: change.put_file(one.notice.replace("b81c01", "b81c09"), b""))
    assert "cannot go without threads/3f/" in refused(lambda change: change.delete(reply.path), lambda change: change.delete(reply.notice))
    receipt = Receipt(scope=one.scope, day=one.day, id=one.id, agent="cy")
    assert "is of cy, but the message is for bob" in refused(lambda change: change.put(receipt))
    assert "is about a message that is not at" in refused(lambda change: change.put(replace(receipt, id="no-3fa2b81c77")))
    team.call("claim_message", agent="bob", id=one.id)
    team.call("update_message_status", agent="bob", id=one.id, status="completed")
    assert "claimed_by is bob already" in refused(lambda change: change.put(replace(one, claimed_by="cy")))
    back = replace(receipt, agent="bob", status="received")
    assert "is completed and cannot go back to received" in refused(lambda change: change.put(back))
    assert "cannot go back to pending" in refused(lambda change: change.delete(back.path))


def test_a_message_may_go_with_all_that_lists_it(team: Team):
    put(team.memory, message("one", number=1))
    one = find_message(team.memory.view(place_of("web")), "3fa2b81c01")
    with team.memory.transaction(team.memory.view(place_of("web")), Caller("pat"), "forget it") as change:
        change.delete(one.path)
        change.delete(one.notice)
    assert inbox(team) == []
