"""How two values that both differ from a third become one: the rules that fields declare with `merge=`.

Nothing here knows whose side is whose. The two values come in the order in which they were changed, the later one
last, and where nothing else decides the later one stays. So the result is the same whoever merges.

A rule gets (base, earlier, later), all three different, and answers what is kept and what is lost. `ABSENT` stands
for a value that is not there, such as the base of what both sides added.
"""

import types
import typing
from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

from msgspec import Struct
from msgspec.structs import replace


class Settled(NamedTuple):
    """What a merge keeps, and what would be there if the version that loses had won instead; the same if none loses."""

    kept: Any
    lost: Any

    @property
    def is_loss(self) -> bool:
        """Whether something of one version is not in the result."""
        return not same(self.kept, self.lost)


Rule = Callable[[Any, Any, Any], Settled]


class _Absent:
    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()


class Along(Struct, frozen=True):
    """The field goes with another one: both come from the version whose `lead` is kept.

    `quiet`: what the other version said is no loss.
    """

    lead: str
    quiet: bool = False


def same(one: Any, other: Any) -> bool:
    """Whether two values are written the same: to Python, 1 and true are equal."""
    return one is other or (one == other and repr(one) == repr(other))


def settle(rule: Rule, base: Any, earlier: Any, later: Any) -> Settled:
    """The three-way merge of one value. What one version removes and the other changes stays."""
    if same(earlier, later) or same(later, base):
        return Settled(earlier, earlier)
    if same(earlier, base):
        return Settled(later, later)
    if _is_nothing(earlier):
        return Settled(later, later)
    if _is_nothing(later):
        return Settled(earlier, earlier)
    return rule(base, earlier, later)


def _is_nothing(value: Any) -> bool:
    return value is ABSENT or value is None or value in ("", ())


# --- rules for single values -----------------------------------------------------------------------


def latest_change(_base: Any, earlier: Any, later: Any) -> Settled:
    """The later change stays; the other is lost."""
    return Settled(later, earlier)


def whoever_last(_base: Any, _earlier: Any, later: Any) -> Settled:
    """The later change stays, and nothing is lost: for what only tells who was at it last."""
    return Settled(later, later)


def first_come(base: Any, earlier: Any, later: Any) -> Settled:
    """What was free stays with whoever took it first; what was taken goes to whom it was given last."""
    return Settled(earlier, later) if _is_nothing(base) else Settled(later, earlier)


def greatest(_base: Any, earlier: Any, later: Any) -> Settled:
    """The greater number or later time stays."""
    kept = max(earlier, later)
    return Settled(kept, kept)


def least(_base: Any, earlier: Any, later: Any) -> Settled:
    """The smaller number or earlier time stays."""
    kept = min(earlier, later)
    return Settled(kept, kept)


def greatest_by(order: Callable[[Any], Any]) -> Rule:
    """The value that is greater by an order; of two that are equal in it, the later."""

    def merge(_base: Any, earlier: Any, later: Any) -> Settled:
        try:
            kept = earlier if order(earlier) > order(later) else later
        except ValueError:  # one of them came in past the gate
            kept = later
        return Settled(kept, kept)

    return merge


def furthest(*steps: str | tuple[str, ...]) -> Rule:
    """A status: the one that is further on stays, the later of two that are equally far."""
    ranks = {name: rank for rank, step in enumerate(steps) for name in ((step,) if isinstance(step, str) else step)}

    def merge(_base: Any, earlier: Any, later: Any) -> Settled:
        if ranks[earlier] == ranks[later]:
            return Settled(later, earlier)
        kept = max(earlier, later, key=ranks.__getitem__)
        return Settled(kept, kept)

    return merge


def text(base: Any, earlier: Any, later: Any) -> Settled:
    """Prose, merged by lines; a single line is one value."""
    if base is ABSENT or "\n" not in f"{base}{earlier}{later}":
        return Settled(later, earlier)
    return lines(base, earlier, later)


def prose(base: Any, earlier: Any, later: Any) -> Settled:
    """Prose, merged by lines. Two whole texts are not one, but what both wrote where nothing was are two paragraphs."""
    if base is ABSENT:
        return Settled(later, earlier)
    both = f"{earlier}\n\n{later}"
    return lines(base, earlier, later) if base else Settled(both, both)


def sections(split: Callable[[str], Any], join: Callable[[Any], str]) -> Rule:
    """Prose of parts that `split` gives as a struct and `join` makes a text again: part by part."""

    def merge(base: Any, earlier: Any, later: Any) -> Settled:
        parts = [split(each) if each is not ABSENT else ABSENT for each in (base, earlier, later)]
        kept, lost = _fieldwise(lambda _: prose, *parts)
        return Settled(join(kept), join(lost))

    return merge


def lines(base: str, earlier: str, later: str) -> Settled:
    """The three-way merge of two texts by lines.

    1. Lines that one version changed: its lines.
    2. Both added lines at one place: both, the earlier first.
    3. One added lines right beside a line that the other changed: both.
    4. One removed lines that the other changed: the changed ones.
    5. Both changed the same lines: the later ones; the earlier are lost.
    """
    from merge3 import Merge3  # imported late: every hook and command loads the rules, and few merge

    kept: list[str] = []
    lost: list[str] = []
    merge = Merge3(base.split("\n"), earlier.split("\n"), later.split("\n"))
    for region, *versions in merge.merge_groups():
        settled = _region(*map(list, versions)) if region == "conflict" else Settled(versions[0], versions[0])
        kept += settled.kept
        lost += settled.lost
    return Settled("\n".join(kept), "\n".join(lost))


def _region(base: list[str], earlier: list[str], later: list[str]) -> Settled:
    if not base:  # 2
        both = earlier + later
    elif beside := _beside(base, earlier, later):  # 3
        both = beside
    elif not earlier or not later:  # 4
        both = earlier or later
    else:  # 5
        return Settled(later, earlier)
    return Settled(both, both)


def _beside(base: list[str], earlier: list[str], later: list[str]) -> list[str]:
    count = len(base)
    if later[:count] == base:
        return earlier + later[count:]
    if later[-count:] == base:
        return later[:-count] + earlier
    if earlier[:count] == base:
        return later + earlier[count:]
    if earlier[-count:] == base:
        return earlier[:-count] + later
    return []


# --- rules for values that have parts --------------------------------------------------------------


def union(base: Any, earlier: Any, later: Any) -> Settled:
    """A set in some order: what either added is in it, what either removed is not."""
    return keyed(_spelled, otherwise=latest_change)(base, earlier, later)


def _spelled(value: Any) -> Hashable:
    return value if isinstance(value, str) else repr(value)


def keyed(key: str | Callable[[Any], Hashable], *, otherwise: Rule | None = None, **rules: Rule) -> Rule:
    """A list of things that have a key: each is merged by itself, field by field.

    `rules` are for fields of the things that are not merged as their types are.
    """
    key_of: Callable[[Any], Hashable] = key if callable(key) else lambda item: getattr(item, key)

    def merge_one(base: Any, earlier: Any, later: Any) -> Settled:
        if not isinstance(later, Struct) or otherwise is not None:
            return (otherwise or latest_change)(base, earlier, later)
        return structure(type(later), **rules)(base, earlier, later)

    def merge(base: Any, earlier: Any, later: Any) -> Settled:
        versions = [() if each is ABSENT else each for each in (base, earlier, later)]
        tables = [{key_of(item): item for item in each} for each in versions]
        if list(map(len, tables)) != list(map(len, versions)):
            return Settled(later, earlier)  # something is there twice, so that keys tell nothing
        kept, lost = _by_key(merge_one, *tables)
        return Settled(tuple(kept.values()), tuple(lost.values()))

    return merge


def structure(cls: type, **rules: Rule) -> Rule:
    """A struct: field by field, each as its type is or as `rules` say."""
    hints = typing.get_type_hints(cls)

    def rule_of(name: str) -> Rule:
        return rules.get(name) or default_rule(hints[name])

    def merge(base: Any, earlier: Any, later: Any) -> Settled:
        kept, lost = _fieldwise(rule_of, base, earlier, later)
        return Settled(kept, lost)

    return merge


def _fieldwise(rule_of: Callable[[str], Rule], base: Any, earlier: Any, later: Any) -> tuple[Any, Any]:
    names = later.__struct_fields__
    settled = {
        name: settle(rule_of(name), getattr(base, name, ABSENT), getattr(earlier, name), getattr(later, name))
        for name in names
    }
    kept = replace(later, **{name: each.kept for name, each in settled.items()})
    return kept, replace(later, **{name: each.lost for name, each in settled.items()})


def json_value(base: Any, earlier: Any, later: Any) -> Settled:
    """A JSON value: mappings by key, however deep; anything else is one value."""
    if isinstance(earlier, dict) and isinstance(later, dict):
        kept, lost = _by_key(json_value, base if isinstance(base, dict) else {}, earlier, later)
        return Settled(kept, lost)
    if isinstance(earlier, str) and isinstance(later, str) and isinstance(base, str):
        return text(base, earlier, later)
    return Settled(later, earlier)


def _by_key(
    rule: Rule, base: Mapping[Any, Any], earlier: Mapping[Any, Any], later: Mapping[Any, Any]
) -> tuple[dict[Any, Any], dict[Any, Any]]:
    kept: dict[Any, Any] = {}
    lost: dict[Any, Any] = {}
    for key in _woven(list(base), list(earlier), list(later)):
        settled = settle(rule, *(each.get(key, ABSENT) for each in (base, earlier, later)))
        for table, value in ((kept, settled.kept), (lost, settled.lost)):
            if value is not ABSENT:
                table[key] = value
    return kept, lost


def _woven(base: Sequence[Any], earlier: Sequence[Any], later: Sequence[Any]) -> list[Any]:
    """All keys of two versions in one order: that of the version that moved keys about, the later if both did."""
    first, second = (earlier, later) if _order_stays(base, earlier) else (later, earlier)
    if not _order_stays(base, later):
        first, second = earlier, later
    # `second` has the order; what only `first` has follows what it follows there
    order = list(second)
    known = set(order)
    place = 0
    for key in first:
        if key in known:
            place = order.index(key) + 1
        else:
            order.insert(place, key)
            known.add(key)
            place += 1
    return order


def _order_stays(base: Sequence[Any], other: Sequence[Any]) -> bool:
    there = set(other)
    before = set(base)
    return [key for key in base if key in there] == [key for key in other if key in before]


# --- by type ------------------------------------------------------------------------------------------


def default_rule(annotation: Any) -> Rule:
    """The rule for a type, if its field declares no other."""
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return default_rule(next(each for each in args if each is not type(None)))
    if origin is tuple:
        return union
    if origin in (dict, Mapping) or annotation in (dict, Any, object):
        return json_value
    if origin is not Literal and isinstance(annotation, type) and issubclass(annotation, Struct):
        return structure(annotation)
    return {str: text, datetime: greatest}.get(annotation, latest_change)
