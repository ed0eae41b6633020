"""Two clones edit a memory apart and are synced, beside `git fetch` and `git merge` of the same histories.

Each clone edits records of its own, and a tenth are edited by both: to git, two who add a tag are in conflict.

python -m benchmarks.sync [--records 1000 10000 50000] [--edits 500]
"""

import argparse
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

import gitmem.domains.all  # noqa: F401  declares the kinds
from benchmarks.filling import CALLER, fill
from gitmem.cloning import clone
from gitmem.domains.knowledge.record import Knowledge
from gitmem.git.repository import Repository
from gitmem.memory import hubs
from gitmem.memory.memory import Memory
from gitmem.memory.sync import sync_with

SHARED_PART = 10
_AS_BENCH = ("-c", "user.name=bench", "-c", "user.email=bench@example.com")


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def edit(path: Path, records: list[Knowledge], tag: str) -> None:
    """One commit for each record."""
    memory = Memory(path)
    for record in records:
        with memory.transaction(memory.view(), CALLER, f"edit {record.id}") as change:
            change.put(replace(record, tags=(*record.tags, tag)))
    memory.close()


def sync(path: Path) -> None:
    memory = Memory(path)
    sync_with(memory, hubs.hubs(memory.repository))
    memory.close()


def merge_by_git(work: Path) -> int:
    """Fetch and merge with git alone; the number of files that it gives up on."""
    subprocess.run(["git", "-C", str(work), "fetch", "-q", "origin"], check=True)
    command = ["git", "-C", str(work), *_AS_BENCH, "merge", "-q", "-m", "merge", "origin/main"]
    subprocess.run(command, capture_output=True, check=False)
    unmerged = subprocess.run(["git", "-C", str(work), "diff", "--name-only", "--diff-filter=U"], capture_output=True, text=True)
    return len(unmerged.stdout.splitlines())


def measure(folder: Path, count: int, edits: int) -> tuple[float, float, float, int]:
    """Seconds to clone, to sync and for git to fetch and merge; and the files that git gives up on."""
    first, hub = folder / "first.git", folder / "hub.git"
    Repository.init(first)
    memory = Memory(first)
    with memory.transaction(memory.view(), CALLER, "settings") as change:
        change.put_file("gitmem.yaml", b"format: 1\n")
    fill(memory, "bench", count)
    records = [each for _, each in zip(range(2 * edits), memory.view().records(Knowledge), strict=False)]
    memory.close()
    subprocess.run(["git", "clone", "-q", "--bare", str(first), str(hub)], check=True)
    one, two = folder / "one.git", folder / "two.git"
    cloning = seconds(lambda: clone(str(hub), one).close())
    clone(str(hub), two).close()
    shared = edits // SHARED_PART
    edit(one, records[:edits], "one")
    edit(two, records[edits - shared : 2 * edits - shared], "two")
    sync(one)
    work = folder / "work"
    subprocess.run(["git", "clone", "-q", str(two), str(work)], check=True)
    subprocess.run(["git", "-C", str(work), "remote", "set-url", "origin", str(hub)], check=True)
    syncing = seconds(lambda: sync(two))
    unsynced = Memory(one)
    by_one = unsynced.head()
    unsynced.close()
    subprocess.run(["git", "-C", str(hub), "update-ref", "refs/heads/main", by_one], check=True)
    given_up: list[int] = []
    merging = seconds(lambda: given_up.append(merge_by_git(work)))
    return cloning, syncing, merging, given_up[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, nargs="+", default=[1000, 10_000, 50_000])
    parser.add_argument("--edits", type=int, default=500)
    options = parser.parse_args()
    first = 0.0
    for count in options.records:
        folder = Path(tempfile.mkdtemp())
        try:
            cloning, syncing, merging, given_up = measure(folder, count, min(options.edits, count // 2))
        finally:
            shutil.rmtree(folder)
        first = first or syncing
        print(f"{count} records: clone {cloning:.2f} s; sync {syncing:.2f} s, {syncing / first:.1f} times the first", flush=True)
        print(f"  git fetch and merge {merging:.2f} s, {given_up} conflicts; sync / git {syncing / merging:.1f}", flush=True)


if __name__ == "__main__":
    main()
