"""Importing a folder of Markdown files, and importing it again when it has changed.

Each file is a knowledge record, found again by its `source`. What changed in the file since is taken over;
what changed in the memory since is left as it is, and where both changed, a person is told. What was deleted in
the memory stays deleted; when its file changes, it comes back under its old id.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from gitmem.desk import UnknownProject
from gitmem.domains import documents
from gitmem.domains.documents import Document
from gitmem.domains.knowledge.record import Knowledge, Link, expiry
from gitmem.domains.projects import project_path
from gitmem.domains.sources import LeftOut, Notice, markdown_files, text_of
from gitmem.git.history import last_changes
from gitmem.git.log import file_versions, path_versions
from gitmem.memory.caller import Caller
from gitmem.memory.gate import BODY_MAX_BYTES, GateRefused, conflict_markers
from gitmem.memory.memory import Memory
from gitmem.memory.pending import Stale
from gitmem.memory.view import View
from gitmem.names import check_name, new_id, now, slugify
from gitmem.records.codec import Problem, decode, encode
from gitmem.records.kind import kind_of

VERB = "import_markdown"
RECORDS_PER_COMMIT = 200
LINKS_MAX = 100
LINKS_TO, PART_OF, NEXT = "links_to", "part_of", "next"
_RELATIONS = (LINKS_TO, PART_OF, NEXT)

Progress = Callable[[int, int], None]


class ImportReport(Struct, frozen=True):
    """What an import did. Files in `left_out` are not in the memory, or not as they are now.

    `edited` were changed in the memory and not in their files, `gone` are records whose files are not there
    any more; both are left as they are.
    """

    project: str
    files: int
    added: int
    updated: int
    unchanged: int
    left_out: tuple[Notice, ...]
    notes: tuple[Notice, ...]
    edited: tuple[Notice, ...]
    gone: tuple[Notice, ...]
    commits: tuple[str, ...]

    def lines(self) -> Iterator[str]:
        """The report for a reader."""
        yield (
            f"{self.files} files: {self.added} records added, {self.updated} updated, {self.unchanged} unchanged"
            f" in {self.project}"
        )
        headed = {"left out": self.left_out, "notes": self.notes, "edited in the memory, left as they are": self.edited,
                  "no longer in the folder, left as they are": self.gone}
        for heading, notices in headed.items():
            if notices:
                yield f"{heading}:"
                yield from (f"  {notice.source}: {notice.what}" for notice in notices)


def import_markdown(
    memory: Memory, caller: Caller, directory: Path, project: str, progress: Progress, *, name: str = "", overwrite: bool = False
) -> ImportReport:
    """Bring in every Markdown file below a folder, or what changed since the last time.

    Args:
        memory: where to.
        caller: who becomes the author.
        directory: the folder. Links in it, to files or folders, are not followed.
        project: the project that the records belong to. Raises UnknownProject.
        progress: told (done, total) files as they are read.
        name: what the sources are called by; left out, the folder's own name. It keeps folders of one project apart.
        overwrite: take the files also where their records were changed or deleted in the memory.
    """
    view = memory.view()
    check_name(project, "project")
    if view.peek(project_path(project)) is None:
        known = [each for each in view.names("projects") if view.peek(project_path(each))]
        raise UnknownProject(project, known)
    prefix = name or directory.resolve().name
    return _Import(memory, view, caller, f"projects/{project}", prefix, overwrite=overwrite).run(directory, progress)


class _Draft(Struct):
    """A record to be, and the one that it is to replace, or that was deleted."""

    document: Document
    record: Knowledge
    old: Knowledge | None
    deleted: Knowledge | None = None


class _Told(Struct):
    """What the report will say."""

    left_out: list[Notice] = field(default_factory=list)
    notes: list[Notice] = field(default_factory=list)
    edited: list[Notice] = field(default_factory=list)


class _Import:
    """One import, on one view of the memory."""

    def __init__(self, memory: Memory, view: View, caller: Caller, scope: str, prefix: str, *, overwrite: bool) -> None:
        self._memory = memory
        self._view = view
        self._caller = caller
        self._scope = scope
        self._prefix = prefix
        self._overwrite = overwrite
        self._told = _Told()
        self._known = self._recorded()
        self._time = now()

    def run(self, directory: Path, progress: Progress) -> ImportReport:
        sources = sorted(markdown_files(directory, self._told.left_out))
        drafts: dict[str, list[_Draft]] = {}
        for done, source in enumerate(sources, start=1):
            if read := self._read(directory, source):
                drafts[source] = read
            progress(done, len(sources))
        self._link(drafts)
        wanted = [draft for each in drafts.values() for draft in each]
        wanted += [draft for source, each in drafts.items() for draft in self._parts_no_more(source, each)]
        changed = [draft for draft in wanted if draft.old is None or _imported(draft.record) != _imported(draft.old)]
        landed, commits = self._land(list(self._unedited(self._wanted_back(changed))), directory.resolve().name)
        added = sum(1 for draft in landed if draft.old is None)
        return ImportReport(
            project=self._scope.partition("/")[2],
            files=len(sources),
            added=added,
            updated=len(landed) - added,
            unchanged=len(wanted) - len(changed),
            left_out=tuple(self._told.left_out),
            notes=tuple(self._told.notes),
            edited=tuple(self._told.edited),
            gone=tuple(self._gone(sources)),
            commits=tuple(commits),
        )

    def _recorded(self) -> dict[str, Knowledge]:
        """What was imported before, by source."""
        return {record.source: record for record in self._records() if record.source.startswith(f"{self._prefix}/")}

    def _records(self) -> Iterator[Knowledge]:
        # a view of its own: what is read here must not count as read by the edits
        return self._view.apart().records(Knowledge, f"{self._scope}/knowledge")

    @cached_property
    def _deleted(self) -> dict[str, Knowledge]:
        """What was imported and deleted since, by source. Looked for only if there are files without a record."""
        found: dict[str, Knowledge] = {}
        there = {record.id for record in self._records()}  # to go to another folder is told as a deletion as well
        for each in path_versions(self._memory.repository, self._view.commit, f"{self._scope}/knowledge", deletions=True):
            record = self._version(each.path, each.old_blob)
            if record and record.id not in there and record.source.startswith(f"{self._prefix}/"):
                found.setdefault(record.source, record)
        return found

    def _version(self, path: str, blob: str) -> Knowledge | None:
        decoded = self._view.parsed.get(self._view.objects.blob, self._view.place, path, blob)
        return decoded.record if decoded and isinstance(decoded.record, Knowledge) else None

    def _gone(self, sources: list[str]) -> Iterator[Notice]:
        there = {self._source(source) for source in sources}
        for source, record in sorted(self._known.items()):
            if _file_of(source) not in there and record.status != "superseded":
                yield Notice(source.removeprefix(f"{self._prefix}/"), f"recorded as {record.id}")

    def _source(self, path: str, number: int = 1) -> str:
        return f"{self._prefix}/{path}" + (f"#{number}" if number > 1 else "")

    # --- from files to records ---

    def _read(self, directory: Path, source: str) -> list[_Draft]:
        try:
            document = documents.read(source, text_of(directory, source))
            if not document.content.strip():
                raise LeftOut("is empty")
            drafts = list(self._drafts(document))
        except LeftOut as reason:
            self._told.left_out.append(Notice(source, str(reason)))
            return []
        self._told.notes += [Notice(source, note) for note in document.notes]
        return drafts

    def _drafts(self, document: Document) -> Iterator[_Draft]:
        first = None
        for number, part in enumerate(documents.parts(document.content, BODY_MAX_BYTES), start=1):
            title = documents.title_of_part(document, number, part)
            old = self._known.get(self._source(document.source, number))
            deleted = None if old else self._deleted.get(self._source(document.source, number))
            record = self._record(document, number, title, part.text, old, deleted)
            if old and first and old.superseded_by == first.id:  # the document had lost this part for a while
                record = replace(record, status="active", superseded_by="")
            first = first or record
            if problems := _problems_of(record):
                raise LeftOut("; ".join(f"{each.field} {each.what}" for each in problems))
            yield _Draft(document, record, old, deleted)

    def _record(
        self, document: Document, number: int, title: str, text: str, old: Knowledge | None, deleted: Knowledge | None
    ) -> Knowledge:
        start = old or Knowledge(
            scope=self._scope,
            id=deleted.id if deleted else new_id(title),  # links to it go on to mean it, there or not
            title=title,
            source=self._source(document.source, number),
            author=self._caller.name,
            session=self._caller.session,
            created=self._time,
            expires=expiry(document.memory_type, None, clock=self._time),
            content=text,
        )
        return replace(
            start,
            title=title,
            content=text,
            memory_type=document.memory_type,
            status=document.status or start.status,
            tags=document.tags,
            files_related=document.files_related,
            extra=document.extra if number == 1 else "",
        )

    def _parts_no_more(self, source: str, drafts: list[_Draft]) -> Iterator[_Draft]:
        """Parts that a document had when it was longer: search must not take them for what it says now."""
        first, number = drafts[0], len(drafts) + 1
        while old := self._known.get(self._source(source, number)):
            yield _Draft(first.document, replace(old, status="superseded", superseded_by=first.record.id), old)
            number += 1

    # --- links ---

    def _link(self, drafts: dict[str, list[_Draft]]) -> None:
        """Links between what is imported, now that everything has an id."""
        for source, each in drafts.items():
            found = (documents.target_of(href, source, drafts) for href in each[0].document.links)
            targets = dict.fromkeys(drafts[target][0].record.id for target in found if target)
            for position, draft in enumerate(each):
                following = each[position + 1].record.id if position + 1 < len(each) else ""
                first = each[0].record.id if position else ""
                self._link_one(draft, list(targets) if not position else [], first, following)

    def _link_one(self, draft: _Draft, targets: list[str], first: str, following: str) -> None:
        others = [link for link in draft.record.links if link.rel not in _RELATIONS]
        links = others + [Link(rel=rel, to=to) for rel, to in ((PART_OF, first), (NEXT, following)) if to]
        room = LINKS_MAX - len(links)
        if len(targets) > room:
            what = f"has {len(targets)} links to other files; the first {room} are kept as links"
            self._told.notes.append(Notice(draft.document.source, what))
        links += [Link(rel=LINKS_TO, to=target) for target in targets[:room]]
        draft.record = replace(draft.record, links=tuple(links))

    # --- what changed, and where ---

    def _wanted_back(self, changed: list[_Draft]) -> Iterator[_Draft]:
        """The drafts without those whose records were deleted in the memory since their files were imported."""
        for draft in changed:
            last = draft.deleted and (self._last_import(draft.deleted) or draft.deleted)
            if last is None or self._overwrite:
                yield draft
            elif _file_says(last) == _file_says(draft.record, status=draft.document.status or last.status):
                what = f"was deleted in the memory, as {last.id}; --overwrite brings it back"
                self._told.left_out.append(Notice(draft.document.source, what))
            else:
                what = f"changed since {last.id} was deleted in the memory, and is back"
                self._told.notes.append(Notice(draft.document.source, what))
                yield draft

    def _unedited(self, drafts: Iterable[_Draft]) -> Iterator[_Draft]:
        """The drafts without those whose records were changed in the memory since they were imported."""
        changed = list(drafts)
        paths = [draft.old.path for draft in changed if draft.old]
        last = last_changes(self._memory.repository, self._view.commit, paths) if paths and not self._overwrite else {}
        for draft in changed:
            change = last.get(draft.old.path) if draft.old else None
            edited = change is not None and not self._is_import(change.commit)
            imported = self._last_import(draft.old) if draft.old and edited else None
            if change is None or imported is None:
                yield draft
            elif _imported(imported) == _imported(draft.record, status=draft.document.status or imported.status):
                what = f"{draft.record.id}, last by {change.author}"
                self._told.edited.append(Notice(draft.document.source, what))
            else:
                what = f"changed, and so did {draft.record.id} in the memory, by {change.author}; bring them in line"
                self._told.left_out.append(Notice(draft.document.source, what))

    def _is_import(self, commit: str) -> bool:
        return self._memory.repository.objects.commit(commit).trailers.get("Gitmem-Verb") == VERB

    def _last_import(self, record: Knowledge) -> Knowledge | None:
        """The record as it was when it last came from its file."""
        name = record.path.rpartition("/")[2]
        for version in file_versions(self._memory.repository, self._view.commit, name):
            if version.blob and self._is_import(version.commit.oid):
                return self._version(version.path, version.blob)
        return None

    # --- landing ---

    def _land(self, drafts: list[_Draft], folder: str) -> tuple[list[_Draft], list[str]]:
        """Commit the drafts, some hundred at a time; those that landed, and the commits."""
        landed, commits = list[_Draft](), list[str]()
        for start in range(0, len(drafts), RECORDS_PER_COMMIT):
            batch = drafts[start : start + RECORDS_PER_COMMIT]
            while batch:
                refused = self._commit(batch, f"import {len(batch)} records from {slugify(folder)}", commits)
                if not refused:
                    landed += batch
                    break
                batch = [draft for draft in batch if draft.record.path not in refused]
        return landed, commits

    def _commit(self, batch: list[_Draft], subject: str, commits: list[str]) -> set[str]:
        """Commit a batch; or the paths of records that cannot be in it, which are then told of."""
        # always on the view that was compared with: what somebody else changed since must not be overwritten
        view = self._view.apart()
        try:
            with self._memory.transaction(view, self._caller, subject, verb=VERB) as change:
                for draft in batch:
                    if draft.old and draft.old.path != draft.record.path:
                        change.delete(draft.old.path)
                    change.put(draft.record)
        except GateRefused as error:
            reasons = {problem.path: f"{problem.field} {problem.what}".strip() for problem in error.problems}
            if not self._tell(batch, reasons):
                raise
            return set(reasons)
        except Stale as stale:
            reasons = dict.fromkeys(stale.paths, "was changed by somebody else just now; import again")
            reasons |= {d.record.path: reasons[d.old.path] for d in batch if d.old and d.old.path in reasons}
            if not self._tell(batch, reasons):
                raise
            return set(reasons)
        commits.append(change.commit)
        return set()

    def _tell(self, batch: list[_Draft], reasons: dict[str, str]) -> bool:
        found = [Notice(each.document.source, reasons[each.record.path]) for each in batch if each.record.path in reasons]
        self._told.left_out += found
        return bool(found)


def _imported(record: Knowledge, *, status: str = "") -> tuple[object, ...]:
    """What of a record comes from its file, and from those beside it."""
    links = tuple(link for link in record.links if link.rel in _RELATIONS)
    return (*_file_says(record, status=status), links)


def _file_says(record: Knowledge, *, status: str = "") -> tuple[object, ...]:
    """What of a record its file alone says."""
    said = (record.title, record.content, record.memory_type, record.tags, record.files_related, record.extra)
    return (*said, status or record.status)


def _file_of(source: str) -> str:
    """The source without the number of a part."""
    stem, mark, number = source.rpartition("#")
    return stem if mark and number.isdecimal() and stem.endswith(documents.SUFFIXES) else source


def _problems_of(record: Knowledge) -> list[Problem]:
    """What the gate would say of one record: it is left out, and the others land."""
    data = encode(record)
    return [*decode(kind_of(Knowledge), record.path, data).problems, *conflict_markers(record.path, data)]
