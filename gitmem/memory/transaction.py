"""A transaction: edits in memory over a base view, checked by the gate, landed as one commit or not at all."""

from collections.abc import Iterator
from datetime import datetime
from types import TracebackType
from typing import Protocol, TypeVar

from msgspec.structs import replace

from gitmem.git.objects import FILE, Entry, NewObject, new_object
from gitmem.memory import gate
from gitmem.memory.caller import Caller
from gitmem.memory.pending import PendingCommit
from gitmem.memory.view import View
from gitmem.names import now
from gitmem.records.codec import encode
from gitmem.records.kind import Record

R = TypeVar("R", bound=Record)


class Lander(Protocol):
    """What commits land with: the writer of a memory, an agreement with its hub, or a draft."""

    def land(self, pending: PendingCommit) -> str:
        """Commit what is pending; the id of its commit, "" if it changes nothing."""
        ...


class Transaction:
    """Edits that become one commit when the `with` block ends, and nothing if it raises.

    Reading through the transaction shows its own edits.
    """

    def __init__(self, view: View, writer: Lander, caller: Caller, subject: str, *, verb: str = "", body: str = "") -> None:
        self.view = view
        self.writer = writer
        self._caller = caller
        self._subject = subject
        self._body = body
        self._verb = verb
        self._blobs: dict[str, NewObject | None] = {}
        self._new: dict[str, bytes] = {}
        self.time: datetime = now()
        self.forced = False  # set by a verb whose caller said that they mean what the gate takes for a slip
        self.dry_run = False  # only the gate is asked
        self.merges: tuple[str, ...] = ()  # commits that the change takes in
        self.proposed = False
        self.reviewed: frozenset[str] = frozenset()
        self.trailers: tuple[tuple[str, str], ...] = ()  # beside those that every commit has
        self.commit = ""

    def put(self, record: R) -> R:
        """Write a record at its path; the record with the version that it gets."""
        path = record.path
        version = self.put_file(path, encode(record))
        # read back as everybody else will read it: what cannot be read must not land
        decoded = self.view.parsed.get(self._read, self.view.place, path, version)
        if decoded is not None and isinstance(decoded.record, type(record)):
            return decoded.record
        return replace(record, version=version)  # the gate will say what is wrong with it

    def put_file(self, path: str, data: bytes) -> str:
        """Write a file as it is, such as README.md; its version."""
        blob = new_object("blob", data)
        self.view.objects.keep_blob(blob.oid, data)
        self._new[blob.oid] = data
        self._blobs[path] = blob
        return blob.oid

    def _read(self, oid: str) -> bytes:
        data = self._new.get(oid)
        return self.view.objects.blob(oid) if data is None else data

    def delete(self, path: str) -> None:
        """Remove a file."""
        self._blobs[path] = None

    def restore(self, path: str, version: str) -> None:
        """Put back a file as it was in an earlier version (a blob id)."""
        self._blobs[path] = NewObject("blob", self.view.objects.blob(version), version)

    def record(self, path: str) -> Record | None:
        """The record at a path, the transaction's own edits included."""
        if path not in self._blobs:
            return self.view.record(path)
        blob = self._blobs[path]
        decoded = self.view.parsed.get(self._read, self.view.place, path, blob.oid) if blob else None
        return decoded.record if decoded else None

    def __enter__(self) -> "Transaction":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self.land()

    def land(self) -> None:
        """Pass the gate and commit. Raises GateRefused (NeedsReview if a review is all that it lacks), Stale, StorageFailed."""
        edits = dict(self._edits())
        if not edits and not self.merges:
            return
        change = gate.Change(
            self.view, edits, self._caller, self._read, self.forced, proposed=self.proposed, reviewed=self.reviewed
        )
        if problems := gate.check(change):
            refusal = gate.NeedsReview if all(each.needs_review for each in problems) else gate.GateRefused
            raise refusal(problems)
        if self.dry_run:
            return
        self.commit = self.writer.land(
            PendingCommit(
                ref=self.view.place.ref,
                base=self.view.commit,
                reads=self.view.reads,
                listings=self.view.listings,
                edits=self._blobs,
                author=self._caller.person,
                message=self._message(),
                time=self.time,
                merges=self.merges,
            )
        )

    def _edits(self) -> Iterator[tuple[str, gate.Edit]]:
        for path, blob in self._blobs.items():
            # reading what is overwritten puts it among the reads that the writer compares
            old = self.view.entry(path)
            new = Entry(FILE, blob.oid) if blob else None
            if old != new:
                yield path, gate.Edit(old, new)

    def _message(self) -> str:
        trailers = [("Gitmem-Verb", self._verb), ("Gitmem-Session", self._caller.session)]
        trailers += [(gate.FORCED, "yes" if self.forced else ""), *self.trailers]
        lines = "".join(f"{name}: {value}\n" for name, value in trailers if value)
        subject = " ".join(self._subject.split())[:100] or "change"
        return "\n\n".join(part for part in (subject, self._body.strip(), lines) if part).rstrip("\n") + "\n"
