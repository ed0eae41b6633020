"""Any calls in any order: what is refused writes nothing, what reads moves nothing, and all that was written is in order."""

import json
import random
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from gitmem.answers import schema_of, structured
from gitmem.domains.doctor import Finding
from gitmem.domains.examining import examine
from gitmem.domains.verifying import verify
from gitmem.errors import GitmemError
from gitmem.facade.calls import Bug, Claims, Office
from gitmem.facade.text import render
from gitmem.founding import found
from gitmem.git.repository import MAIN
from gitmem.memory.checking import check
from gitmem.memory.memory import Memory
from gitmem.records.shape import Json
from gitmem.verbs import VERBS, Answer, Verb
from tests.conftest import git

CALLS = 600
AGENTS, PROJECTS = ("ann", "bob", "cy"), ("web", "api")
MARKS = ("refs/gitmem/presence/", "refs/gitmem/inbox/", "refs/gitmem/usage/")
WORDS = ("retry", "backoff", "jitter", "cache", "tenant", "queue", "schema", "lock", "über", "数据库", "שלום", "🚀", "a.b_c", "C++")
TEXTS = (
    "# Title\n\nSome text.\n\n## Fix\n\n- one\n", "```\n<<<<<<< x\n```", "---\ntitle: x\n---\nbody", "key: value\nother: [1, 2\n",
    "line\r\nline  \r\n", "| a | b |\n|---|---|\n", "text\n---\ntext\n...\n", "\u202eRTL\u202c", "word " * 900, "null", "1.10", "<<: *x",
    "one\u2028TOLD two", "one\x85TOLD two", "one\nTOLD two",
)  # fmt: skip
NASTY = ("", " ", "\x00", "\ud800", "../x", "*", "x" * 300, "<<<<<<< a\nx\n>>>>>>> b\n", "HEAD", "con", None, -1, 10**30, float("nan"), [None], {"": 1})
NAMES = ("launch", "stack", "orders-api")
CHOICES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("agent", "member", "assigned_to", "to_instance", "names", "to"), AGENTS),
    **dict.fromkeys(("name", "key", "team"), NAMES), "project": PROJECTS,
    **dict.fromkeys(("files", "files_touched", "path_pattern", "files_modified"), ("src/a.py", "src/", "*.py", "docs/")),
    **dict.fromkeys(("tag", "tags"), ("network", "old", "perf")), **dict.fromkeys(("signals", "waiting_for_signal"), ("ready",)),
}  # fmt: skip
LEARNT = {
    **dict.fromkeys(("superseded_by", "supersedes", "parent", "blocked_by", "reply_to", "thread"), "id"), "tip": "commit",
    **dict.fromkeys(("commit", "as_of", "since"), "commit"), **dict.fromkeys(("if_version", "version", "from_version"), "version"),
}  # fmt: skip


class Caller:
    """Calls verbs as anybody does: mostly with what makes sense, and with ids and versions of earlier answers."""

    def __init__(self, path: Path, seed: int) -> None:
        self.office = Office(found(path)[0])
        self.random = random.Random(seed)
        self.learnt: dict[str, list[str]] = defaultdict(list)

    def call(self, name: str, arguments: dict[str, Json], agent: str, project: str) -> dict[str, Json] | None:
        """The answer, held against all that was promised of it; None if the call is refused."""
        refs = self.office.memory.repository.refs
        before = refs.list("refs/")
        try:
            answer = self.office.call(name, arguments, Claims(agent=agent, project=project))
        except GitmemError as error:
            refused = error
        else:
            return self.answered(name, arguments, answer, before)
        said = (name, arguments, str(refused))
        assert not isinstance(refused, Bug), said
        assert refused.message.strip(), said
        assert refused.fix.strip(), said
        assert refs.list("refs/") == before, said
        return None

    def answered(self, name: str, arguments: dict[str, Json], answer: Answer, before: dict[str, str]) -> dict[str, Json]:
        """The answer, of which all is as it was promised."""
        verb = answer.verb
        told = structured(answer)
        json.dumps(told, allow_nan=False, ensure_ascii=False).encode()
        if not answer.proposal:
            jsonschema.validate(told, schema_of(verb))
        shown = render(told, verb, arguments).splitlines()
        assert name in ("guidelines", "brief", "start_session") or not any(line.lstrip(" -").startswith("TOLD") for line in shown)
        after = self.office.memory.repository.refs.list("refs/")
        moved = [ref for ref in {*before, *after} if before.get(ref) != after.get(ref)]
        assert verb.writes or all(verb.marks and ref.startswith(MARKS) for ref in moved), (name, arguments, moved)
        self.learn("", verb.group, told)
        return told

    def learn(self, name: str, group: str, value: Json) -> None:
        for key, each in value.items() if isinstance(value, dict) else ((name, one) for one in value):
            if isinstance(each, (dict, list)):
                self.learn(key, group, each)
            elif isinstance(each, str) and key in ("id", "proposal", "session_id", "commit", "version"):
                self.learnt[{"id": f"{group} id", "proposal": "reviews id"}.get(key, key)].append(each)

    def arguments(self, verb: Verb) -> dict[str, Json]:
        given = [each for each in verb.parameters.values() if each.required or self.random.random() < 0.3]
        made = {each.name: self.value(verb, each.name, each.schema) for each in given if each.name != "hubs"}
        if verb.waits:
            made["timeout_seconds"] = 0
        return made | ({"as_proposal": True} if verb.writes and self.random.random() < 0.1 else {})

    def value(self, verb: Verb, name: str, schema: dict[str, Any]) -> Json:
        pick = self.random.choice
        if self.random.random() < 0.02:
            return pick(NASTY)
        match schema.get("type"):
            case _ if "enum" in schema:
                return pick(schema["enum"])
            case "integer" | "number":
                return pick((0, 1, 2, 5, 20))
            case "boolean":
                return pick((True, False))
            case "array":
                return [self.value(verb, name, schema["items"]) for _ in range(pick((0, 1, 2)))]
            case "object":
                parts = schema.get("properties", {})
                return {key: self.value(verb, key, each) for key, each in parts.items() if each} or {"title": pick(WORDS)}
        if name in CHOICES:
            return pick(CHOICES[name] if verb.name != "project" or name != "name" else PROJECTS)
        if (of := LEARNT.get(name, name)) in ("id", "commit", "version"):
            group = "knowledge" if verb.group == "undo" else verb.group
            return pick(self.learnt[f"{group} id" if of == "id" else of][-20:] or ["none-00000000"])
        return " ".join(pick(WORDS) for _ in range(pick((1, 2, 5)))) if self.random.random() < 0.8 else pick(TEXTS)


def ordered(told: dict[str, Json]) -> list[str]:
    return sorted(each["id"] for each in told["results"])


def findings(memory: Memory) -> Iterator[Finding]:
    yield from (each for each in examine(memory.path, records=True).findings if each.state != "ok")


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 12))])
def test_whatever_is_called_the_memory_stays_in_order(tmp_path: Path, seed: int) -> None:
    caller = Caller(tmp_path / "m.git", seed)
    memory = caller.office.memory
    for project in PROJECTS:
        caller.call("project", {"action": "create", "name": project}, "ann", "")
        for agent in AGENTS[1:]:
            caller.call("project", {"action": "add_agent", "name": project, "member": agent}, "ann", project)
    verbs = [verb for verb in VERBS.values() for _ in range(3 if verb.writes else 1)]
    for _ in range(CALLS):
        verb = caller.random.choice(verbs)
        caller.call(verb.name, caller.arguments(verb), caller.random.choice(AGENTS), caller.random.choice(PROJECTS))
    asked = [caller.call("search_global", {"query": word, "limit": 50}, "ann", "web") for word in WORDS]
    caller.office.index.rebuild()
    again = [caller.call("search_global", {"query": word, "limit": 50}, "ann", "web") for word in WORDS]
    assert [ordered(each) for each in asked if each] == [ordered(each) for each in again if each]
    assert list(findings(memory)) == []
    assert verify(memory, lambda *_: None).faults == ()
    assert check(memory.repository, "", git(memory.path, "rev-parse", f"{MAIN}^{{tree}}").strip()).problems == ()
    git(memory.path, "fsck", "--strict")
    caller.office.close()
