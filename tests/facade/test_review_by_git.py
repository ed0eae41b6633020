"""A proposal of an agent, reviewed by a person with nothing but git: fetched, read, merged, pushed; and seen as merged."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from mcp import Client
from serving import over_stdio
from test_push import Person

from gitmem.domains.verifying import verify
from gitmem.facade.received import received
from gitmem.memory.claims import claim
from tests.conftest import Team, git
from tests.domains.test_reviews import LEARNING, proposed
from tests.test_tutorial import ROOT, run_page


@pytest.fixture(autouse=True)
def bob(team: Team) -> str:
    team.call("project", action="add_agent", name="web", member="bob", tier="member")
    return "bob"


@pytest.fixture
def pat(team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Person:
    """Somebody whom a front door knows as pat."""
    team.call("project", action="add_human", name="web", member="pat", tier="admin")
    for name, value in claim(team.memory.path, "pat").items():
        monkeypatch.setenv(name, value)
    return Person(team.memory.path, tmp_path / "clone")


def said(done: "subprocess.CompletedProcess[str]") -> list[str]:
    assert done.returncode == 0, done.stderr
    lines = [line.removeprefix("remote: ").rstrip() for line in done.stderr.splitlines() if line.startswith("remote:")]
    return [line for line in lines if line]


def branches(team: Team) -> list[str]:
    return list(team.memory.repository.refs.list("refs/heads/proposals/"))


@pytest.mark.anyio
@pytest.mark.parametrize("way", ["git", "verbs"])
async def test_a_proposal_over_mcp_is_reviewed_and_seen_as_merged_by_its_agent(team: Team, pat: Person, way: str):
    settings = json.dumps({"agent": "bob", "project": "web"})
    async with Client(over_stdio(team.memory.path, settings)) as client:
        made = await client.call_tool("memory_record_learning", {**LEARNING, "as_proposal": "Please look at this."})
        proposal = made.structured_content["proposal"]
        assert made.content[0].text.startswith("Proposed, and not in the memory yet.")
        found = await client.call_tool("memory_query", {"query": "jitter"})
        assert found.structured_content["results"] == []

        if way == "git":
            git(pat.clone, "fetch", "-q")
            text = git(pat.clone, "diff", f"main...origin/proposals/{proposal}")
            assert "+With jitter." in text
            git(pat.clone, "merge", "-q", "--no-ff", "-m", "Take it in", f"origin/proposals/{proposal}")
            assert said(pat.git_push("origin", "main")) == [f"gitmem: proposal {proposal} is merged"]
        else:
            team.call("approve_proposal", id=proposal)

        shown = await client.call_tool("memory_call", {"tool": "get_proposal", "arguments": {"id": proposal}})
        assert shown.structured_content["status"] == "merged"
        assert shown.structured_content["closed_by"] == ("pat" if way == "git" else "ann")
        assert "+With jitter." in shown.structured_content["diff"]
        found = await client.call_tool("memory_query", {"query": "jitter"})
        assert [hit["author"] for hit in found.structured_content["results"]] == ["bob"]
        told = await client.call_tool("memory_get_messages", {})
        by = "pat" if way == "git" else "ann"
        assert [each["subject"] for each in told.structured_content["messages"]] == [f"Merged by {by}: learning: Retries back off"]
    assert branches(team) == []


def test_a_fast_forward_is_a_merge_too_and_the_pusher_is_the_approver(team: Team, pat: Person):
    proposal = proposed(team)
    git(pat.clone, "fetch", "-q")
    git(pat.clone, "merge", "-q", "--ff-only", f"origin/proposals/{proposal}")
    assert said(pat.git_push("origin", "main")) == [f"gitmem: proposal {proposal} is merged"]
    shown = team.call("get_proposal", id=proposal)
    assert (shown["status"], shown["closed_by"]) == ("merged", "pat")
    assert "+With jitter." in shown["diff"]
    assert branches(team) == []
    [hit] = team.call("query", query="jitter")["results"]
    whole = team.call("get_by_id", id=hit["id"])
    assert (whole["author"], whole["approver"]) == ("bob", "pat")


def test_what_was_let_in_by_fast_forward_is_in_order_for_verify(team: Team, pat: Person):
    git(pat.clone, "checkout", "-q", "-b", "rules")
    for name in ("first", "second"):
        path = pat.clone / f"projects/web/guidelines/{name}.md"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"---\nname: {name}\npriority: 50\n---\nDo.\n")
        git(pat.clone, "add", "-A")
        git(pat.clone, "commit", "-qm", name, "--author=Jo Doe <jo@example.com>")
    pat.push("origin", "HEAD:refs/heads/proposals/two-rules")
    git(pat.clone, "push", "-q", "origin", "HEAD:main")
    found = verify(team.memory, lambda *_: None, afresh=True)
    assert [each.what for each in found.faults] == []


def test_several_proposals_in_one_push_are_all_closed(team: Team, pat: Person):
    ids = sorted(proposed(team, topic=f"Number {number}", content=f"x{number}") for number in range(3))
    left = proposed(team, topic="Left", content="open")
    git(pat.clone, "fetch", "-q")
    for each in ids:
        git(pat.clone, "merge", "-q", "--no-ff", "-m", "in", f"origin/proposals/{each}")
    assert said(pat.git_push("origin", "main")) == [f"gitmem: proposal {each} is merged" for each in ids]
    assert branches(team) == [f"refs/heads/proposals/{left}"]


def test_a_person_proposes_by_pushing_a_branch_and_an_agent_approves(team: Team, pat: Person):
    pat.write("README.md", "# Ours\n")
    git(pat.clone, "commit", "-qam", "Say whose it is")
    assert said(pat.git_push("origin", "HEAD:proposals/our-readme")) == []
    [listed] = team.call("list_proposals")["proposals"]
    assert (listed["id"], listed["title"], listed["author"]) == ("our-readme", "Say whose it is", "Pat Person")
    assert team.refusal("approve_proposal", agent="pat", id="our-readme").message.startswith("our-readme has changes of pat's own")
    team.call("approve_proposal", agent="bob", id="our-readme")
    assert git(team.memory.path, "show", "main:README.md") == "# Ours\n"
    assert git(team.memory.path, "log", "-1", "--no-merges", "--format=%an", "main", "--", "README.md").strip() == "Pat Person"


def test_a_proposal_that_main_went_past_is_merged_with_main_by_hand(team: Team, pat: Person):
    record = team.call("record_learning", **LEARNING)
    edit = {"id": record["id"], "operation": "find_replace", "find": "With jitter."}
    proposal = team.call("edit", agent="bob", as_proposal=True, text="Without.", **edit)["proposal"]
    team.call("edit", text="With much.", **edit)
    assert "no longer fits main" in team.refusal("approve_proposal", id=proposal).message
    git(pat.clone, "fetch", "-q")
    git(pat.clone, "checkout", "-q", "-b", "mend", f"origin/proposals/{proposal}")
    git(pat.clone, "merge", "-q", "-X", "ours", "-m", "Take main in", "origin/main")
    assert said(pat.git_push("origin", f"HEAD:proposals/{proposal}")) == []
    assert team.call("get_proposal", id=proposal)["conflicts"] == []
    team.call("approve_proposal", id=proposal)
    assert team.call("get_by_id", id=record["id"])["content"] == "Without."


def test_a_branch_that_a_person_removes_is_withdrawn_and_its_commits_are_kept(team: Team, pat: Person):
    proposal = proposed(team)
    done = said(pat.git_push("origin", "--delete", f"proposals/{proposal}"))
    assert done == [f"gitmem: proposal {proposal} is withdrawn; its commits are kept as the tag closed/{proposal}"]
    shown = team.call("get_proposal", id=proposal)
    assert (shown["status"], shown["closed_by"], shown["why"]) == ("withdrawn", "pat", "Its branch was removed.")
    assert "+With jitter." in shown["diff"]


def test_a_squash_is_seen_without_a_hook(team: Team, pat: Person):
    proposal = proposed(team)
    git(pat.clone, "fetch", "-q")
    git(pat.clone, "merge", "-q", "--squash", f"origin/proposals/{proposal}")
    git(pat.clone, "commit", "-qm", "squashed")
    assert said(pat.git_push("origin", "main")) == []
    shown = team.call("get_proposal", id=proposal)
    assert (shown["status"], shown["note"]) == ("merged", "everything of it is on main already")


def test_a_merge_is_seen_where_no_hook_runs(team: Team, pat: Person):
    proposal = proposed(team)
    (team.memory.path / "hooks" / "post-receive").unlink()
    git(pat.clone, "fetch", "-q")
    git(pat.clone, "merge", "-q", "--no-ff", "-m", "in", f"origin/proposals/{proposal}")
    assert said(pat.git_push("origin", "main")) == []
    assert team.call("get_proposal", id=proposal)["status"] == "merged"
    assert team.call("list_proposals")["total"] == 0
    assert team.call("list_proposals", status="merged")["total"] == 1


def test_the_hook_never_fails_a_push(team: Team, pat: Person, monkeypatch: pytest.MonkeyPatch):
    proposal = proposed(team)
    git(pat.clone, "fetch", "-q")
    git(pat.clone, "merge", "-q", "--no-ff", "-m", "in", f"origin/proposals/{proposal}")
    hook = team.memory.path / "hooks" / "post-receive"
    hook.write_text(hook.read_text().replace(sys.executable, "/bin/false"))
    assert said(pat.git_push("origin", "main")) == []
    assert team.call("get_proposal", id=proposal)["status"] == "merged"
    monkeypatch.setenv("GIT_DIR", str(pat.clone))
    assert received([["0" * 40, "1" * 40, "refs/heads/main"]]) == 0
    assert received([]) == 0


def test_a_hook_that_was_there_before_still_runs(team: Team, pat: Person):
    former = team.memory.path / "hooks" / "post-receive.former"
    former.write_text('#!/bin/sh\nwhile read old new ref; do echo "former saw $ref" >&2; done\n')
    former.chmod(0o755)
    pat.write("README.md", "# Ours\n")
    git(pat.clone, "commit", "-qam", "x")
    assert said(pat.git_push("origin", "main")) == ["former saw refs/heads/main"]


def test_the_page_about_reviews_runs_as_it_is_written(tmp_path: Path):
    run_page(ROOT / "docs" / "review.md", tmp_path)
