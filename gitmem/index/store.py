"""The index on disk: a tantivy folder that tells by itself which commit it reflects and whether it is whole."""

import json
import logging
import os
import shutil
import struct
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import tantivy
from filelock import Timeout
from msgspec import Struct, field

from gitmem.git.locking import PrivateLock
from gitmem.git.repository import Repository
from gitmem.index.known import Known
from gitmem.index.passages import Change, Passage, key_of
from gitmem.index.question import Clause, Word
from gitmem.index.schema import SCHEMA_VERSION, SENTINEL, TEXT_FIELDS, schema, stemming

log = logging.getLogger(__name__)

OWN_PATH = ""  # the path of the index's own document; no record has it
OWN_KEY = key_of(OWN_PATH)
_PADDING_PATH = "/"  # of documents that say nothing and are there to have segments merged
_OWN_PART = 1 << 32
_FOLD_HEAP_BYTES = 15_000_000
_BUILD_HEAP_BYTES = 100_000_000
_FOOTER_MAGIC = 1337
_SEGMENT_FILES = ("idx", "term", "store", "fast", "fieldnorm")
# Segments of up to so many documents are small to tantivy, which merges as soon as there are eight small ones.
_SMALL_DOCUMENTS = 10_000
_MERGED_AT = 8
_WORTH_MERGING = 3  # small segments

Edits = Iterable[tuple[str, list[tuple[Passage, Change]]]]


class Damaged(Exception):
    """The index on disk cannot be read or is not what was written: it must be rebuilt."""


class Missing(Damaged):
    """There is no index."""


class _Reading:
    """Turns what tantivy raises on unreadable files into Damaged."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        if isinstance(error, (ValueError, OSError)):
            raise Damaged(str(error)) from error
        # pyo3's panics are no Exceptions, and their class cannot be imported
        if type(error).__name__ == "PanicException":
            raise Damaged(str(error)) from None


READING = _Reading()  # every search comes through it many times, so it is made once


class Hits(Struct, frozen=True):
    """What the index itself has for a query: how many passages, and the first of them in order.

    `rows` are (score, the key of its record, time of its last change, number of its part, address) of each.
    """

    count: int
    rows: list[tuple[float, int, int, int, Any]]


class Base(Struct, frozen=True):
    """The index as it is on disk at one commit; it does not change while it is held.

    `documents` is what tantivy reckons with to tell how telling a term is: also those deleted since the last merge.
    """

    commit: str
    complete: bool
    records: int
    passages: int
    documents: int
    searcher: Any
    averages: dict[str, float]
    files: dict[str, tuple[int, int]]
    counts: Known[tuple[frozenset[str], ...], int] = field(default_factory=Known)  # records, by filter
    frequencies: Known[str, dict[str, int]] = field(default_factory=Known)  # passages, by term and field
    beginnings: Known[tuple[str, str, int], dict[str, int]] = field(default_factory=Known)  # terms with their passages
    clauses: Known[tuple[Word, bool], Clause] = field(default_factory=Known)  # of a question's words
    queries: Known[Clause, Any] = field(default_factory=Known)
    filters: Known[frozenset[str], Any] = field(default_factory=Known)
    listings: Known[Any, Hits] = field(default_factory=Known)  # hits without a question, by filter and number
    totals: Known[Any, dict[str, int]] = field(default_factory=Known)  # records by value of a facet, by filter
    paths: Known[Any, list[str]] = field(default_factory=Known)  # of records, by filter
    touched: Known[str, tuple[datetime, str] | None] = field(default_factory=Known)  # when and by whom, by path

    def touched_since(self, moment: datetime) -> list[str]:
        """The paths of the records that were last changed then or later. Raises Damaged."""
        kind, least = tantivy.FieldType.Integer, int(moment.timestamp())
        later = tantivy.Query.range_query(schema(), "updated", kind, lower_bound=least)
        first = tantivy.Query.term_query(schema(), "part", 0)
        both = tantivy.Query.boolean_query([(tantivy.Occur.Must, later), (tantivy.Occur.Must, first)])
        with READING:
            found = self.searcher.search(both, max(1, self.records))
            return [str(self.searcher.doc(address).get_first("path")) for _, address in found.hits]

    def intact(self) -> bool:
        """Whether the files still are what they were when they were opened."""
        try:
            for path, stamp in self.files.items():
                # plain stat: Path objects would double what this adds to every search
                if _stamp(os.stat(path)) != stamp:  # noqa: PTH116
                    return False
        except OSError:
            return False
        return True


NOTHING = Base("", False, 0, 0, 0, None, {}, {})


def _stamp(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns


def place_of(repository: Repository) -> Path:
    """Where the index of a repository is. Users who share one have an index each: tantivy lets nobody else read its files."""
    of_whom = f"-{os.getuid()}" if repository.is_shared else ""
    return repository.private / f"index-v{SCHEMA_VERSION}{of_whom}"


class Store:
    """The index folder of one repository, shared by all processes of a user that use the repository."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = PrivateLock(folder.with_suffix(".lock"), thread_local=False)
        self._index: Any = None
        self._writer: Any = None
        self._stamps: dict[str, tuple[int, int]] = {}

    # --- reading -------------------------------------------------------------------------------

    def open(self) -> Base:
        """The index as it is now. Raises Damaged if it is not whole, Missing if there is none."""
        for attempt in range(3):
            before = self._meta_text()
            try:
                return self._open(before)
            except Damaged:
                # another process may have committed between the two looks
                if attempt == 2 or self._meta_text() == before:
                    raise
        raise AssertionError("unreachable")

    def _meta_text(self) -> str:
        try:
            return (self.folder / "meta.json").read_text("utf-8")
        except FileNotFoundError:
            raise Missing(f"there is no index at {self.folder}") from None
        except (OSError, UnicodeDecodeError) as error:
            raise Damaged(str(error)) from error

    def _open(self, meta: str) -> Base:
        files = self._checked_files(meta)
        with READING:
            index = tantivy.Index(schema(), path=str(self.folder))
            index.register_tokenizer("words", stemming())
            index.config_reader("manual")
            searcher = index.searcher()
            base = _base(searcher, files, meta)
        self._index = index
        return base

    def _checked_files(self, meta: str) -> dict[str, tuple[int, int]]:
        """The stamps of all files, whose content is looked at once."""
        paths = list(self._segment_files(meta))
        with READING, ThreadPoolExecutor(2) as pool:
            stamps = {str(path): _stamp(path.stat()) for path in paths}
            new = [path for path in paths if self._stamps.get(str(path)) != stamps[str(path)]]
            stamps |= zip(map(str, new), pool.map(_checked, new), strict=True)
        self._stamps = stamps
        return stamps

    def _segment_files(self, meta: str) -> Iterator[Path]:
        try:
            for segment in json.loads(meta)["segments"]:
                name = segment["segment_id"].replace("-", "")
                yield from (self.folder / f"{name}.{ending}" for ending in _SEGMENT_FILES)
                if deletes := segment["deletes"]:
                    yield self.folder / f"{name}.{deletes['opstamp']}.del"
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Damaged(f"meta.json is not readable: {error}") from error

    # --- writing -------------------------------------------------------------------------------

    def acquire(self, *, timeout: float = 0) -> bool:
        """Become the one process that writes; False if another is."""
        if self._lock.is_locked:
            return True
        try:
            self._lock.acquire(timeout=timeout, poll_interval=0.02)
        except Timeout:
            return False
        for left in self.folder.glob(".tmp*"):
            left.unlink(missing_ok=True)  # of a commit that was killed; tantivy does not know of it
        return True

    def release(self) -> None:
        """Let other processes write."""
        self._writer = None
        if self._lock.is_locked:
            self._lock.release()

    def apply(self, base: Base, edits: Edits, commit: str) -> Base:
        """Replace the passages of paths, and the commit that the index reflects, in one step."""
        with READING:
            self._open_writer()
            replaced = added = records = 0
            for path, passages in edits:
                here = _count(base.searcher, path)
                self._writer.delete_documents_by_term("path", path)
                for passage, change in passages:
                    self._writer.add_document(_document(passage, change))
                replaced, added = replaced + here, added + len(passages)
                records += bool(passages) - bool(here)
            self._describe(commit, base.passages + added - replaced, base.records + records, complete=True)
            self._writer.commit()
        return self.open()

    def _open_writer(self) -> None:
        if self._writer is None:
            self._writer = self._index.writer(_FOLD_HEAP_BYTES, 1)

    def merge(self) -> Base | None:
        """Have small segments made one, since each costs every search its share; None if there are few.

        Tantivy does that by itself, but only when there are eight; what is missing is made of nothing, and removed again.
        """
        with READING:
            small = sum(count <= _SMALL_DOCUMENTS for count in _sizes(self._meta_text()))
            if small < _WORTH_MERGING:
                return None
            self._open_writer()
            for _ in range(small, _MERGED_AT):
                self._writer.add_document(tantivy.Document.from_dict({"path": _PADDING_PATH, "key": OWN_KEY}, schema()))
                self._writer.commit()
            self._writer.wait_merging_threads()  # which ends the writer
            self._writer = None
            self._open_writer()
            self._writer.delete_documents_by_term("path", _PADDING_PATH)
            self._writer.commit()
        return self.open()

    def build(self, passages: Iterable[list[tuple[Passage, Change]]], commit: str, *, batch: int) -> Iterator[Base]:
        """Make the index anew from all passages of all records; yields what there is after each batch."""
        self._writer = self._index = None
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True, exist_ok=True)  # whoever opens it meanwhile leaves a lock file of tantivy's there
        with READING:
            index = tantivy.Index(schema(), path=str(self.folder))
            index.register_tokenizer("words", stemming())
            self._writer = index.writer(_BUILD_HEAP_BYTES, 1)
            count = records = 0
            for each in passages:
                for passage, change in each:
                    self._writer.add_document(_document(passage, change))
                count, records = count + len(each), records + 1
                if records % batch == 0:
                    self._describe(commit, count, records, complete=False)
                    self._writer.commit()
                    yield self.open()
            self._describe(commit, count, records, complete=True)
            self._writer.commit()
            self._writer.wait_merging_threads()
            self._writer = None
        yield self.open()

    def _describe(self, commit: str, passages: int, records: int, *, complete: bool) -> None:
        for path in (OWN_PATH, _PADDING_PATH):  # padding is left behind where a process was killed
            self._writer.delete_documents_by_term("path", path)
        about = {
            "commit": commit,
            "complete": complete,
            "passages": passages,
            "records": records,
            "shape": _shape(self._meta_text()),
        }
        values: dict[str, Any] = {"path": OWN_PATH, "part": _OWN_PART, "key": OWN_KEY, "updated": 0}
        values |= {each.name: SENTINEL for each in TEXT_FIELDS}
        self._writer.add_document(tantivy.Document.from_dict(values | {"shown": json.dumps(about).encode()}, schema()))


def _checked(path: Path) -> tuple[int, int]:
    # tantivy ends each file with a checksum that it does not look at itself
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        data = file.read()
    footer, magic = struct.unpack("<II", data[-8:]) if len(data) > 8 else (0, 0)
    body = memoryview(data)[: max(0, len(data) - 8 - footer)]
    try:
        expected = json.loads(data[len(body) : -8])["crc"] if magic == _FOOTER_MAGIC else None
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged(f"{path.name} has no readable footer") from error
    if zlib.crc32(body) != expected:
        raise Damaged(f"{path.name} is not what was written")
    return _stamp(status)


def _sizes(meta: str) -> list[int]:
    """How many documents each segment has, also those that were deleted."""
    return [each["max_doc"] for each in json.loads(meta)["segments"]]


def _shape(meta: str) -> int:
    about = json.loads(meta)
    return zlib.crc32(json.dumps([about.get("schema"), about.get("index_settings")], sort_keys=True).encode())


def _base(searcher: Any, files: dict[str, tuple[int, int]], meta: str) -> Base:
    own = searcher.search(tantivy.Query.term_query(schema(), "path", OWN_PATH, "basic"), 2).hits
    if len(own) != 1:
        raise Damaged("the index does not say what it reflects")
    about = json.loads(bytes(searcher.doc(own[0][1]).get_first("shown")))
    if about["passages"] + 1 + _count(searcher, _PADDING_PATH) != searcher.num_docs or about["shape"] != _shape(meta):
        raise Damaged("the index is not what was written")
    averages = {each.name: _average_length(searcher, each.name, own[0][1]) for each in TEXT_FIELDS}
    counts = (about["records"], about["passages"], sum(_sizes(meta)))
    return Base(about["commit"], about["complete"], *counts, searcher, averages, files)


def _average_length(searcher: Any, name: str, own: Any) -> float:
    query = tantivy.Query.term_query(schema(), name, stemming().analyze(SENTINEL)[0], "freq")
    details = json.loads(query.explain(searcher, own).to_json())["details"]
    found = (each["value"] for detail in details for each in detail.get("details", ()) if each["description"].startswith("avgdl"))
    return float(next(found))


def _count(searcher: Any, path: str) -> int:
    found: int = searcher.search(tantivy.Query.term_query(schema(), "path", path, "basic"), 1).count
    return found


def _document(passage: Passage, change: Change) -> Any:
    values: dict[str, Any] = {name: text for name, text in passage.texts.items() if text}
    values |= {
        "path": passage.path,
        "facet": list(passage.facets),
        "key": key_of(passage.path),
        "part": passage.part,
        "updated": int(change.time.timestamp()),
        "shown": "\x00".join((change.author, passage.heading, passage.shown)).encode("utf-8", "surrogateescape"),
        "gist": passage.gist,
    }
    return tantivy.Document.from_dict(values, schema())
