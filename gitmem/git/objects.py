"""Git objects: read through dulwich, kept warm, written as one small durable pack per flush.

Why a pack: a durable write is bound by the number of files that are flushed, not by bytes. A commit
is seven or more objects; one pack and its index are two files, whatever the number of commits in them.
"""

import hashlib
import os
import threading
import weakref
import zlib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, TypeVar

from dulwich.object_store import DiskObjectStore
from dulwich.objects import ObjectID
from dulwich.pack import PackFileDisappeared
from msgspec import Struct
from msgspec.structs import replace

from gitmem.errors import GitmemError
from gitmem.git.durable import flush_folder, put
from gitmem.git.packs import TYPE_NUMBERS, ZLIB_LEVEL, ObjectType, write_pack

FILE = 0o100644
FOLDER = 0o040000
SUBMODULE = 0o160000

_TYPE_NAMES: dict[int, ObjectType] = {number: name for name, number in TYPE_NUMBERS.items()}
_READ_TRIES = 3
_WRITE_TRIES = 20
PERSON_MAX = 200


class MissingObject(GitmemError):
    """The repository lacks an object that something in it names."""

    def __init__(self, oid: str) -> None:
        super().__init__(
            f"The repository has no object {oid}.",
            fix="It is incomplete or damaged: run 'git fsck', and fetch from a clone or restore a backup.",
        )


class UnreadableObject(GitmemError):
    """An object may well be there, but the files that objects are in cannot be read now."""

    def __init__(self, oid: str, error: OSError) -> None:
        where = f" ({error.filename})" if error.filename else ""
        super().__init__(
            f"The object {oid} cannot be read: {error.strerror or error}{where}.",
            fix="Nothing need be lost: see who may read its file, and how many files a process may have open (ulimit -n).",
        )


class LeftOut(MissingObject):
    """A partial clone left the object out, and cannot get it now."""

    def __init__(self, oid: str) -> None:
        GitmemError.__init__(
            self, f"This clone left out {oid}, an old version, and the hub does not give it now.",
            fix="Ask again when the hub can be reached, or where the whole memory is.",
        )


class Entry(NamedTuple):
    """One name in a tree: its mode and the object it stands for."""

    mode: int
    oid: str

    @property
    def is_file(self) -> bool:
        """Whether it stands for content, and not for a folder or a commit of another repository."""
        return self.mode not in (FOLDER, SUBMODULE)


class NewObject(Struct, frozen=True):
    """An object that is not on disk yet."""

    type: ObjectType
    data: bytes
    oid: str


def new_object(kind: ObjectType, data: bytes) -> NewObject:
    """An object with its id worked out."""
    header = b"%s %d\0" % (kind.encode(), len(data))
    return NewObject(kind, data, hashlib.sha1(header + data, usedforsecurity=False).hexdigest())


class Tree:
    """An immutable folder: names to entries, and its canonical bytes."""

    __slots__ = ("_chunks", "_keys", "entries")

    def __init__(self, entries: dict[str, Entry], keys: list[bytes], chunks: list[bytes]) -> None:
        self.entries = entries
        self._keys = keys
        self._chunks = chunks

    @classmethod
    def parse(cls, data: bytes) -> "Tree":
        """A tree from its bytes."""
        entries: dict[str, Entry] = {}
        keys: list[bytes] = []
        chunks: list[bytes] = []
        position = 0
        while position < len(data):
            space = data.index(b" ", position)
            end = data.index(b"\0", space)
            mode, raw = int(data[position:space], 8), data[space + 1 : end]
            entries[raw.decode("utf-8", "surrogateescape")] = Entry(mode, data[end + 1 : end + 21].hex())
            # git sorts folders as if their names ended with a slash
            keys.append(raw + b"/" if mode == FOLDER else raw)
            chunks.append(data[position : end + 21])
            position = end + 21
        return cls(entries, keys, chunks)

    def with_entry(self, name: str, entry: Entry | None) -> "Tree":
        """The same tree with one name set, or removed if `entry` is None."""
        entries, keys, chunks = self.entries.copy(), self._keys.copy(), self._chunks.copy()
        raw = name.encode("utf-8", "surrogateescape")
        if (old := entries.pop(name, None)) is not None:
            position = bisect_left(keys, raw + b"/" if old.mode == FOLDER else raw)
            del keys[position], chunks[position]
        if entry is not None:
            entries[name] = entry
            key = raw + b"/" if entry.mode == FOLDER else raw
            position = bisect_left(keys, key)
            keys.insert(position, key)
            chunks.insert(position, b"%o %s\0%s" % (entry.mode, raw, bytes.fromhex(entry.oid)))
        return Tree(entries, keys, chunks)

    @property
    def data(self) -> bytes:
        """The canonical bytes."""
        return b"".join(self._chunks)


EMPTY_TREE = Tree({}, [], [])
NO_TREE = new_object("tree", b"").oid  # stands for what is not there; it need not be on disk


class Person(Struct, frozen=True):
    """An author or committer."""

    name: str
    email: str

    def __str__(self) -> str:
        # a line break or <> would start another field of the commit, and git would refuse the clone
        return f"{_in_one_field(self.name)} <{_in_one_field(self.email)}>"


def _in_one_field(text: str) -> str:
    plain = "".join(c for c in text if c.isprintable() and c not in "<>")[:PERSON_MAX].strip()
    return plain or "unknown"


class Commit(Struct, frozen=True):
    """A commit. `message` includes its trailers."""

    tree: str
    parents: tuple[str, ...]
    author: Person
    committer: Person
    time: datetime
    message: str
    oid: str = ""

    def encode(self) -> bytes:
        """The canonical bytes."""
        seconds = int(self.time.timestamp())
        lines = [f"tree {self.tree}", *(f"parent {parent}" for parent in self.parents)]
        lines += [f"author {self.author} {seconds} +0000", f"committer {self.committer} {seconds} +0000"]
        return ("\n".join(lines) + "\n\n" + self.message).encode("utf-8", "surrogateescape")

    @classmethod
    def parse(cls, oid: str, data: bytes) -> "Commit":
        """A commit from its bytes; the time is the committer's."""
        head, _, message = data.partition(b"\n\n")
        tree, parents = "", []
        people: dict[bytes, tuple[Person, datetime]] = {}
        for line in head.split(b"\n"):
            key, _, value = line.partition(b" ")
            if key == b"tree":
                tree = value.decode()
            elif key == b"parent":
                parents.append(value.decode())
            elif key in (b"author", b"committer"):
                people[key] = _parse_person(value)
        author, committer = people[b"author"], people[b"committer"]
        return cls(tree, tuple(parents), author[0], committer[0], committer[1], message.decode("utf-8", "replace"), oid)

    @property
    def subject(self) -> str:
        """The first line of the message."""
        return self.message.partition("\n")[0]

    @property
    def trailers(self) -> dict[str, str]:
        """The `Key: value` lines of the message's last paragraph."""
        last = self.message.rstrip("\n").rpartition("\n\n")[2]
        pairs = [line.partition(": ") for line in last.split("\n")]
        return {key: value for key, colon, value in pairs if colon and " " not in key}


def _parse_person(value: bytes) -> tuple[Person, datetime]:
    who, _, when = value.rpartition(b"> ")
    name, _, email = who.partition(b" <")
    person = Person(name.decode("utf-8", "replace"), email.decode("utf-8", "replace"))
    try:
        moment = datetime.fromtimestamp(int(when.split()[0]), UTC)
    except (ValueError, OverflowError, IndexError, OSError):
        moment = datetime.fromtimestamp(0, UTC)  # a hand-made commit with an absurd date still reads
    return person, moment


T = TypeVar("T")


class _Warm(dict[str, T]):
    """The last `limit` values made, by object id. Objects never change, so it is never stale."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def keep(self, oid: str, value: T) -> T:
        if len(self) >= self._limit:
            # oldest first; a dict keeps the order of insertion, and racing threads at worst drop one more
            for old in list(self)[: self._limit // 8]:
                self.pop(old, None)
        self[oid] = value
        return value


_CHANGES_KEPT_MAX = 1000  # files of one commit; an import has thousands
# A file that differs: path, what stood there, what stands there now.
Difference = tuple[str, Entry | None, Entry | None]


class Objects:
    """The object database of one repository. Safe to use from many threads."""

    def __init__(self, objects_path: Path, *, alternates: Iterable[Path] = ()) -> None:
        self.path = objects_path
        self.pack_folder = objects_path / "pack"
        self._stores = [DiskObjectStore(str(path)) for path in (objects_path, *alternates)]
        # packs stay open between reads; whoever lets go of this object lets go of them
        self.close = weakref.finalize(self, _close_stores, self._stores)
        self._reading = threading.Lock()  # dulwich's open packs share file positions
        self._trees: _Warm[Tree] = _Warm(50_000)
        self._commits: _Warm[Commit] = _Warm(20_000)
        self._blobs: _Warm[bytes] = _Warm(2_000)
        self._changes: _Warm[tuple[Difference, ...]] = _Warm(500)
        self.boundary = _boundary(objects_path.parent / "shallow")
        self.ask_for: Callable[[str], bool] | None = None  # gets an object that a partial clone left out

    def read(self, oid: str) -> tuple[ObjectType, bytes]:
        """Type and bytes of any object. Raises MissingObject, UnreadableObject."""
        name = ObjectID(oid.encode())
        failed: Exception | None = None
        with self._reading:
            for _ in range(_READ_TRIES):
                for store in self._stores:
                    try:
                        number, data = store.get_raw(name)
                    except KeyError:
                        continue
                    except (OSError, PackFileDisappeared) as error:
                        # Upkeep, ours or git's, replaced the pack between look-up and opening: its
                        # successor is already there, so a fresh look at the folder finds the object.
                        failed = error
                        break
                    return _TYPE_NAMES[number], data
                self._reopen()
        if isinstance(failed, OSError) and not isinstance(failed, FileNotFoundError):
            raise UnreadableObject(oid, failed)
        if self.ask_for and self.ask_for(oid):
            with self._reading:
                self._reopen()
                for store in self._stores:
                    with suppress(KeyError):
                        number, data = store.get_raw(name)
                        return _TYPE_NAMES[number], data
        raise MissingObject(oid) if self.ask_for is None else LeftOut(oid)

    def _reopen(self) -> None:
        paths = [store.path for store in self._stores]
        _close_stores(self._stores)
        self._stores[:] = [DiskObjectStore(path) for path in paths]

    def blob(self, oid: str) -> bytes:
        """A file's bytes."""
        data = self._blobs.get(oid)
        return self._blobs.keep(oid, self._read(oid, "blob")) if data is None else data

    def tree(self, oid: str) -> Tree:
        """A folder."""
        if oid == NO_TREE:
            return EMPTY_TREE
        tree = self._trees.get(oid)
        return self._trees.keep(oid, Tree.parse(self._read(oid, "tree"))) if tree is None else tree

    def commit(self, oid: str) -> Commit:
        """A commit; an annotated tag that points to one counts as it."""
        commit = self._commits.get(oid)
        if commit is None:
            kind, data = self.read(oid)
            if kind == "tag":
                return self.commit(data.partition(b"\n")[0].removeprefix(b"object ").decode())
            if kind != "commit":
                raise MissingObject(oid)
            parsed = Commit.parse(oid, data)
            commit = self._commits.keep(oid, replace(parsed, parents=()) if oid in self.boundary else parsed)
        return commit

    def _read(self, oid: str, kind: ObjectType) -> bytes:
        found, data = self.read(oid)
        if found != kind:
            raise MissingObject(oid)
        return data

    def keep_tree(self, oid: str, tree: Tree) -> None:
        """Keep a tree warm that is about to be written."""
        self._trees.keep(oid, tree)

    def keep_blob(self, oid: str, data: bytes) -> None:
        """Keep a blob warm that is about to be written."""
        self._blobs.keep(oid, data)

    def keep_commit(self, commit: Commit) -> None:
        """Keep a commit warm that is about to be written."""
        self._commits.keep(commit.oid, commit)

    def entry(self, tree_oid: str, path: str) -> Entry | None:
        """What stands at `path` below a tree, or None."""
        if not path:
            return Entry(FOLDER, tree_oid)
        *folders, name = path.split("/")
        for folder in folders:
            found = (self._trees.get(tree_oid) or self.tree(tree_oid)).entries.get(folder)
            if found is None or found.mode != FOLDER:
                return None
            tree_oid = found.oid
        return (self._trees.get(tree_oid) or self.tree(tree_oid)).entries.get(name)

    def file(self, tree_oid: str, path: str) -> str:
        """The blob of the file at `path` below a tree, "" if there is none."""
        entry = self.entry(tree_oid, path)
        return entry.oid if entry and entry.mode != FOLDER else ""

    def files(self, tree_oid: str, prefix: str = "") -> Iterator[tuple[str, Entry]]:
        """All files below a tree, as (path, entry), in git's order."""
        for name, entry in self.tree(tree_oid).entries.items():
            if entry.mode == FOLDER:
                yield from self.files(entry.oid, f"{prefix}{name}/")
            else:
                yield prefix + name, entry

    def changes(self, commit: Commit) -> tuple[Difference, ...]:
        """What a commit changed against its first parent, by path."""
        known = self._changes.get(commit.oid)
        if known is None:
            parent = self.commit(commit.parents[0]).tree if commit.parents else None
            known = tuple(sorted(self.differences(parent, commit.tree), key=lambda change: change[0]))
            if len(known) <= _CHANGES_KEPT_MAX:
                self._changes.keep(commit.oid, known)
        return known

    def differences(
        self, old: str | None, new: str | None, prefix: str = ""
    ) -> Iterator[Difference]:
        """Files that differ between two trees, as (path, old entry, new entry); equal folders are not opened."""
        if old == new:
            return
        before = self.tree(old).entries if old else {}
        after = self.tree(new).entries if new else {}
        for name in before.keys() | after.keys():
            was, now = before.get(name), after.get(name)
            if was != now:
                yield from self._difference(prefix + name, was, now)

    def _difference(
        self, path: str, was: Entry | None, now: Entry | None
    ) -> Iterator[Difference]:
        was_folder = was.oid if was and was.mode == FOLDER else None
        now_folder = now.oid if now and now.mode == FOLDER else None
        if was_folder or now_folder:
            yield from self.differences(was_folder, now_folder, path + "/")
        was_file = was if was and was.mode != FOLDER else None
        now_file = now if now and now.mode != FOLDER else None
        if was_file != now_file:
            yield path, was_file, now_file

    @contextmanager
    def written(self, new: Iterable[NewObject]) -> Iterator[Path]:
        """Put objects on disk, flushed, as one pack, for a ref to hold when the block ends; yields the pack's index."""
        # `git gc --prune=now` deletes packs of objects that no ref holds, but none with a .keep file
        index = write_pack(self.pack_folder, {each.oid: each for each in new}, keep=True)
        try:
            yield index
        finally:
            with suppress(OSError):  # upkeep takes away what stays
                os.unlink(index.with_suffix(".keep"))

    def write_loose(self, new: NewObject) -> None:
        """Put one object on disk, flushed, as a file of its own, which can go by itself when it is superseded."""
        data = zlib.compress(f"{new.type} {len(new.data)}\0".encode() + new.data, ZLIB_LEVEL)
        folder = self.path / new.oid[:2]
        is_new = False
        for tries_left in reversed(range(_WRITE_TRIES)):
            with suppress(FileExistsError):
                folder.mkdir()
                is_new = True
            try:
                put(str(folder), str(folder / new.oid[2:]), data, "tmp_obj")
                break
            except FileNotFoundError:  # upkeep, ours or git's, clears away folders that are empty
                if not tries_left:
                    raise
        flush_folder(folder)
        if is_new:
            flush_folder(self.path)
        self.keep_blob(new.oid, new.data)

    def packs(self) -> list[Path]:
        """The packs on disk, by their index files."""
        return sorted(self.pack_folder.glob("pack-*.idx"))


def _boundary(file: Path) -> frozenset[str]:
    """The commits whose parents a shallow clone left out; to git and to us they have none."""
    try:
        return frozenset(file.read_text().split())
    except FileNotFoundError:
        return frozenset()


def _close_stores(stores: list[DiskObjectStore]) -> None:
    for store in stores:
        store.close()
