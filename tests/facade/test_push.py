"""A person's real clone, edit and push: what comes in, and the whole text that git shows when it does not."""

import os
import pwd
import re
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from gitmem.domains.knowledge.record import Knowledge
from gitmem.errors import GitmemError
from gitmem.memory.caller import Caller
from gitmem.memory.gate import FILE_MAX_BYTES
from gitmem.names import format_time, new_id, now, slugify
from gitmem.records.codec import encode
from tests.conftest import Team, git
from tests.proofs.workers import Agent, Worker, make, start, word

HOME = "projects/web/knowledge/learning/"


# Who pushes by path: the user who runs the tests.
ME = slugify(pwd.getpwuid(os.getuid()).pw_name)


class Person:
    """Somebody with a clone of the memory and the git program."""

    def __init__(self, memory: Path, clone: Path) -> None:
        self.memory, self.clone = memory, clone
        git(memory.parent, "clone", "-q", str(memory), str(clone))

    def write(self, path: str, data: str | bytes) -> None:
        file = self.clone / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data.encode() if isinstance(data, str) else data)

    def commit(self) -> None:
        git(self.clone, "add", "-A")
        git(self.clone, "commit", "-qm", "by hand")

    def git_push(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = ["git", "-C", str(self.clone), "push", *(arguments or ("origin", "HEAD:main"))]
        return subprocess.run(command, capture_output=True, text=True, check=False, errors="surrogateescape")

    def push(self, *arguments: str) -> str:
        """Push; the lines that the memory says, or "accepted"."""
        done = self.git_push(*arguments)
        said = [line.removeprefix("remote: ").rstrip() for line in done.stderr.splitlines() if line.startswith("remote:")]
        if done.returncode == 0:
            return "\n".join(["accepted", *said])
        assert "rejected" in done.stderr or "failed to push" in done.stderr
        return "\n".join(said).rstrip("\n") + "\n"

    def refused(self, *arguments: str) -> str:
        """Push what must not come in: nothing has changed afterwards."""
        before = git(self.memory, "for-each-ref")
        said = self.push(*arguments)
        assert said != "accepted"
        assert git(self.memory, "for-each-ref") == before
        assert git(self.memory, "fsck", "--strict", "--no-dangling") == ""
        return said


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    make(tmp_path / "memory.git")
    return tmp_path / "memory.git"


@pytest.fixture
def ann(memory: Path) -> Iterator[Agent]:
    one = Agent(memory)
    yield one
    one.close()


@pytest.fixture
def pat(memory: Path, tmp_path: Path) -> Person:
    return Person(memory, tmp_path / "clone")


def learning(number: int = 0, **fields: object) -> Knowledge:
    about: dict[str, object] = {"scope": "projects/web", "id": f"by-hand-{number:08x}", "title": f"By hand {number}", "content": "Text."}
    return Knowledge(**about | fields)  # type: ignore[arg-type]


GOOD = learning(0xAB << 24)
GOOD_TEXT = encode(GOOD).decode()
BAD_PATH = f"{HOME}ab/bad-ab000001.md"


def report(*problems: str) -> str:
    count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
    listing = "".join(f"  {problem}\n" for problem in problems)
    return f"gitmem: the push has {count}. Nothing was changed.\n{listing}fix: mend the files, commit (or amend), and push again.\n"


# --- what comes in ---------------------------------------------------------------------------------


def test_a_good_push_is_accepted_and_the_next_search_of_an_open_memory_sees_it(pat: Person, ann: Agent):
    assert ann.call("query", query="handmade").value.results == ()
    pat.write(GOOD.path, encode(learning(0xAB << 24, content="Quite handmade.")))
    pat.commit()
    assert pat.push() == "accepted"
    assert [each.id for each in ann.call("query", query="handmade").value.results] == [GOOD.id]


def test_an_edit_of_an_agents_record_by_hand_is_accepted_and_seen(pat: Person, ann: Agent):
    record = ann.record("original")
    path = next(file for file, _ in ann.memory.view().files() if record["id"] in file)
    git(pat.clone, "pull", "-q")
    pat.write(path, (pat.clone / path).read_text().replace("The word is original.", "A person says zwieback."))
    pat.commit()
    assert pat.push() == "accepted"
    assert [each.id for each in ann.call("query", query="zwieback").value.results] == [record["id"]]
    assert ann.call("get_by_id", id=record["id"]).value.updated_by == "Pat Person"


def test_three_hundred_files_are_accepted_at_once(pat: Person, ann: Agent):
    for number in range(300):
        record = learning(number * 0x00DBCA97 % 2**32, title=f"Number {word(number)}")
        pat.write(record.path, encode(record))
    pat.commit()
    assert pat.push() == "accepted"
    assert len(list(ann.memory.view().records(Knowledge))) == 300
    assert ann.call("query", query=word(299)).value.results[0].title == f"Number {word(299)}"


def test_a_push_is_accepted_when_the_memorys_refs_and_objects_are_packed(pat: Person, ann: Agent):
    ann.record("before")
    ann.memory.upkeep.run(thorough=True)
    git(pat.clone, "pull", "-q")
    pat.write(GOOD.path, GOOD_TEXT)
    pat.commit()
    assert pat.push() == "accepted"
    ann.memory.upkeep.run(thorough=True)
    assert ann.call("get_by_id", id=GOOD.id).value.title == GOOD.title
    assert ann.call("query", query="before").value.results


def test_files_of_the_team_and_a_deletion_are_accepted(pat: Person):
    pat.write("README.md", "# Ours\n")
    pat.write(GOOD.path, GOOD_TEXT)
    pat.commit()
    assert pat.push() == "accepted"
    (pat.clone / GOOD.path).unlink()
    pat.commit()
    assert pat.push() == "accepted"


def test_a_branch_beside_main_is_accepted_without_the_gate(pat: Person):
    pat.write("anything.bin", b"\xff\x00")
    pat.commit()
    assert pat.push("origin", "HEAD:refs/heads/draft") == "accepted"
    assert pat.push("origin", ":refs/heads/draft") == "accepted"


def test_a_push_with_windows_line_ends_and_a_byte_order_mark_is_accepted_and_read(pat: Person, ann: Agent):
    pat.write(GOOD.path, b"\xef\xbb\xbf" + GOOD_TEXT.replace("\n", "\r\n").encode())
    pat.commit()
    assert pat.push() == "accepted"
    assert ann.call("get_by_id", id=GOOD.id).value.content == "Text."


# --- what does not ----------------------------------------------------------------------------------

BOMB = "---\na: &a [x, x]\nb: &b [*a, *a]\ntitle: *b\n---\n"
BAD_FILES: dict[str, tuple[str, str | bytes, list[str]]] = {
    "no title": (BAD_PATH, "---\ntags:\n- x\n---\n\nText.\n", [f"{BAD_PATH}: title is missing: what it says, in one line"]),
    "every problem of a file": (
        BAD_PATH,
        "---\ntitle: ''\nstatus: gone\nexpires: soon\ntags: 7\n---\n\nText.\n",
        [
            f"{BAD_PATH}:2: title is empty; one line of text is accepted",
            f"{BAD_PATH}:3: status is 'gone', not one of active, deprecated, superseded, archived, conflicted, review_pending, expired",
            f"{BAD_PATH}:4: expires is 'soon', not a time such as 2026-01-31T09:00:00Z",
        ],
    ),
    "not UTF-8": (BAD_PATH, b"---\ntitle: Caf\xe9\n---\n", [f"{BAD_PATH}:2: is not UTF-8: byte 0xe9 at offset 14. Save it as UTF-8"]),
    "a YAML bomb": (BAD_PATH, BOMB, [f"{BAD_PATH}:2: front matter uses an alias (*name); write the value out"]),
    "a YAML tag": (
        BAD_PATH,
        "---\ntitle: !!python/object/apply:os.system ['true']\n---\n",
        [f"{BAD_PATH}:2: front matter uses the tag 'tag:yaml.org,2002:python/object/apply:os.system'; only plain values are accepted"],
    ),
    "front matter that never ends": (
        BAD_PATH, "---\ntitle: x\n", [f"{BAD_PATH}:1: has front matter that never ends: a line `---` is missing"],
    ),
    "over the cap": (
        BAD_PATH,
        "---\ntitle: Long\n---\n\n" + "x" * FILE_MAX_BYTES,
        [f"{BAD_PATH}: has {FILE_MAX_BYTES + 21:,} bytes; at most {FILE_MAX_BYTES:,} are accepted"],
    ),
    "a body over its cap": (
        BAD_PATH,
        "---\ntitle: Long\n---\n\n" + "x" * 60_000 + "\n",
        [f"{BAD_PATH}: content has 60,000 bytes; at most 51,200 are accepted. Split it, or keep the long part elsewhere and link to it"],
    ),
    "conflict markers": (
        BAD_PATH,
        "---\ntitle: Merged\n---\n\n<<<<<<< HEAD\nmine\n=======\ntheirs\n>>>>>>> theirs\n",
        [f"{BAD_PATH}:5: has a conflict marker: '<<<<<<< HEAD'; if it is meant, put it into a ``` block", f"{BAD_PATH}:9: has a conflict marker: '>>>>>>> theirs'; if it is meant, put it into a ``` block"],
    ),
    "a control character": (
        BAD_PATH,
        "---\ntitle: Bell\n---\n\nDing \x07.\n",
        [f"{BAD_PATH}: content holds the control character '\\x07'; plain text is accepted"],
    ),
    "a place of its own": (
        "notes/todo.md",
        "buy milk\n",
        ["notes/todo.md: is no place for a file: files live at "],
    ),
    "the wrong shard": (
        f"{HOME}cd/by-hand-ab000000.md", GOOD_TEXT, [f"{HOME}cd/by-hand-ab000000.md: belongs at {GOOD.path}"],
    ),
    "upper case": (
        f"{HOME}ab/By-Hand-ab000000.md",
        GOOD_TEXT,
        [f"{HOME}ab/By-Hand-ab000000.md: id is 'By-Hand-ab000000', which is no id such as 'retry-policy-3fa2b81c'"],
    ),
    "a colon": (
        f"{HOME}ab/a:b-ab000000.md",
        GOOD_TEXT,
        [
            f"'{HOME}ab/a:b-ab000000.md': has a character in its path that not every system takes; a-z 0-9 . _ - are accepted",
            f"{HOME}ab/a:b-ab000000.md: id is 'a:b-ab000000', which is no id such as 'retry-policy-3fa2b81c'",
        ],
    ),
    "a settings file of another format": ("gitmem.yaml", "format: 99\n", [
        f"gitmem.yaml: says who may do what; {ME} may not change it, but ann may", "gitmem.yaml:1: format is 99; 1 to 1 are accepted",
    ]),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_among_good_ones_stops_the_push_and_says_what_and_where(pat: Person, case: str):
    path, data, problems = BAD_FILES[case]
    pat.write(GOOD.path, GOOD_TEXT)
    pat.write(path, data)
    pat.commit()
    said = pat.refused()
    if case == "a place of its own":  # the rest names homes, which are as many as there are kinds
        said = re.sub(r"(files live at ).*", r"\1", said)
    assert said == report(*problems)


def test_problems_of_all_files_are_listed_at_once_in_order(pat: Person):
    for number in (3, 1, 2):
        pat.write(f"{HOME}00/n-0000000{number}.md", "---\nstatus: gone\n---\n\nText.\n")
    pat.commit()
    status = "status is 'gone', not one of active, deprecated, superseded, archived, conflicted, review_pending, expired"
    title = "title is missing: what it says, in one line"
    assert pat.refused() == report(
        *(f"{HOME}00/n-0000000{n}.md{place}: {what}" for n in (1, 2, 3) for place, what in (("", title), (":2", status)))
    )


def test_links_executables_and_submodules_are_refused(pat: Person):
    pat.write(GOOD.path, GOOD_TEXT)
    (pat.clone / GOOD.path).chmod(0o755)
    link = pat.clone / HOME / "ab" / "link-ab000002.md"
    link.symlink_to("/etc/passwd")
    git(pat.clone, "update-index", "--add", "--cacheinfo", f"160000,{git(pat.clone, 'rev-parse', 'HEAD').strip()},{HOME}ab/sub-ab000003.md")
    git(pat.clone, "add", HOME + "ab/by-hand-ab000000.md", HOME + "ab/link-ab000002.md")
    git(pat.clone, "commit", "-qm", "modes")
    what = "; only plain files (100644) are accepted, no links, submodules or executables"
    assert pat.refused() == report(
        f"{HOME}ab/by-hand-ab000000.md: has the file mode 100755{what}",
        f"{HOME}ab/link-ab000002.md: has the file mode 120000{what}",
        f"{HOME}ab/sub-ab000003.md: has the file mode 160000{what}",
    )


def test_a_path_that_is_not_even_text_is_refused(pat: Person):
    (pat.clone / HOME / "ab").mkdir(parents=True)
    folder = os.fsencode(pat.clone / HOME / "ab")
    with open(folder + b"/caf\xe9-ab000000.md", "wb") as file:  # noqa: PTH123  a path of bytes
        file.write(GOOD_TEXT.encode())
    pat.commit()
    assert "has a character in its path that not every system takes" in pat.refused()


def test_a_forced_push_that_rewrites_history_is_refused(pat: Person):
    pat.write(GOOD.path, GOOD_TEXT)
    pat.commit()
    pat.push()
    git(pat.clone, "commit", "-q", "--amend", "-m", "another past")
    assert pat.refused("--force", "origin", "HEAD:main") == (
        "gitmem: the push to refs/heads/main would rewrite history. Nothing was changed.\n"
        "fix: fetch, then merge or rebase your commits on top, and push again.\n"
    )
    git(pat.clone, "checkout", "-q", "--orphan", "empty")
    git(pat.clone, "commit", "-qm", "a past of its own")
    assert "would rewrite history" in pat.refused("--force", "origin", "HEAD:main")


def test_deleting_main_is_refused(pat: Person):
    assert pat.refused("origin", ":main") == (
        "gitmem: refs/heads/main cannot be deleted: it is the team's memory. Nothing was changed.\n"
    )


def test_main_that_becomes_a_tag_or_a_blob_is_refused(pat: Person):
    blob = git(pat.clone, "hash-object", "-w", "README.md").strip()
    git(pat.clone, "update-ref", "refs/keep/blob", blob)
    assert pat.refused("--force", "origin", "refs/keep/blob:refs/heads/main")
    git(pat.clone, "tag", "-a", "-m", "x", "t")
    assert pat.refused("--force", "origin", "t:refs/heads/main")


def record_ref(pat: Person, name: str, text: str, ref: str) -> tuple[str, str]:
    """A commit with one file, and what to push."""
    blob = subprocess.run(["git", "-C", str(pat.clone), "hash-object", "-w", "--stdin"], input=text, capture_output=True, text=True, check=True)
    tree = subprocess.run(
        ["git", "-C", str(pat.clone), "mktree"], input=f"100644 blob {blob.stdout.strip()}\t{name}\n", capture_output=True, text=True, check=True
    )
    commit = git(pat.clone, "commit-tree", "-m", "session", tree.stdout.strip()).strip()
    return "origin", f"{commit}:{ref}"


SESSION = f"agent: {ME}\ntask: by hand\nstarted: 2026-01-31T09:00:00Z\n"


def test_a_record_ref_passes_the_gate_too(pat: Person, ann: Agent):
    assert pat.refused(*record_ref(pat, "x.yaml", "agent: ''\n", "refs/gitmem/sessions/web")).startswith("gitmem: the push has")
    good = record_ref(pat, f"web_{ME}_12345678.yaml", SESSION, "refs/gitmem/sessions/web")
    assert pat.push(*good) == "accepted"
    assert [each.id for each in ann.call("list_sessions").value.sessions] == [f"web_{ME}_12345678"]
    assert "cannot be deleted" in pat.refused("origin", ":refs/gitmem/sessions/web")


@pytest.mark.parametrize("ref", ["refs/gitmem/sessions/web/x", "refs/gitmem/nonsense/web", "refs/gitmem/sessions"])
def test_a_ref_that_would_stand_in_gitmems_way_is_refused(pat: Person, ref: str):
    pushed = pat.refused(*record_ref(pat, "web_ann_12345678.yaml", SESSION, ref))
    assert pushed == f"gitmem: {ref!r} is no ref that gitmem keeps. Nothing was changed.\n"


@pytest.mark.parametrize("ref", ["tags/main", "tags/side", "heads/HEAD", "tags/FETCH_HEAD", "heads/refs/heads/main", "tags/heads/main"])
def test_a_name_that_git_would_take_for_another_refs_is_refused_and_can_be_removed(pat: Person, memory: Path, ref: str):
    assert pat.push("origin", "HEAD:refs/heads/side") == "accepted"
    assert pat.refused("origin", f"HEAD:refs/{ref}") == (
        f"gitmem: with 'refs/{ref}', nobody's git would know any more what {ref.partition('/')[2]!r} stands for. "
        "Nothing was changed.\nfix: choose another name.\n"
    )
    if ref.startswith("heads/"):
        git(memory, "update-ref", f"refs/{ref}", "main")  # as it may have come in without the gate
        assert pat.push("origin", f":refs/{ref}") == "accepted"


@pytest.mark.parametrize("ref", ["tags/main-1", "heads/ahead", "heads/main2", "tags/head/1"])
def test_a_name_that_only_resembles_another_refs_is_accepted(pat: Person, ref: str):
    assert pat.push("origin", f"HEAD:refs/{ref}") == "accepted"


@pytest.mark.parametrize("project", ["WEB", "con", "a b", "nobody-made-this"])
def test_a_record_in_a_project_that_cannot_be_or_is_not_is_refused(pat: Person, project: str):
    path = GOOD.path.replace("projects/web", f"projects/{project}")
    pat.write(path, GOOD_TEXT)
    pat.commit()
    missing = f"{path}: is in the project {project!r}, which has no projects/{project}/project.yaml; add that first"
    assert missing in pat.refused()


@pytest.mark.parametrize("data", ["x" * 5_000_000, "<<<<<<< HEAD\na\n=======\nb\n>>>>>>> x\n"], ids=["size", "conflict"])
def test_the_teams_own_files_have_a_cap_and_no_conflict_markers(pat: Person, data: str):
    pat.write("README.md", data)
    pat.commit()
    pat.refused()


def test_a_good_ref_does_not_come_in_beside_a_bad_one(pat: Person):
    pat.write(GOOD.path, GOOD_TEXT)
    pat.commit()
    _, bad = record_ref(pat, "x.yaml", "agent: ''\n", "refs/gitmem/sessions/web")
    assert pat.refused("origin", "HEAD:main", bad)


# --- the hook itself --------------------------------------------------------------------------------


def test_a_hook_whose_interpreter_is_gone_lets_nothing_in(pat: Person, memory: Path):
    hook = memory / "hooks" / "pre-receive"
    hook.write_text(re.sub(r'exec "[^"]+"', 'exec "/nowhere/python"', hook.read_text()))
    pat.write(GOOD.path, GOOD_TEXT)
    pat.commit()
    assert re.fullmatch(r"hooks/pre-receive: .*/nowhere/python: not found\n", pat.refused())


def test_a_hook_whose_interpreter_lacks_gitmem_lets_nothing_in(pat: Person, memory: Path):
    hook = memory / "hooks" / "pre-receive"
    hook.write_text(re.sub(r'exec "[^"]+"', 'exec "/usr/bin/python3" -I', hook.read_text()))
    pat.write(GOOD.path, GOOD_TEXT)
    pat.commit()
    assert "gitmem" in pat.refused() or not Path("/usr/bin/python3").exists()


# --- at the same time -------------------------------------------------------------------------------


def push_until_accepted(pat: Person) -> int:
    """Fetch, rebase and push again as often as an agent was faster; the number of tries."""
    for tries in range(1, 200):
        done = pat.git_push()
        if done.returncode == 0:
            return tries
        assert re.search(r"non-fast-forward|fetch first|failed to update ref|cannot lock ref|rewrite history", done.stderr), done.stderr
        git(pat.clone, "pull", "-q", "--rebase")
    raise AssertionError("never accepted")


def test_pushes_that_race_with_agents_lose_nothing(pat: Person, memory: Path):
    workers = start(*(Worker("recorder", memory, number, 30) for number in range(2)))
    pushed = []
    while any(worker.process.poll() is None for worker in workers) or not pushed:
        record = learning(len(pushed) + 1)
        pat.write(record.path, encode(record))
        pat.commit()
        push_until_accepted(pat)
        pushed.append(record.path)
    acknowledged = [line for worker in workers for line in worker.finish()]
    files = set(git(memory, "ls-tree", "-r", "--name-only", "main").splitlines())
    assert len(acknowledged) == 60
    assert {line["commit"] for line in acknowledged} <= set(git(memory, "rev-list", "main").splitlines())
    assert set(pushed) <= files
    assert all(any(line["id"] in file for file in files) for line in acknowledged)
    assert git(memory, "fsck", "--strict", "--no-dangling") == ""


def test_a_push_is_accepted_while_upkeep_runs(pat: Person, memory: Path, ann: Agent):
    upkeeper = Worker("upkeeper", memory).ready().go()
    upkeeper.line()
    for number in range(1, 6):
        record = learning(number)
        pat.write(record.path, encode(record))
        pat.commit()
        push_until_accepted(pat)
        ann.record(word(number))
        git(pat.clone, "pull", "-q", "--rebase")
    upkeeper.kill()
    ann.memory.upkeep.close()  # git complains of packs that are folded while it looks at them
    assert len(list(ann.memory.view().records(Knowledge))) == 10
    assert git(memory, "fsck", "--strict", "--no-dangling") == ""


def test_an_agents_edit_of_what_a_person_just_pushed_is_made_from_what_they_wrote(pat: Person, ann: Agent):
    record = ann.record("shared")
    version = ann.call("get_by_id", id=record["id"]).value.version
    path = next(file for file, _ in ann.memory.view().files() if record["id"] in file)
    git(pat.clone, "pull", "-q")
    pat.write(path, (pat.clone / path).read_text() + "\nBy Pat.\n")
    pat.commit()
    assert pat.push() == "accepted"
    with pytest.raises(GitmemError, match="changed it meanwhile"):
        ann.call("edit", id=record["id"], operation="append", text="By Ann.", if_version=version)
    ann.call("edit", id=record["id"], operation="append", text="By Ann.")
    content = ann.call("get_by_id", id=record["id"]).value.content
    assert content.index("By Pat.") < content.index("By Ann.")


def test_the_past_is_what_the_memory_held_then_and_not_what_a_push_brought_later(
    team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def record(when: datetime) -> str:
        with team.memory.transaction(team.memory.view(), Caller("ann"), "note") as change:
            change.time = when
            change.put(Knowledge(scope="projects/web", id=new_id("note"), title="Note", content=f"At {when}."))
        return change.commit

    first, second = record(now() - timedelta(hours=9)), record(now() - timedelta(hours=3))
    person = Person(team.memory.path, tmp_path / "clone")
    git(person.clone, "reset", "-q", "--hard", first)
    monkeypatch.setenv("GIT_COMMITTER_DATE", format_time(now() - timedelta(hours=6)))
    person.write("README.md", "Ours.\n")
    person.commit()
    monkeypatch.setenv("GIT_COMMITTER_DATE", format_time(now() - timedelta(hours=1)))
    git(person.clone, "merge", "-q", "--no-edit", "origin/main")
    monkeypatch.delenv("GIT_COMMITTER_DATE")  # it would reach the memory's side of a push on one machine
    assert person.push() == "accepted"
    assert team.memory.commit_as_of("4h") == first
    assert team.memory.commit_as_of("2h") == second
    assert team.memory.commit_as_of("30m") == second
    assert team.memory.commit_as_of("2100-01-01") == team.memory.head()
