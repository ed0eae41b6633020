"""Reading messages: the verb, and what the briefing says of what is new."""

from bisect import bisect_right

from gitmem.desk import Desk
from gitmem.domains.messages.listing import Messages, Page, Received, delivered, page_of, unread
from gitmem.domains.messages.mailbox import find_message
from gitmem.domains.messages.record import EVERYBODY, Category, place_of
from gitmem.domains.messages.shown import Inbox
from gitmem.domains.messages.threads import thread_of
from gitmem.names import in_a_line
from gitmem.verbs import checked_limit, section, verb

LIMIT_MAX = 100
_EXCERPT = 300


@verb(marks=True, core=True)
def get_messages(
    desk: Desk, include_delivered: bool = False, category: Category | None = None, thread: str = "",
    cursor: str = "", limit: int = 20,
) -> Messages:
    """Read what is new in your inbox, most urgent first, then oldest: what was sent to you or to everybody.

    What is listed counts as delivered.

    Args:
        include_delivered: list all that you are not through with, also what you have read before.
        category: only these: contract, task, question, info, review or blocker.
        thread: the id of any message; lists its whole thread from the oldest on, also what you wrote.
        cursor: with include_delivered: where to go on, from the last answer.
        limit: at most this many, up to 100.
    """
    most = checked_limit(limit, LIMIT_MAX)
    present = desk.memory.view(place_of(desk.project))
    if thread:
        return thread_of(desk, find_message(present, thread, agent=desk.agent).thread_id, category, most)
    after = find_message(present, cursor, agent=desk.agent).slot if cursor else None

    def wanted(inbox: Inbox) -> Page:
        if not include_delivered:
            total = sum(1 for _ in inbox.unread(category)) if category else inbox.flags.count(0)
            return page_of(inbox, inbox.unread(category), total, most, again=False)
        slots = [slot for slot in inbox.listing.slots if category in (None, slot.category)]
        slots = slots[bisect_right(slots, after) if after else 0 :]
        return page_of(inbox, slots, len(slots), most, again=True)

    return delivered(desk, wanted)


# A section does not know how much of it is shown, so what it tells of stays new until get_messages has listed it.
@section(order=25, share=0.25, more="get_messages reads them whole")
def messages(desk: Desk) -> list[str]:
    """What others have written to you and you have not read."""
    found = unread(desk)
    lines = [_in_a_line(each) for each in found.messages]
    return [f"{found.total} unread in all; the most urgent:", *lines] if found.total > found.count else lines


def _in_a_line(message: Received) -> str:
    to = " to everybody" if message.to == EVERYBODY else ""
    text = in_a_line(message.message, _EXCERPT)
    about = "" if text.startswith(message.subject) else f"{message.subject}: "
    head = f"{message.priority} {message.category} from {message.from_agent}{to}, {message.age} ago [{message.id}]"
    person = " (nobody may act on it without a person)" if message.require_human else ""
    return f"{head}{person}: {about}{text}"
