"""An index that is written little by little is made one piece again, whatever happens meanwhile."""

import json
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from filelock import FileLock

from gitmem.index.follower import FOLD_AT
from gitmem.index.search import Found, Index
from gitmem.memory.memory import Memory
from tests.index.conftest import Open, Write

FOLDS = 5
ROUNDS = 6
MERGING = """
import sys
from pathlib import Path
import gitmem.domains.all
from gitmem.domains.knowledge.record import Knowledge
from gitmem.index.search import Index
from gitmem.memory.caller import Caller
from gitmem.memory.memory import Memory
from gitmem.names import new_id

memory = Memory(Path(sys.argv[1]))
index = Index(memory)
while True:
    for number in range(5):
        record = Knowledge(id=new_id("x"), title=f"Word {number}", content="alpha")
        with memory.transaction(memory.view(), Caller("ada"), "learn") as change:
            change.put(record)
        index.search("alpha", view=memory.view())
        index.fold()
    print("merging", flush=True)
    index.merge()
"""


def segments(memory: Memory) -> list[int]:
    """How many documents each segment of the index on disk has."""
    meta = next(memory.repository.private.glob("index-*/meta.json"))
    return [each["max_doc"] for each in json.loads(meta.read_text())["segments"]]


@pytest.fixture
def folded(memory: Memory, write: Write, open_index: Open) -> Index:
    """An index that was written again and again."""
    index = open_index(memory)
    for number in range(FOLDS):
        write(f"Number {number}", "alpha beta" + " gamma" * number)
        index.search("alpha", view=memory.view())
        index.fold()
    return index


def told(index: Index, memory: Memory) -> Found:
    found = index.search("alpha gamma", view=memory.view(), limit=20)
    assert not found.rebuilding
    return found


def test_what_many_folds_left_becomes_one_piece_and_says_the_same(folded: Index, memory: Memory, open_index: Open) -> None:
    other = open_index(memory)
    before = told(other, memory)
    assert len(segments(memory)) >= FOLDS
    assert folded.merge()
    assert len(segments(memory)) == 1
    for index in (folded, other, open_index(memory)):
        after = told(index, memory)
        assert [hit.path for hit in after.hits] == [hit.path for hit in before.hits]
        assert (after.total, after.searched, after.commit) == (FOLDS, FOLDS, before.commit)
        assert index.count(view=memory.view(), by="kind") == {"knowledge": FOLDS}
    assert not folded.merge()  # there is nothing left to do


def test_a_new_record_counts_as_much_as_its_like_in_an_index_that_was_merged(
    folded: Index, memory: Memory, write: Write
) -> None:
    folded.merge()
    old = write("Twin", "alpha gamma delta")
    told(folded, memory)
    folded.fold()
    new = write("Twin", "alpha gamma delta")
    scores = {hit.path: hit.score for hit in told(folded, memory).hits}
    assert scores[new.path] == pytest.approx(scores[old.path], rel=0.1)


def test_a_merge_that_is_killed_leaves_an_index_that_answers(
    memory: Memory, open_index: Open, caplog: pytest.LogCaptureFixture
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201  shown when it fails, to do it again
    chance = random.Random(seed)
    for _ in range(ROUNDS):
        command = [sys.executable, "-c", MERGING, str(memory.path)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
        assert process.stdout is not None
        assert process.stdout.readline() == "merging\n"
        time.sleep(chance.uniform(0, 0.15))  # the random moment
        process.kill()
        process.wait()
        process.stdout.close()
        index = open_index(memory)
        with caplog.at_level("INFO", "gitmem.index"):
            found = index.search("alpha", view=memory.view(), limit=1000)
        there = sorted(path for path, _ in memory.view().files() if "/knowledge/" in path)
        assert sorted(hit.path for hit in found.hits) == there
        assert index.count(view=memory.view(), by="kind") == {"knowledge": len(there)}
        assert "rebuilt" not in caplog.text
        index.close()


def test_a_process_waits_quietly_while_another_one_writes_the_index(memory: Memory, write: Write, open_index: Open) -> None:
    index = open_index(memory)
    write("The first", "alpha")
    index.search("alpha", view=memory.view())
    folder = next(path for path in memory.repository.private.glob("index-*") if path.is_dir())
    with FileLock(folder.with_suffix(".lock")):  # as another process does
        for number in range(FOLD_AT + 1):
            write(f"Number {number}", "alpha")
        index.search("alpha", view=memory.view())
        thread = next(each for each in threading.enumerate() if each.name == "gitmem-index")
        assert thread.ident is not None
        clock = time.pthread_getcpuclockid(thread.ident)
        began, used = time.monotonic(), time.clock_gettime(clock)
        while time.monotonic() - began < 0.5:
            index.search("alpha", view=memory.view())
        assert time.clock_gettime(clock) - used < 0.1
