"""The repository after many writes and upkeep, beside the same history by `git fast-import` and a repack.

python -m benchmarks.size [--writes 10000]
"""

import argparse
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gitmem.domains.kinds  # noqa: F401  declares the kinds
from benchmarks.filling import fill
from benchmarks.writes import write_with_gitmem
from gitmem.git.repository import Repository
from gitmem.memory.memory import Memory

CALLERS = 8


def bytes_of(repository: Path) -> int:
    """All that git keeps: objects and refs."""
    folders = (repository / "objects", repository / "refs")
    return sum(file.stat().st_size for folder in folders for file in folder.rglob("*") if file.is_file())


def write(memory: Memory, count: int) -> None:
    def work(share: int) -> None:
        for number in range(share, count, CALLERS):
            write_with_gitmem(memory, number)

    with ThreadPoolExecutor(CALLERS) as threads:
        list(threads.map(work, range(CALLERS)))


def imported(source: Path, target: Path) -> None:
    """The same history, made by git alone."""
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(target)], check=True)
    export = subprocess.Popen(["git", "-C", str(source), "fast-export", "main"], stdout=subprocess.PIPE)
    subprocess.run(["git", "-C", str(target), "fast-import", "--quiet"], stdin=export.stdout, check=True)
    export.wait()
    subprocess.run(["git", "-C", str(target), "repack", "-adq"], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--writes", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "memory.git"
        Repository.init(path)
        memory = Memory(path)
        fill(memory, "bench", 0)
        write(memory, options.writes)
        memory.upkeep.close()
        alone = memory.upkeep.condition()
        in_background = bytes_of(path)
        condition = memory.upkeep.run(thorough=True)
        imported(path, Path(folder) / "imported.git")
        theirs, ours = bytes_of(Path(folder) / "imported.git"), bytes_of(path)
        memory.close()
    print(f"{options.writes} writes, background upkeep only: {in_background / 1e6:.1f} MB in {alone.packs} packs")
    print(f"after thorough upkeep: {ours / 1e6:.1f} MB in {condition.packs} packs, {condition.loose_objects} loose objects")
    print(f"fast-import and repack: {theirs / 1e6:.1f} MB")
    print(f"size / fast-import  {ours / theirs:.2f}  (at most 2)")


if __name__ == "__main__":
    main()
