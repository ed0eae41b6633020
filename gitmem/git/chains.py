"""Chains of commits that grow all day: how long they are, and their history as a file apart.

The history of a chain is put away in steps that can be cut off anywhere. A ref below `refs/gitmem/archive/` holds
the old tip first, then the chain's own ref may begin anew, then a bundle is written and checked, then the archive's
ref goes. Until the bundle is whole, the history is in the repository.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import Struct

from gitmem.errors import GitmemError
from gitmem.git.ancestry import is_ancestor
from gitmem.git.durable import flush_file, flush_folder
from gitmem.git.refs import RefLocked
from gitmem.git.repository import GitFailed, Repository, run_git
from gitmem.git.scratch import make_scratch

ARCHIVES = "refs/gitmem/archive/"
_UNFINISHED = "tmp_"
_SHORT = 10


class BadBundle(GitmemError):
    """A bundle that was just written does not hold what it should."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(
            f"The archive {name} is not whole: {why}. The history stays in the repository.",
            fix="See whether the disk is full or failing; upkeep tries again.",
        )


class PutAway(Struct, frozen=True):
    """A history that no longer belongs to its chain: `ref` holds its last commit, `tip`."""

    ref: str
    tip: str

    @classmethod
    def of(cls, chain: str, tip: str) -> "PutAway":
        """The history of a chain such as `refs/gitmem/locks/web` up to `tip`."""
        return cls(f"{ARCHIVES}{chain.removeprefix('refs/gitmem/')}/{tip[:_SHORT]}", tip)

    @property
    def chain(self) -> str:
        """The ref that it was the history of."""
        return "refs/gitmem/" + self.ref.removeprefix(ARCHIVES).rpartition("/")[0]

    @property
    def file(self) -> str:
        """The name of its bundle."""
        return self.ref.removeprefix(ARCHIVES).replace("/", "-") + ".bundle"


class Chains:
    """The chains of one repository. One process at a time may put away or finish."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._notes = repository.private / "chains"
        self.folder = repository.path / "archive"

    def length(self, tip: str) -> int:
        """The number of commits that lead to `tip`."""
        return int(run_git(self._repository.path, "rev-list", "--count", tip))

    def too_long(self, tips: dict[str, str], most: int) -> list[str]:
        """Those of the chains, given with their tips, that have more than `most` commits.

        What was counted is noted: a chain that did not move costs nothing, another only what is new in it.
        """
        known = self._read_notes()
        counted = {ref: (tip, self._counted(tip, *known.get(ref, ("", 0)))) for ref, tip in tips.items()}
        long = [ref for ref, (_, length) in counted.items() if length > most]
        for ref in long:  # a note that was kept while its chain began anew tells too much
            counted[ref] = (tips[ref], self.length(tips[ref]))
        self._write_notes(counted)
        return [ref for ref in long if counted[ref][1] > most]

    def _counted(self, tip: str, known: str, length: int) -> int:
        if tip == known:
            return length
        try:
            return length + int(run_git(self._repository.path, "rev-list", "--count", tip, *([f"^{known}"] if known else [])))
        except GitFailed:  # what was known is gone
            return self.length(tip)

    def _read_notes(self) -> dict[str, tuple[str, int]]:
        try:
            lines = [line.split(" ") for line in self._notes.read_text().splitlines()]
            return {ref: (tip, int(length)) for ref, tip, length in lines}
        except (FileNotFoundError, ValueError):  # only a cache
            return {}

    def _write_notes(self, counted: dict[str, tuple[str, int]]) -> None:
        beside = self._notes.with_suffix(".new")
        beside.write_text("".join(f"{ref} {tip} {length}\n" for ref, (tip, length) in counted.items()))
        beside.replace(self._notes)

    # --- putting away ----------------------------------------------------------------------------

    def hold(self, history: PutAway) -> None:
        """Have the archive's ref hold a history, so that the chain may let go of it. Raises RefLocked."""
        if not self._repository.refs.swap(history.ref, self._repository.refs.read(history.ref), history.tip):
            raise RefLocked(history.ref)

    def release(self, history: PutAway) -> None:
        """Let go of it again."""
        run_git(self._repository.path, "update-ref", "-d", history.ref, history.tip)

    def held(self) -> list[PutAway]:
        """The histories that archive refs hold."""
        return [PutAway(ref, tip) for ref, tip in self._repository.refs.list(ARCHIVES).items()]

    def finish(self, repacked: float) -> Iterator[tuple[PutAway, Path]]:
        """Write a bundle of each history that is held; let go of those that had one when git `repacked` last."""
        for left in self.folder.glob(f"{_UNFINISHED}*"):  # of a killed process
            shutil.rmtree(left)
        for history in self.held():
            path = self.folder / history.file
            if path.exists():
                # Git finds no more deltas in what no ref holds, so what is let go of too early takes ten times the space.
                if path.stat().st_mtime < repacked:
                    self.release(history)
            elif self._is_in_chain(history):  # whoever held it stopped before the chain began anew
                self.release(history)
            else:
                self._write_bundle(history, path)
                yield history, path

    def _is_in_chain(self, history: PutAway) -> bool:
        current = self._repository.refs.read(history.chain)
        return current is not None and is_ancestor(self._repository.path, history.tip, current)

    def _write_bundle(self, history: PutAway, path: Path) -> None:
        self.folder.mkdir(exist_ok=True)
        with TemporaryDirectory(prefix=_UNFINISHED, dir=self.folder) as folder:
            made = self._packed(history, Path(folder)) / path.name
            run_git(made.parent, "bundle", "create", "-q", str(made), history.ref)
            self._check(history, made, Path(folder) / "check.git")
            flush_file(made)
            made.rename(path)
        flush_folder(self.folder)

    def _packed(self, history: PutAway, folder: Path) -> Path:
        # A repository of its own that has nothing but this history. A bundle takes over the deltas that there are, and in
        # the memory's own packs there are few; here git looks for them, in what will be a tenth of the size.
        place = folder / "history.git"
        make_scratch(place, lender=self._repository.objects.path)
        run_git(place, "update-ref", history.ref, history.tip)
        run_git(place, "repack", "-a", "-d", "-F", "-q")
        (place / "objects" / "info" / "alternates").unlink()
        return place

    def _check(self, history: PutAway, made: Path, place: Path) -> None:
        """The bundle alone makes the whole history again, in a repository that has nothing else."""
        make_scratch(place)
        run_git(place, "bundle", "verify", "-q", str(made))
        run_git(place, "fetch", "-q", "--no-auto-maintenance", str(made), f"{history.ref}:{history.ref}")
        count = int(run_git(place, "rev-list", "--count", history.tip))
        if count != self.length(history.tip):
            raise BadBundle(made.name, f"it has {count} commits")
