"""Three clones work apart and sync in any order: they end up the same, and no edit is lost."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gitmem.cloning import clone
from gitmem.domains.backlog.record import BacklogItem
from gitmem.domains.checklists import Checklist, ChecklistItem
from gitmem.domains.guidelines import Guideline
from gitmem.domains.knowledge.record import Knowledge
from gitmem.domains.locks.record import Fence, Lock, last_fence
from gitmem.domains.messages.record import Message, Receipt
from gitmem.domains.presence import seen
from gitmem.domains.projects import Project
from gitmem.founding import found
from gitmem.git.repository import Repository, run_git
from gitmem.memory import hubs
from gitmem.memory.caller import Caller
from gitmem.memory.gate import GateRefused
from gitmem.memory.hubs import Hub
from gitmem.memory.memory import Memory
from gitmem.memory.sync import Sync
from gitmem.memory.transaction import Transaction
from gitmem.memory.view import MAIN_PLACE, Place, View
from gitmem.names import now
from gitmem.records.codec import encode
from gitmem.records.kind import Record
from tests.conftest import git

CLONES = ("ann", "bob", "eve")
PROJECTS = ("web", "api")
LOCKS, MESSAGES = Place("locks", "web"), Place("messages", "web")
EDITABLE = (Knowledge, BacklogItem, Checklist, Guideline)
ROUNDS_MAX = 3
EPOCH = datetime(2026, 1, 31, 9, 0, tzinfo=UTC)
_SHARED = ("refs/heads/", "refs/tags/", "refs/gitmem/")


@dataclass
class World:
    """A hub, three clones of it, and what has been said in them."""

    folder: Path
    clones: dict[str, Memory] = field(default_factory=dict)
    words: dict[str, Place] = field(default_factory=dict)  # that somebody wrote and nobody has knowingly taken away
    told: list[bytes] = field(default_factory=list)  # what syncs said that they could not hold
    numbers: Iterator[int] = field(default_factory=count)

    def open(self) -> None:
        for name in CLONES:
            config = self.folder / f"{name}.git" / "config"
            config.write_text(config.read_text().replace("@FOLDER@", str(self.folder)))
            self.clones[name] = Memory(self.folder / f"{name}.git")

    def close(self) -> None:
        for memory in self.clones.values():
            memory.close()

    def token(self) -> str:
        return f"word{next(self.numbers):03}w"

    def sync(self, name: str, hub: str = "hub") -> None:
        memory = self.clones[name]
        known = Hub(hub, str(self.folder / f"{hub}.git"), decides=hub == "hub")
        report = Sync(memory, known, known.remote(memory.repository)).run()
        assert report.refused == ()
        self.told += [lost.loss.lost or b"" for lost in report.lost]

    # --- one change of one clone -------------------------------------------------------------------

    def change(self, name: str, place: Place, minute: int, edit: Callable[[Transaction], None]) -> None:
        """What a verb would do: it lands as a whole or the gate refuses it."""
        memory = self.clones[name]
        view = memory.view(place)
        change = memory.transaction(view, Caller(name, "declared"), "change")
        change.time = EPOCH + timedelta(minutes=minute)
        edit(change)
        before = self._texts(view, change)
        try:
            change.land()
        except GateRefused:
            return
        after = self._texts(memory.view(place), change)
        gone = [word for word in self.words if word in before and word not in after]
        for word in gone:
            del self.words[word]
        self.words |= {word: place for word in after.split() if word.startswith("word") and word not in before}

    def _texts(self, view: View, change: Transaction) -> str:
        entries = [view.peek(path) for path in change._blobs]
        data = b"\n".join(view.objects.blob(entry.oid) for entry in entries if entry).decode()
        return "".join(each if each.isalnum() else " " for each in data)

    def records(self, name: str, *kinds: type[Record], place: Place = MAIN_PLACE) -> list[Any]:
        found = self.clones[name].view(place).records(Record)
        return [record for record in found if isinstance(record, kinds)]


# --- what clones do ---------------------------------------------------------------------------------

Act = Callable[[World, str, int, int], None]  # world, clone, which of several, minute


def create(world: World, name: str, which: int, minute: int) -> None:
    token = world.token()
    scope = f"projects/{PROJECTS[which % 2]}"
    made: list[Record] = [
        Knowledge(scope=scope, id=f"fact-{which:02x}{minute:04x}", title=token, content=f"About.\n\n{token}\n\nThe end."),
        BacklogItem(scope=scope, id=f"item-{which:02x}{minute:04x}", title=token, text="One.\n\nTwo."),
        Checklist(scope=scope, name=f"list-{which % 2}", items=(ChecklistItem(text=token),)),
        Guideline(scope=scope, name=f"rule-{which % 2}", rule=f"{token}\n\nAlways."),
    ]
    record = made[which % len(made)]
    if world.clones[name].view().entry(record.path) is None:
        world.change(name, MAIN_PLACE, minute, lambda change: change.put(record) and None)


def edit(world: World, name: str, which: int, minute: int) -> None:
    records = world.records(name, *EDITABLE)
    if records:
        record = _edited(records[which % len(records)], which // 3, world.token())
        world.change(name, MAIN_PLACE, minute, lambda change: change.put(record) and None)


def retitle(world: World, name: str, which: int, minute: int) -> None:
    """Call one of the first records otherwise: what two clones do to one value cannot be merged, and one becomes a proposal."""
    records = [each for each in world.records(name, Knowledge, BacklogItem) if each.title in ("Start", "Again") or which % 2]
    if records:
        record = replace(min(records, key=lambda each: each.id), title=world.token())
        world.change(name, MAIN_PLACE, minute, lambda change: change.put(record) and None)


def _edited(record: Any, how: int, token: str) -> Record:
    if isinstance(record, Checklist):
        items = record.items
        done = tuple(replace(each, done=True, notes=token) if n == how % len(items) else each for n, each in enumerate(items))
        return replace(record, items=done if items and how % 2 else (*items, ChecklistItem(text=token)))
    if isinstance(record, Guideline):
        return replace(record, rule=_text(record.rule, how, token))
    name = "text" if isinstance(record, BacklogItem) else "content"
    edits = (
        {"title": token}, {"tags": (*record.tags, token)}, {"tags": record.tags[1:]},
        {name: _text(getattr(record, name), how, token)}, {name: _text(getattr(record, name), how + 1, token)},
    )  # fmt: skip
    return replace(record, **edits[how % len(edits)])


def _text(text: str, how: int, token: str) -> str:
    lines = text.split("\n")
    match how % 3:
        case 0:
            return f"{text}\n\n{token}"
        case 1:
            lines[how % len(lines)] = token
        case _:
            lines.insert(how % len(lines), f"{token}\n")
    return "\n".join(lines)


def delete(world: World, name: str, which: int, minute: int) -> None:
    records = world.records(name, *EDITABLE)
    if records:
        path = records[which % len(records)].path
        world.change(name, MAIN_PLACE, minute, lambda change: change.delete(path))


def move(world: World, name: str, which: int, minute: int) -> None:
    items = world.records(name, BacklogItem)
    if items:
        item = items[which % len(items)]
        other = replace(item, scope="projects/api" if item.scope == "projects/web" else "projects/web")

        def both(change: Transaction) -> None:
            change.delete(item.path)
            change.put(other)

        world.change(name, MAIN_PLACE, minute, both)


def link(world: World, name: str, which: int, minute: int) -> None:
    items = world.records(name, BacklogItem)
    if len(items) > 1:
        item, other = items[which % len(items)], items[(which + 1) % len(items)]
        world.change(name, MAIN_PLACE, minute, lambda change: change.put(replace(item, blocked_by=(other.id,))) and None)


def claim(world: World, name: str, which: int, minute: int) -> None:
    free = [item for item in world.records(name, BacklogItem) if not item.assigned_to]
    if free:
        item = replace(free[which % len(free)], assigned_to=name, status="in_progress", started=EPOCH)
        world.change(name, MAIN_PLACE, minute, lambda change: change.put(item) and None)


def finish(world: World, name: str, which: int, minute: int) -> None:
    mine = [item for item in world.records(name, BacklogItem) if item.assigned_to == name]
    if mine:
        item = replace(mine[which % len(mine)], status="done", resolution=world.token())
        world.change(name, MAIN_PLACE, minute, lambda change: change.put(item) and None)


def drop_project(world: World, name: str, which: int, minute: int) -> None:
    """Remove one project with all that is in it."""
    project = PROJECTS[which % 2]
    paths = [path for path, _ in world.clones[name].view().files(f"projects/{project}")]
    world.change(name, MAIN_PLACE, minute, lambda change: [change.delete(path) for path in paths] and None)


def message(world: World, name: str, which: int, minute: int) -> None:
    token = world.token()
    sent = Message(
        scope="projects/web", id=f"{token}-{which:02x}{minute:04x}", from_agent=name, to=("*", *CLONES)[which % 4], subject=token,
        sent=EPOCH + timedelta(minutes=minute), message=token,
    )  # fmt: skip

    def post(change: Transaction) -> None:
        change.put_file(sent.notice, b"")
        change.put(sent)

    world.change(name, MESSAGES, minute, post)


def answer(world: World, name: str, which: int, minute: int) -> None:
    """Claim a message, acknowledge it, or be through with it."""
    mine = [each for each in world.records(name, Message, place=MESSAGES) if each.to in ("*", name)]
    if not mine:
        return
    chosen = mine[which % len(mine)]
    said = ("received", "completed", "failed")[which % 3]
    receipt = Receipt(scope="projects/web", day=chosen.day, id=chosen.id, agent=name, status=said, received=EPOCH)

    def land(change: Transaction) -> None:
        if which % 4 == 0 and not chosen.claimed_by:
            change.put(replace(chosen, claimed_by=name, claimed=EPOCH + timedelta(minutes=minute)))
            return
        change.put(receipt)
        if said != "received" and chosen.to == name:
            change.delete(chosen.notice)

    world.change(name, MESSAGES, minute, land)


def lock(world: World, name: str, which: int, minute: int) -> None:
    pattern, view, token = ("src/", "src/api/", "docs/")[which % 3], world.clones[name].view(LOCKS), world.token()
    fence = last_fence(view) + 1
    held = Lock(scope="projects/web", agent=name, pattern=pattern, reason=token, fence=fence, since=now(), until=now() + timedelta(days=1))

    def grant(change: Transaction) -> None:
        change.put(Fence(scope="projects/web", last=fence))
        change.put(held)

    world.change(name, LOCKS, minute, grant)


def unlock(world: World, name: str, which: int, minute: int) -> None:
    mine = [each for each in world.records(name, Lock, place=LOCKS) if each.agent == name]
    if mine:
        world.change(name, LOCKS, minute, lambda change: change.delete(mine[which % len(mine)].path))


def sign_of_life(world: World, name: str, which: int, minute: int) -> None:
    seen(world.clones[name], "web", CLONES[which % 3], status="busy", task=f"task {which}")


def sync(world: World, name: str, which: int, minute: int) -> None:
    others = [each for each in CLONES if each != name]
    world.sync(name, "hub" if which % 3 else others[which % 2])


ACTS: tuple[Act, ...] = (
    create, edit, edit, edit, retitle, retitle, retitle, delete, move, link, claim, finish, message, answer, lock, unlock,
    sign_of_life, sync, sync, drop_project,
)  # fmt: skip

# --- the proof -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hub and three clones to start from. The hub is a repository like any, with no hook that would help."""
    folder = tmp_path_factory.mktemp("template")
    memory, _ = found(folder / "first.git")
    with memory.transaction(memory.view(), Caller("gitmem", "none"), "start") as change:
        for project in PROJECTS:
            change.put(Project(scope=f"projects/{project}", name=project))
        change.put(Knowledge(scope="projects/web", id="start-0000aa", title="Start", content="One.\n\nTwo.\n\nThree."))
        change.put(BacklogItem(scope="projects/web", id="start-0000bb", title="Start", text="One.\n\nTwo."))
        change.put(BacklogItem(scope="projects/web", id="again-0000cc", title="Again", text="One.\n\nTwo."))
        change.put(Checklist(scope="projects/web", name="list-0", items=(ChecklistItem(text="First"), ChecklistItem(text="Second"))))
    memory.close()
    git(folder, "clone", "-q", "--bare", "first.git", "hub.git")
    for name in CLONES:
        clone(str(folder / "hub.git"), folder / f"{name}.git").close()
        repository = Repository(folder / f"{name}.git")
        for other in CLONES:
            if other != name:
                hubs.add(repository, str(folder / f"{other}.git"), other)
        shutil.rmtree(folder / f"{name}.git" / "hooks")
        config = folder / f"{name}.git" / "config"
        config.write_text(config.read_text().replace(str(folder), "@FOLDER@"))
    return folder


ACTIONS = st.lists(
    st.tuples(st.sampled_from(ACTS), st.sampled_from(CLONES), st.integers(0, 35), st.integers(1, 5)), min_size=1, max_size=14
)


def converge(template: Path, actions: list[tuple[Act, str, int, int]]) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "world"
        shutil.copytree(template, folder)
        world = World(folder)
        world.open()
        try:
            for position, (act, name, which, minute) in enumerate(actions):
                act(world, name, which, 10 * minute + position)
            _sync_all(world)
            _check(world)
        finally:
            world.close()


def _sync_all(world: World) -> None:
    """Everybody once, and again all but the last, who has seen what the others did; who lost a lock is told by a message."""
    for _ in range(ROUNDS_MAX):
        for name in (*CLONES, *CLONES[:-1]):
            world.sync(name)
        refs = [_refs(world.folder / f"{name}.git") for name in ("hub", *CLONES)]
        if all(each == refs[0] for each in refs):
            return
    raise AssertionError("they do not come together")


def _refs(path: Path) -> dict[str, str]:
    repository = Repository(path)
    try:
        return {ref: oid for prefix in _SHARED for ref, oid in repository.refs.list(prefix).items()}
    finally:
        repository.objects.close()


def _check(world: World) -> None:
    hub = _refs(world.folder / "hub.git")
    for memory in world.clones.values():
        assert _refs(memory.path) == hub
    memory = world.clones["ann"]
    contents: dict[str, list[bytes]] = {"main": []}
    for ref, oid in hub.items():
        family = ref.split("/")[2] if ref.startswith("refs/gitmem/") else "main"
        if family in ("main", "locks", "messages"):
            view = memory.view(commit=oid)
            data = [memory.repository.objects.blob(entry.oid) for _, entry in view.files()]
            assert not any(b"<<<<<<<" in each or b">>>>>>>" in each for each in data)
            contents.setdefault(family, []).extend(data)
    contents.setdefault("locks", []).extend(world.told)
    missing = [word for word, place in world.words.items() if not _has(contents.get(place.family, []), word)]
    assert missing == []
    _check_records(memory)
    assert run_git(world.folder / "hub.git", "fsck", "--strict", "--no-dangling") == ""


def _has(texts: list[bytes], word: str) -> bool:
    return any(word.encode() in text for text in texts)


def _check_records(memory: Memory) -> None:
    for place in (MAIN_PLACE, LOCKS, MESSAGES):
        view = memory.view(place)
        for path, entry in view.files():
            decoded = view.decoded(path)
            assert decoded is None or decoded.problems == ()
            if decoded and decoded.record and decoded.record.path != "gitmem.yaml":
                assert encode(decoded.record) == memory.repository.objects.blob(entry.oid)
    ids = [item.id for item in memory.view().records(BacklogItem)]
    assert len(set(ids)) == len(ids)


_HEALTH = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(max_examples=8, suppress_health_check=_HEALTH)
@given(ACTIONS)
def test_three_clones_that_sync_in_any_order_end_up_the_same_and_lose_nothing(template: Path, actions: list[Any]):
    converge(template, actions)


@pytest.mark.slow
@settings(max_examples=500, suppress_health_check=_HEALTH)
@given(ACTIONS)
def test_three_clones_end_up_the_same_in_500_worlds(template: Path, actions: list[Any]):
    converge(template, actions)
