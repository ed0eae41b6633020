"""Ahead of a search: what is being written is analysed while the disk is waited for."""

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

from gitmem.index.overlay import Analysed, analyse
from gitmem.index.passages import passages_of
from gitmem.memory.memory import Memory
from gitmem.memory.pending import PendingCommit
from gitmem.memory.view import MAIN_PLACE
from gitmem.records.kind import Record, kind_at

_FILES_MAX = 8  # of one commit: a search after an import can wait for it
_KEPT = 8


def analysed(path: str, record: Record) -> list[Analysed]:
    """The passages of a record with their terms counted."""
    return [analyse(passage) for passage in passages_of(path, record)]


class Ahead:
    """The passages of what this process wrote last.

    A write waits for the disk many times as long as its terms take to count, and the next search needs them.
    """

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="gitmem-ahead")
        self._begun: dict[tuple[str, str], Future[list[Analysed]]] = {}
        memory.writer.listeners.append(self.begin)

    def begin(self, pending: PendingCommit) -> None:
        """Analyse in the background what is about to be written."""
        if pending.ref != MAIN_PLACE.ref or len(pending.edits) > _FILES_MAX:
            return
        with suppress(RuntimeError):  # closed meanwhile
            for path, blob in pending.edits.items():
                if blob is not None and kind_at(path) is not None:
                    self._begun[path, blob.oid] = self._thread.submit(self._analysed, path, blob.oid)
        for old in list(self._begun)[:-_KEPT]:
            self._begun.pop(old, None)

    def _analysed(self, path: str, oid: str) -> list[Analysed]:
        view = self._memory.view(commit="")
        decoded = view.parsed.get(view.objects.blob, MAIN_PLACE, path, oid)
        return analysed(path, decoded.record) if decoded and decoded.record else []

    def take(self, path: str, record: Record) -> list[Analysed]:
        """The passages of a record in its present version, once; analysed now if that was not begun."""
        begun = self._begun.pop((path, record.version), None)
        return begun.result() if begun else analysed(path, record)

    def close(self) -> None:
        """Stop listening."""
        with suppress(ValueError):  # closed before
            self._memory.writer.listeners.remove(self.begin)
        self._thread.shutdown()
