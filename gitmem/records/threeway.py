"""The three-way merge of records: each field by the rule that its kind declares."""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gitmem.records.codec import unknown_entries
from gitmem.records.kind import Field, Kind, Record, kind_of
from gitmem.records.merging import ABSENT, Along, Rule, Settled, json_value, same, settle, whoever_last


class MergedRecord(Struct, frozen=True):
    """What became of two versions of a record.

    `lost` is the record as it would be with everything that is lost; `fields` are those in which it differs.
    """

    kept: Record
    lost: Record
    fields: tuple[str, ...]


def merge_records(base: Record | None, earlier: Record, later: Record) -> MergedRecord:
    """Two versions of one record, in the order in which they were made, and what they come from. They may be equal."""
    settled = dict(_settled(kind_of(type(later)), base, earlier, later))
    extra = _extra(base, earlier, later)
    kept = replace(later, **{name: each.kept for name, each in settled.items()}, extra=extra.kept, version="")
    lost = replace(kept, **{name: each.lost for name, each in settled.items()}, extra=extra.lost)
    fields = [name for name, each in settled.items() if each.is_loss]
    return MergedRecord(kept, lost.anew(kept), (*fields, *(["extra"] if extra.is_loss else [])))


def _settled(kind: Kind, base: Record | None, earlier: Record, later: Record) -> Iterator[tuple[str, Settled]]:
    versions = (base, earlier, later)
    # where a record stands is no more than where it was put last
    yield "scope", settle(whoever_last, *_values("scope", versions))
    leads = {f.merge.lead for f in kind.fields if isinstance(f.merge, Along)}
    for f in kind.fields:
        match f.merge:
            case Along():
                continue
            case rule if f.name in leads:
                yield from _together(kind, f.name, rule, versions)
            case rule:
                yield f.name, _checked(f, whoever_last if f in kind.path_fields else rule, versions)


def _values(name: str, versions: tuple[Record | None, ...]) -> tuple[Any, ...]:
    return tuple(ABSENT if each is None else getattr(each, name) for each in versions)


def _checked(f: Field, rule: Rule, versions: tuple[Record | None, ...]) -> Settled:
    base, earlier, later = _values(f.name, versions)
    settled = settle(rule, base, earlier, later)
    if any(same(settled.kept, each) for each in (earlier, later)):
        return settled
    # What is fine in both versions may be too much in one.
    return Settled(later, earlier) if _fails(f, settled.kept) else settled


def _fails(f: Field, value: Any) -> bool:
    return value is not None and any(check(value) for check in f.checks)


def _together(kind: Kind, lead: str, rule: Rule, versions: tuple[Record | None, ...]) -> Iterator[tuple[str, Settled]]:
    """Fields that make sense only together come from one version: that whose `lead` stays, else the later."""
    fields = {f.name: f for f in kind.fields if f.name == lead or (isinstance(f.merge, Along) and f.merge.lead == lead)}
    quiet = all(f.merge.quiet for f in fields.values() if isinstance(f.merge, Along))
    base, earlier, later = (tuple(_values(name, (each,))[0] for name in fields) for each in versions)
    kept = settle(rule, *_values(lead, versions)).kept
    loser, winner = (later, earlier) if same(kept, earlier[0]) and not same(kept, later[0]) else (earlier, later)
    if same(earlier, base) or same(later, base) or same(earlier, later):
        winner = loser = later if same(earlier, base) else earlier
    for position, (name, f) in enumerate(fields.items()):
        lost = winner[position] if quiet else settle(f.losing, base[position], winner[position], loser[position]).kept
        yield name, Settled(winner[position], lost)


def _extra(base: Record | None, earlier: Record, later: Record) -> Settled:
    """Keys that gitmem does not know, each as one value."""
    tables = [unknown_entries(each.extra) if each else {} for each in (base, earlier, later)]
    settled = settle(json_value, *tables)
    return Settled("".join(settled.kept.values()), "".join(settled.lost.values()))
