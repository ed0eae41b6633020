"""What to show of a record that was found: its card, when it was touched and by whom, and why it was found."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

from msgspec import Struct

from gitmem.index.answer import Candidate
from gitmem.index.follower import Snapshot
from gitmem.index.passages import key_of
from gitmem.index.queries import any_of, leaf_query
from gitmem.index.question import TIE, Clause, Leaf
from gitmem.index.store import READING


class Card(Struct, frozen=True):
    """What the index keeps of a passage to show it, and of its record to tell of it."""

    path: str
    author: str
    heading: str
    text: str
    gist: bytes
    updated: datetime


def touched(snapshot: Snapshot, path: str) -> tuple[datetime, str] | None:
    """When the record at a path was last changed, and by whom; None if the index has none there."""
    overlaid = snapshot.overlay.at(path, snapshot.step)
    if overlaid is not None:
        return overlaid.change.time, overlaid.change.author
    if snapshot.overlay.masks(key_of(path), snapshot.step):
        return None
    searcher = snapshot.base.searcher

    def find() -> tuple[datetime, str] | None:
        with READING:
            addresses = [address for _, address in searcher.search(any_of("path", [path]), 1).hits]
            times = searcher.fast_field_values("updated", addresses)
        found = (Candidate(0.0, time, 0, address) for address, time in zip(addresses, times, strict=True))
        return next(((card.updated, card.author) for card in (card_of(snapshot, each) for each in found)), None)

    return snapshot.base.touched.of(path, find)


def card_of(snapshot: Snapshot, candidate: Candidate) -> Card:
    """What to show of a candidate."""
    if candidate.overlaid is not None:
        passage, change = candidate.overlaid.passage, candidate.overlaid.change
        return Card(passage.path, change.author, passage.heading, passage.shown, passage.gist, change.time)
    with READING:
        document = snapshot.base.searcher.doc(candidate.address)
    path, gist = str(document.get_first("path")), bytes(document.get_first("gist"))
    author, heading, text = bytes(document.get_first("shown")).decode("utf-8", "replace").split("\x00", 2)
    return Card(path, author, heading, text, gist, datetime.fromtimestamp(candidate.updated, UTC))


def explained(snapshot: Snapshot, candidate: Candidate, clauses: list[Clause]) -> Iterator[tuple[float, str]]:
    """How much each clause gives a candidate, and by which field and term."""
    passages = [candidate] if candidate.opening is None else [candidate, candidate.opening]
    for each in passages:
        share = 1.0 if each.part == 0 and each is candidate else 0.5
        where = "" if each is candidate else "opening "
        for score, reason in _explained(snapshot, each, clauses):
            yield score * share, f"{where}{reason} {score * share:.2f}"


def _explained(snapshot: Snapshot, candidate: Candidate, clauses: list[Clause]) -> Iterator[tuple[float, str]]:
    for clause in clauses:
        scores = sorted(((_leaf_score(snapshot, candidate, leaf), leaf) for leaf in clause.leaves), key=lambda pair: -pair[0])
        most, leaf = scores[0]
        if most > 0:
            score = most + TIE * sum(each for each, _ in scores[1:])
            yield score, f"{leaf.field}: {leaf.term}"


def _leaf_score(snapshot: Snapshot, candidate: Candidate, leaf: Leaf) -> float:
    if candidate.overlaid is not None:
        clause = Clause(leaf.term, (leaf,))
        found = snapshot.overlay.scores([clause], snapshot.base.averages, snapshot.step, lambda each: each is candidate.overlaid)
        return next((score for _, score in found.values()), 0.0)
    try:
        explanation = leaf_query(leaf.field, leaf.term, leaf.weight).explain(snapshot.base.searcher, candidate.address).to_json()
    except ValueError:
        return 0.0  # the passage does not have the term
    return float(json.loads(explanation)["value"])
