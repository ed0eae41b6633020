"""Deciding: who may change a file of `main`. The gate's rules, for verbs and pushes alike."""

from collections.abc import Callable, Iterator
from functools import cached_property

from msgspec import Struct

from gitmem.domains.ownership.record import CODEOWNERS_PATH, OWNERS_PATH, Owners, owners_in
from gitmem.domains.projects import admins_of
from gitmem.errors import closest
from gitmem.memory.gate import FORGE_FILES, Change, rule
from gitmem.memory.settings import PATH as SETTINGS_PATH
from gitmem.memory.settings import Settings, settings_of
from gitmem.names import shown
from gitmem.records.codec import Problem
from gitmem.records.kind import KINDS, Record, kind_at

SIGNERS_PATH = "allowed_signers"
# What says who may do what, or runs on a forge: it is changed by the admins of the memory.
ADMINS_FILES = frozenset({SETTINGS_PATH, OWNERS_PATH, CODEOWNERS_PATH, SIGNERS_PATH, *FORGE_FILES})
_WHY = {CODEOWNERS_PATH: "is made from OWNERS.yaml"} | dict.fromkeys(FORGE_FILES, "is for the forge")
# What every agent must be able to leave: the rules for these are with their kinds.
_EVERYBODYS = frozenset({"project", "session"})
_NAMED = 4

# Who owns a record by what it says itself, by kind; domains add theirs with `owned_by`.
_OWN: dict[str, Callable[[Record], str]] = {}


def owned_by(kind_name: str) -> Callable[[Callable[[Record], str]], Callable[[Record], str]]:
    """Decorator: this is how a record of a kind says whose it is ("" if it does not)."""

    def declare(function: Callable[[Record], str]) -> Callable[[Record], str]:
        _OWN[kind_name] = function
        return function

    return declare


class Deciding(Struct, frozen=True, dict=True):
    """Who may decide about the files of a change, as the memory was before it."""

    change: Change

    @cached_property
    def settings(self) -> Settings:
        """The team's settings before the change."""
        return settings_of(self.change.before)

    @cached_property
    def owners(self) -> Owners:
        """OWNERS.yaml before the change."""
        return owners_in(self.change.before)

    @cached_property
    def _admins(self) -> dict[str, list[str]]:
        return {}

    def admins(self, scope: str) -> list[str]:
        """The admins of a scope."""
        if scope not in self._admins:
            self._admins[scope] = admins_of(self.change.before, scope)
        return self._admins[scope]

    def listed(self, path: str) -> list[str]:
        """The agents and people who own a file by OWNERS.yaml."""
        return sorted(set(self.owners.members_of(self.owners.of(path))))

    def own(self, path: str) -> str:
        """Who owns the record that stood at a path by what it says itself; "" if nobody."""
        declared = kind_at(path)
        owner = _OWN.get(declared.name) if declared else None
        record = self.change.before.record(path) if owner else None
        return owner(record) if owner and record else ""

    def is_one_of(self, names: list[str]) -> bool:
        """Whether whoever asks acts as one of these."""
        return not self.change.caller.names.isdisjoint(names)

    def problem(self, path: str) -> Problem | None:
        """Why whoever asks may not change a file, if they may not."""
        named = self.owners.of(path)
        own = self.own(path)
        owners = sorted({*self.owners.members_of(named), *([own] if own else [])})
        admins = self.admins(scope_of(path)) if owners or path in ADMINS_FILES else []
        review = self.settings.review_of(path)
        if path in ADMINS_FILES:
            if admins and not self.is_one_of([*admins, *owners]):
                what = _WHY.get(path, "says who may do what")
                return self._refusal(path, f"{what}; {self._who} may not change it, but {_or(admins)} may", review)
        elif owners and not self.is_one_of([*owners, *(admins if self.settings.admins_act_for_owners else [])]):
            others = admins if self.settings.admins_act_for_owners else []
            whom = _or([*([own] if own else []), *(each for each in named if each != own)])
            may = _or(list(dict.fromkeys([*([own] if own else []), *owners, *others])))
            return self._refusal(path, f"belongs to {whom}; {self._who} may not change or remove it, but {may} may", review)
        if review == "owner" and not owners:
            admins = self.admins(scope_of(path))
            if admins and not self.is_one_of(admins):
                return Problem(path, "", f"is for {_or(admins)} to let in", needs_review=True)
        if review == "review" and path not in self.change.reviewed:
            return Problem(path, "", "is under review: somebody else than its author has to let it in", needs_review=True)
        return None

    @property
    def _who(self) -> str:
        return self.change.caller.name

    @staticmethod
    def _refusal(path: str, what: str, review: str) -> Problem:
        return Problem(path, "", what, needs_review=review != "direct")


@rule
def owners_decide(change: Change) -> Iterator[Problem]:
    """What somebody owns is changed by its owners, and by admins where the team lets them; what is under review, by two."""
    if not change.asks_who:
        return
    deciding = Deciding(change)
    for path in change.edits:
        declared = kind_at(path)
        if (declared is None or declared.name not in _EVERYBODYS) and (problem := deciding.problem(path)):
            yield problem


@rule
def selections_name_kinds(change: Change) -> Iterator[Problem]:
    """The kinds that OWNERS.yaml and gitmem.yaml name are there."""
    known = sorted(name for name, each in KINDS.items() if each.record.ref == "main")
    for path in (OWNERS_PATH, SETTINGS_PATH):
        decoded = change.decoded(path) if path in change.edits else None
        record = decoded.record if decoded else None
        entries = record.entries if isinstance(record, Owners) else record.policies if isinstance(record, Settings) else ()
        for name in sorted({name for entry in entries for name in entry.kinds if name not in known}):
            near = closest(name, known)
            yield Problem(path, "kinds", f"has {shown(name)}, which is no kind of record: {_or(near or known)} would be")


@rule
def the_memory_keeps_an_admin(change: Change) -> Iterator[Problem]:
    """Whoever changes the settings does not lock themselves, and everybody else, out by a slip."""
    decoded = change.decoded(SETTINGS_PATH) if SETTINGS_PATH in change.edits and change.asks_who else None
    if decoded is None or change.forced or not isinstance(decoded.record, Settings) or not decoded.record.admins:
        return
    if decoded.record.admins != settings_of(change.before).admins and change.caller.names.isdisjoint(decoded.record.admins):
        who = change.caller.name
        what = f"would leave out {who}, who sets it; name {who} too, and let another admin take them out"
        yield Problem(SETTINGS_PATH, "admins", what)


def scope_of(path: str) -> str:
    """The scope whose admins decide about a file of `main`."""
    parts = path.split("/", 2)
    return "/".join(parts[:2]) if parts[0] == "projects" and len(parts) == 3 else "shared"


def _or(names: list[str]) -> str:
    more = [f"{len(names) - _NAMED} more"] if len(names) > _NAMED + 1 else []
    return " or ".join([*names[: _NAMED if more else None], *more]) or "nobody"
