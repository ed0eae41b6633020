"""Agents work offline in two clones and at the hub, a memory with its hooks, with all that verbs can do.

Whatever they were allowed to do, the hub's gate takes: no history is a dead end, and all end up the same.
"""

import getpass
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gitmem.cloning import clone
from gitmem.domains import upkeep
from gitmem.domains.backlog.record import BacklogItem
from gitmem.domains.knowledge.record import Knowledge
from gitmem.domains.messages.record import Message
from gitmem.domains.sessions import LiveSession
from gitmem.errors import GitmemError
from gitmem.git.chains import Chains
from gitmem.git.repository import run_git
from gitmem.memory import hubs
from gitmem.memory.caller import Caller
from gitmem.memory.rerooting import begin_anew
from gitmem.memory.sync import Sync, shared_refs
from gitmem.memory.view import Place
from gitmem.names import now
from gitmem.records.kind import Record
from tests.conftest import Team
from tests.proofs.test_convergence import _HEALTH

CLONES = ("one", "two")
PLACES = ("hub", *CLONES)
AGENTS = ("ann", "bob", "eve")  # an admin, a member, and one whom the hub does not know
ROUNDS_MAX = 4
# By this address it counts only who pushes, as by a plain push: nobody who could speak for agents, until they are let in.
STRICT = "file://localhost"
LET_IN = f"format: 1\npeople:\n- name: pat\n  os_users: [{getpass.getuser()}]\n  speaks_for: ['*']\n"


@dataclass
class World:
    """A hub, two clones of it, and who has which session where."""

    folder: Path
    address: str = ""  # before the path of the hub
    teams: dict[str, Team] = field(default_factory=dict)
    sessions: dict[tuple[str, str], str] = field(default_factory=dict)

    def open(self) -> None:
        (self.folder / "way.git").symlink_to(self.folder / "hub.git")
        for name in CLONES:
            config = self.folder / f"{name}.git" / "config"
            config.write_text(config.read_text().replace("@HUB@", f"{self.address}{self.folder}/way.git"))
        self.teams = {name: Team(self.folder / f"{name}.git") for name in PLACES}

    def close(self) -> None:
        for team in self.teams.values():
            team.close()

    @contextmanager
    def offline(self) -> Iterator[None]:
        way = self.folder / "way.git"
        way.unlink()
        try:
            yield
        finally:
            way.symlink_to(self.folder / "hub.git")

    def call(self, where: str, agent: str, verb: str, /, **arguments: Any) -> Any:
        """What a verb answers; None if it refuses."""
        team, session = self.teams[where], self.sessions.get((where, agent), "")
        try:
            if where == "hub":
                return team.call(verb, agent=agent, session=session, arguments=arguments)
            with self.offline():
                return team.call(verb, agent=agent, session=session, arguments=arguments)
        except GitmemError:
            return None

    def some(self, where: str, which: int, cls: type[Record], family: str = "") -> Any:
        place = Place(family, "web") if family else None
        memory = self.teams[where].memory
        found = sorted((memory.view(place) if place else memory.view()).records(cls), key=lambda each: each.path)
        return found[which % len(found)] if found else None

    def sync(self, name: str, *, may_be_refused: bool = False) -> None:
        memory = self.teams[name].memory
        hub = hubs.hub_named(memory.repository, "hub")
        report = Sync(memory, hub, hub.remote(memory.repository)).run()
        assert may_be_refused or report.refused == (), "\n".join(f"{each.ref}: {each.why}" for each in report.refused)

    def refs(self) -> list[dict[str, str]]:
        return [shared_refs(team.memory) for team in self.teams.values()]


Act = Callable[[World, str, str, int], object]  # world, where, agent, which of several


def on_item(verb: str, **arguments: Any) -> Act:
    def act(world: World, where: str, agent: str, which: int) -> None:
        if item := world.some(where, which, BacklogItem):
            world.call(where, agent, verb, id=item.id, **{k: v(which) if callable(v) else v for k, v in arguments.items()})

    return act


def on_fact(verb: str, **arguments: Any) -> Act:
    def act(world: World, where: str, agent: str, which: int) -> None:
        if fact := world.some(where, which, Knowledge):
            world.call(where, agent, verb, id=fact.id, **{k: v(which) if callable(v) else v for k, v in arguments.items()})

    return act


def on_message(verb: str, **arguments: Any) -> Act:
    def act(world: World, where: str, agent: str, which: int) -> None:
        if message := world.some(where, which, Message, "messages"):
            world.call(where, agent, verb, id=message.id, **arguments)

    return act


def says(verb: str, **arguments: Any) -> Act:
    def act(world: World, where: str, agent: str, which: int) -> None:
        world.call(where, agent, verb, **{k: v(which) if callable(v) else v for k, v in arguments.items()})

    return act


def link(world: World, where: str, agent: str, which: int) -> None:
    item, other = (world.some(where, each, BacklogItem) for each in (which, which + 1))
    if item:
        world.call(where, agent, "update_backlog_item", id=item.id, **({"blocked_by": (other.id,)} if which % 2 else {"parent": other.id}))


def supersede(world: World, where: str, agent: str, which: int) -> None:
    old, new = (world.some(where, each, Knowledge) for each in (which, which + 1))
    if old:
        world.call(where, agent, "change_status", id=old.id, new_status="superseded", superseded_by=new.id)


def drop(world: World, where: str, agent: str, which: int) -> None:
    if item := world.some(where, which, BacklogItem):
        world.call(where, agent, "batch_backlog", action="delete", items=({"id": item.id},), reason="not needed")


def start(world: World, where: str, agent: str, which: int) -> None:
    answer = world.call(where, agent, "start_session", agent=agent, task_description=f"task {which}")
    if answer:
        world.sessions[where, agent] = answer["session_id"]


def end(world: World, where: str, agent: str, which: int) -> None:
    world.call(where, agent, "end_session", summary=f"did {which}", handoff_notes="look at it")
    world.sessions.pop((where, agent), None)


def sweep(world: World, where: str, agent: str, which: int) -> None:
    """Upkeep gives up a session that has been silent for long."""
    team = world.teams[where]
    old = LiveSession(scope="projects/web", id=f"web_{agent}_{which:08x}", agent=agent, task="old work", started=now() - timedelta(days=40))
    place = Place("sessions", "web")
    with team.memory.transaction(team.memory.view(place), Caller(agent, "declared"), "start") as change:
        change.put(old)
    tend(world, where, agent, which)


def tend(world: World, where: str, agent: str, which: int) -> None:
    team = world.teams[where]
    upkeep.tend(team.memory, team.index)


def root_anew(world: World, where: str, agent: str, which: int) -> None:
    team = world.teams["hub"]
    place = Place(("locks", "messages", "sessions", "reviews")[which % 4], "web")
    if team.memory.head(place):
        begin_anew(team.memory, Chains(team.memory.repository), place)


def propose(world: World, where: str, agent: str, which: int) -> None:
    if fact := world.some(where, which, Knowledge):
        change = {"verb": "edit", "arguments": {"id": fact.id, "operation": "append", "text": f"Proposed {which}."}}
        world.call(where, agent, "propose", title=f"Proposal {which}", reason="better", changes=(change,))


def decide(world: World, where: str, agent: str, which: int) -> None:
    listed = world.call(where, agent, "list_proposals")
    if listed and listed["proposals"]:
        chosen = listed["proposals"][which % len(listed["proposals"])]["id"]
        verb = ("approve_proposal", "approve_proposal", "comment_proposal", "reject_proposal", "withdraw_proposal")[which % 5]
        more = {"comment_proposal": {"comment": "hm"}, "reject_proposal": {"reason": "no"}}.get(verb, {})
        world.call(where, agent, verb, id=chosen, **more)


def register(world: World, where: str, agent: str, which: int) -> None:
    new = f"new-{which % 3}"
    world.call(where, agent, "project", action="add_agent", name="web", member=new, tier=("pending", "member", "admin")[which % 3])
    world.call(where, new, "record_learning", topic=f"by {new} {which}", content="I am new.")


def undo(world: World, where: str, agent: str, which: int) -> None:
    log = list(world.teams[where].memory.repository.log(world.teams[where].memory.head(), limit=6))
    world.call(where, agent, "revert", commit=log[which % len(log)].oid)


def sync(world: World, where: str, agent: str, which: int) -> None:
    if where != "hub":
        world.sync(where, may_be_refused=bool(world.address))


def _long(which: int) -> str:
    return "\n\n".join(f"Part {number}: " + "word " * 20 for number in range(12 if which % 2 else 2))


ACTS: dict[str, Act] = {
    "learn": says("record_learning", topic=lambda n: f"Fact {n}", content=lambda n: f"About {n}."),
    "append": on_fact("edit", operation="append", text=lambda n: f"More {n}."),
    "retitle": on_fact("edit", operation="set_fields", fields=lambda n: {"title": f"Title {n}"}),
    "supersede": supersede,
    "status": on_fact("change_status", new_status="archived"),
    "delete": on_fact("delete", reason="wrong"),
    "archive": says("archive_by_tag", tag="old"),
    "add": says("add_backlog_item", title=lambda n: f"Item {n}", description="Do it."),
    "rename": on_item("update_backlog_item", title=lambda n: f"Renamed {n}"),
    "move": on_item("update_backlog_item", project=lambda n: ("api", "web")[n % 2]),
    "link": link,
    "drop": drop,
    "claim": on_item("claim_backlog_item"),
    "plan": on_item("set_plan", plan=lambda n: f"Plan {n}"),
    "complete": on_item("complete_backlog_item", resolution=lambda n: f"Done {n}"),
    "list": says("checklist", action="create", name=lambda n: f"list-{n % 2}", items=("a", "b")),
    "check": says("checklist", action="check", name=lambda n: f"list-{n % 2}", item_index=0),
    "unlist": says("checklist", action="delete", name=lambda n: f"list-{n % 2}"),
    "remember": says("remember", key=lambda n: f"key-{n % 2}", value=lambda n: f"Value {n}", category=lambda n: ("term", "person")[n // 2 % 2]),
    "recall": says("recall", key=lambda n: f"key-{n % 2}"),
    "forget": says("forget", key=lambda n: f"key-{n % 2}"),
    "context": says("context", action="set", key=lambda n: f"c-{n % 2}", value=lambda n: {"n": n}),
    "guideline": says("guidelines", action="set", name=lambda n: f"rule-{n % 2}", rule=lambda n: f"Always {n}."),
    "spec": says("define_spec", name=lambda n: f"api-{n % 2}", content=lambda n: f"GET /{n}", bump=lambda n: ("minor", "major")[n % 2]),
    "state": says("define_spec", name="state-0", spec_type="state", content=_long, force=True),
    "transfer": says("transfer_spec", name=lambda n: f"api-{n % 2}", to=lambda n: AGENTS[n % 3]),
    "lock": says("lock_files", files=lambda n: (("a.py", "src/", "src/b.py")[n % 3],), reason="work", mode=lambda n: ("exclusive", "shared")[n % 2]),
    "renew": says("renew_locks"),
    "unlock": says("unlock_files"),
    "break": says("break_lock", files=lambda n: (("a.py", "src/", "src/b.py")[n % 3],), reason="gone"),
    "send": says("send_message", to_instance=lambda n: ("*", *AGENTS)[n % 4], message=lambda n: f"Hello {n}"),
    "read": says("get_messages"),
    "claim message": on_message("claim_message"),
    "acknowledge": on_message("acknowledge_message"),
    "answered": on_message("update_message_status", status="completed"),
    "work": says("update_work", title=lambda n: f"Work {n % 2}", status=lambda n: ("in_progress", "blocked", "completed")[n % 3], signals=("ready",)),
    "start": start,
    "heartbeat": says("heartbeat"),
    "end": end,
    "sweep": sweep,
    "tend": tend,
    "root anew": root_anew,
    "propose": propose,
    "decide": decide,
    "register": register,
    "update": says("project", action="update_agent", name="web", member="bob", role=lambda n: f"role {n}"),
    "remove": says("project", action="remove_agent", name="web", member=lambda n: f"new-{n % 3}"),
    "own": says("owners", action="set", paths=lambda n: (f"projects/web/{('knowledge', 'backlog', 'specs')[n % 3]}/",), names=lambda n: (AGENTS[n % 2],)),
    "autopilot": says("set_autopilot", agent="bob", enabled=True),
    "pause": says("pause_autopilot", agent="bob"),
    "undo": undo,
    "sync": sync,
}  # fmt: skip
NAMES = [*ACTS, "sync", "sync", "sync", "decide", "propose", "start", "append", "learn", "add"]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hub with its hooks and members, and two clones."""
    folder = tmp_path_factory.mktemp("template")
    hub = Team(folder / "hub.git")
    for project in ("web", "api"):
        hub.call("project", action="create", name=project)
    hub.call("project", action="add_agent", name="web", member="bob", tier="member")
    for number in range(2):
        hub.call("record_learning", topic=f"Start {number}", content="About.", tags=("old",))
        hub.call("add_backlog_item", title=f"Begin {number}")
    hub.close()
    for name in CLONES:
        clone(str(folder / "hub.git"), folder / f"{name}.git").close()
        config = folder / f"{name}.git" / "config"
        config.write_text(config.read_text().replace(str(folder / "hub.git"), "@HUB@"))
    return folder


ACTIONS = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(("one", "one", "two", "two", "hub")), st.sampled_from(AGENTS), st.integers(0, 11)),
    min_size=2, max_size=30,
)  # fmt: skip


def work_apart(template: Path, actions: list[tuple[str, str, str, int]], address: str = "") -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "world"
        shutil.copytree(template, folder)
        world = World(folder, address)
        world.open()
        try:
            for name, where, agent, which in actions:
                ACTS[name](world, where, agent, which)
            if address:
                world.teams["hub"].write("gitmem.yaml", LET_IN)
            _come_together(world)
        finally:
            world.close()
        assert run_git(folder / "hub.git", "fsck", "--strict", "--no-dangling") == ""


def _come_together(world: World) -> None:
    for _ in range(ROUNDS_MAX):
        for name in CLONES:
            world.sync(name)
        refs = world.refs()
        if all(each == refs[0] for each in refs):
            return
    differing = {ref for each in refs for ref in each if any(other.get(ref) != each[ref] for other in refs)}
    raise AssertionError(f"they do not come together: {sorted(differing)}")


@settings(max_examples=3, suppress_health_check=_HEALTH)
@given(ACTIONS)
def test_what_agents_did_offline_is_taken_by_a_hub_with_its_hooks(template: Path, actions: list[Any]):
    work_apart(template, actions)


@settings(max_examples=2, suppress_health_check=_HEALTH)
@given(ACTIONS)
def test_what_was_refused_as_long_as_nobody_was_let_in_is_taken_afterwards(template: Path, actions: list[Any]):
    work_apart(template, actions, STRICT)


@pytest.mark.slow
@settings(max_examples=100, suppress_health_check=[*_HEALTH, HealthCheck.data_too_large])
@given(ACTIONS)
def test_what_agents_did_offline_is_taken_by_a_hub_in_100_worlds(template: Path, actions: list[Any]):
    work_apart(template, actions)


@pytest.mark.slow
@settings(max_examples=100, suppress_health_check=[*_HEALTH, HealthCheck.data_too_large])
@given(ACTIONS)
def test_what_was_refused_is_taken_afterwards_in_100_worlds(template: Path, actions: list[Any]):
    work_apart(template, actions, STRICT)
