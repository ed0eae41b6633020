"""Names of specs as calls spell them, and the specs that they mean."""

from msgspec import Struct

from gitmem.desk import Desk
from gitmem.domains.specs.record import STATE, Spec, State, Versioned
from gitmem.errors import NotFound, closest
from gitmem.memory.view import Unreadable, View
from gitmem.names import check_name, shown


class Called(Struct, frozen=True):
    """A name as a call gives it: `state:x` is the state document x, and any other `a:b` is the spec a.b."""

    name: str
    is_state: bool

    @classmethod
    def parse(cls, text: str) -> "Called":
        """The name in a call. Raises BadName."""
        prefix, colon, rest = text.strip().partition(":")
        if colon and prefix == STATE:
            return cls(_checked(rest), is_state=True)
        return cls(_checked(text), is_state=False)

    def paths(self, scope: str) -> list[str]:
        """Where in a scope it may be, the likeliest first: a plain name may be that of a state document, too."""
        homes = (State,) if self.is_state else (Spec, State)
        return [home.home.format(scope=scope, name=self.name) for home in homes]


def _checked(text: str) -> str:
    # other memory servers' clients name specs api:orders; a file cannot be called so everywhere
    return check_name(text.strip().replace(":", "."), "spec")


class UnknownSpec(NotFound):
    """There is no spec of this name."""

    def __init__(self, name: str, known: list[str]) -> None:
        near = closest(name, known)
        hint = f"Did you mean {' or '.join(near)}? " if near else ""
        super().__init__(f"There is no spec {shown(name)}.", fix=f"{hint}list_specs lists them all.")


def find_spec(desk: Desk, name: str, view: View | None = None) -> Versioned:
    """The spec that a name means, the project's own first, then what is shared. Raises UnknownSpec, Unreadable."""
    called, seen = Called.parse(name), view or desk.view()
    scopes = (desk.scope, "shared")
    for path in (path for scope in scopes for path in called.paths(scope)):
        if (found := read_spec(seen, path)) is not None:
            return found
    # a view of its own: which other specs there are must not stand in the way of a write
    aside = seen.apart()
    raise UnknownSpec(name, [each.known_as for scope in scopes for each in specs_in(aside, scope)])


def read_spec(view: View, path: str) -> Versioned | None:
    """The spec at a path, None if there is none. Raises Unreadable if nothing can be made of its file."""
    decoded = view.decoded(path)
    if decoded is not None and decoded.record is None:
        raise Unreadable(decoded)
    return decoded.record if decoded and isinstance(decoded.record, Versioned) else None


def specs_in(view: View, scope: str) -> list[Versioned]:
    """All readable specs and state documents of a scope, by name."""
    found = [*view.records(Spec, f"{scope}/specs"), *view.records(State, f"{scope}/state")]
    return sorted(found, key=lambda each: each.known_as)
