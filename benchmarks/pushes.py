"""Pushes: what the gate takes per file when a push brings few files, and when it brings thousands.

Each round makes a memory with OWNERS.yaml and a review policy, and pushes new files to it with the git program: the
same to a bare repository without gitmem's hook. What counts is the time per file, and that it stays flat.

    python -m benchmarks.pushes [--small 500] [--large 5000] [--rounds 3]
"""

import argparse
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import gitmem.domains.kinds  # noqa: F401  declares the kinds
from gitmem.desk import Desk
from gitmem.domains.knowledge.record import Knowledge
from gitmem.domains.projects import project
from gitmem.founding import found
from gitmem.index.search import Index
from gitmem.memory.caller import Caller
from gitmem.records.codec import encode

ANN = Caller("ann", "declared")
OWNERS = b"teams:\n- name: core\n  members: [ann, bob]\nentries:\n" + b"".join(
    b"- paths: [/projects/web/specs/part-%d/]\n  owners: [core]\n" % number for number in range(50)
)
TEXT = "PgBouncer drops idle connections after five minutes without a word. " * 8
FLAT_MAX = 1.25


def prepare(path: Path) -> None:
    """A memory in which some things are owned."""
    memory, _ = found(path)
    index = Index(memory)
    project(Desk(memory, index, ANN, verb="project"), "create", name="web")
    with memory.transaction(memory.view(), ANN, "owners") as change:
        change.put_file("OWNERS.yaml", OWNERS)
        change.put_file("gitmem.yaml", b"format: 1\npolicies:\n- review: review\n  paths: [/shared/]\n")
    index.close()
    memory.close()


def git(folder: Path, *arguments: str) -> None:
    """One git command, in silence."""
    identity = ["-c", "user.name=Pat Person", "-c", "user.email=pat@example.com"]
    subprocess.run(["git", *identity, "-C", str(folder), *arguments], check=True, capture_output=True)


def pushed(folder: Path, count: int) -> tuple[float, float]:
    """How long a push of some files takes: to the memory, and to a repository without hooks."""
    prepare(folder / "memory.git")
    git(folder, "clone", "-q", "memory.git", "clone")
    git(folder, "clone", "-q", "--bare", "memory.git", "plain.git")
    for number in range(count):
        number_hex = f"{number * 0x00DBCA97 % 2**32:08x}"
        record = Knowledge(scope="projects/web", id=f"finding-{number_hex}", title=f"Finding {number}", content=TEXT)
        file = folder / "clone" / record.path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(encode(record))
    git(folder / "clone", "add", "-A")
    git(folder / "clone", "commit", "-qm", "many")
    started = time.perf_counter()
    git(folder / "clone", "push", "-q", str(folder / "plain.git"), "HEAD:main")
    between = time.perf_counter()
    git(folder / "clone", "push", "-q", "origin", "HEAD:main")
    return time.perf_counter() - between, between - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", type=int, default=500)
    parser.add_argument("--large", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    # one file shows what a push takes whatever it brings: git's own work, and the start of the hook
    taken: dict[int, list[tuple[float, float]]] = {1: [], options.small: [], options.large: []}
    for _ in range(options.rounds):
        for count, times in taken.items():
            with tempfile.TemporaryDirectory() as folder:
                times.append(pushed(Path(folder), count))
    seconds = {count: statistics.median(gated for gated, _ in times) for count, times in taken.items()}
    for count, times in taken.items():
        plain = statistics.median(each for _, each in times)
        ratio = seconds[count] / plain
        print(f"{count:6,} files  {seconds[count] * 1000:7.0f} ms, {plain * 1000:6.0f} ms without the gate, ratio {ratio:.1f}")
    per_file = {count: (seconds[count] - seconds[1]) / count for count in (options.small, options.large)}
    for count, each in per_file.items():
        print(f"{count:6,} files  {each * 1000:7.2f} ms a file")
    flat = per_file[options.large] / per_file[options.small]
    print(f"time per file, {options.large:,} / {options.small:,} files  {flat:.2f}  (at most {FLAT_MAX})")


if __name__ == "__main__":
    main()
