"""The hubs of a memory: the repositories that it is kept in step with, as its configuration has them."""

import os
import pwd
import re
from contextlib import suppress
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from gitmem.errors import BadArgument, NotFound, closest
from gitmem.git.remote import Progress, Remote
from gitmem.git.repository import CLOSED, MAIN, GitFailed, Repository, run_git
from gitmem.memory.claims import claim_by_path
from gitmem.memory.settings import settings_of
from gitmem.memory.view import MAIN_PLACE, ParsedFiles, View
from gitmem.names import check_name, name_problem, shown

PATIENCE_SECONDS = 5.0  # `gitmem.hubPatience` of the configuration sets another one
DEFAULT_NAME = "hub"
TAGS = ("refs/tags/specs/", "refs/tags/state/", CLOSED)
AGREED = "refs/agreed/"
_SECRET = re.compile(r"(?<=://)([^/@\s:]*):[^/@\s]*@")


class Hub(Struct, frozen=True):
    """A repository that the memory is kept in step with.

    `decides`: it says who holds locks and claims. `patience`: for how many seconds a call waits for it to say so.
    """

    name: str
    url: str
    decides: bool = False
    patience: float = PATIENCE_SECONDS

    @property
    def shown_url(self) -> str:
        """The address without a password in it."""
        return _SECRET.sub(r"\1@", self.url)

    @property
    def is_by_path(self) -> bool:
        """Whether it is on this machine, or looks so."""
        return self.url.startswith(("/", "file:///"))

    def tracking(self, ref: str) -> str:
        """The ref that tells where the hub's ref was when it was last looked at."""
        return f"refs/remotes/{self.name}/{ref.removeprefix('refs/').removeprefix('heads/')}"

    def untracked(self, tracking: str) -> str:
        """The hub's ref that a tracking ref tells of."""
        name = tracking.removeprefix(self.tracking(""))
        return f"refs/{name}" if name.startswith(("tags/", "gitmem/")) else f"refs/heads/{name}"

    def agreed(self, ref: str) -> str:
        """The ref that holds what both sides had when they last agreed."""
        return f"{AGREED}{self.name}/{ref.removeprefix('refs/')}"

    def refspecs(self, only: str = "") -> tuple[str, ...]:
        """What is fetched: `main`, proposals, released versions, and what the team coordinates on; or one ref of it."""
        if only:
            # a pattern, since a ref that is named as a whole must be there; the few beside it do no harm
            folder = only if only == MAIN else f"{only.rpartition('/')[0]}/*"
            return (f"+{folder}:{self.tracking(folder)}",)
        shared = (MAIN, "refs/heads/proposals/*", *(f"{each}*" for each in TAGS), "refs/gitmem/*")
        return (*(f"+{each}:{self.tracking(each)}" for each in shared), "^refs/gitmem/archive/*")

    def remote(
        self, repository: Repository, *, patience: float | None = None, asks: bool = False, progress: Progress | None = None
    ) -> Remote:
        """The way to it."""
        claim = claim_by_path(self.url, _user_of(repository)) if self.is_by_path else {}
        return Remote(repository.path, self.name, self.shown_url, patience, asks, progress, claim)


def _user_of(repository: Repository) -> str:
    """Who works on this machine, as the team calls them."""
    number = os.geteuid()
    try:
        user = pwd.getpwuid(number).pw_name
    except KeyError:  # containers have users without a name
        return f"user-{number}"
    main = View(repository.objects, ParsedFiles(), MAIN_PLACE, repository.refs.read(MAIN) or "")
    person = settings_of(main).person_of_user(user)
    return f"user-{number}" if name_problem(person) else person


class UnknownHub(NotFound):
    """The memory has no hub of that name."""

    def __init__(self, name: str, known: list[str]) -> None:
        near = closest(name, known, most=1)
        hint = f"Did you mean {near[0]}? " if near else ""
        listing = f"The hubs are: {', '.join(known)}." if known else "'gitmem hub add URL' adds one."
        super().__init__(f"There is no hub {shown(name)}.", fix=hint + listing)


class NoHub(NotFound):
    """There is nothing to be in step with."""

    def __init__(self) -> None:
        super().__init__("This memory has no hub to sync with.", fix="Add one with 'gitmem hub add URL'.")


class HubExists(BadArgument):
    """The name is taken."""

    def __init__(self, hub: Hub) -> None:
        super().__init__(
            f"There is a hub named {hub.name} already, at {hub.shown_url}.", fix="Pass another --name, or remove that one first."
        )


class OwnAddress(BadArgument):
    """A memory cannot be in step with itself."""

    def __init__(self, url: str) -> None:
        super().__init__(f"{shown(url, 200)} is this memory itself. Nothing was changed.", fix="Give the address of another one.")


def hubs(repository: Repository) -> list[Hub]:
    """All hubs of a memory, by name."""
    settings = _settings(repository)
    names = sorted(found[1] for key in settings if (found := re.fullmatch(r"remote\.(.+)\.gitmem", key)))
    deciding, patience = settings.get("gitmem.hub", ""), _patience(settings.get("gitmem.hubpatience", ""))
    return [Hub(name, settings.get(f"remote.{name}.url", ""), name == deciding, patience) for name in names]


def _patience(text: str) -> float:
    with suppress(ValueError):
        return max(0.1, float(text))
    return PATIENCE_SECONDS


def hub_named(repository: Repository, name: str) -> Hub:
    """One hub. Raises UnknownHub."""
    known = {hub.name: hub for hub in hubs(repository)}
    if name not in known:
        raise UnknownHub(name, list(known))
    return known[name]


def deciding_hub(repository: Repository) -> Hub | None:
    """The hub that says who holds locks and claims, if the memory has one."""
    if "[remote " not in (repository.path / "config").read_text("utf-8", "replace"):
        return None  # most memories have none, and every lock asks
    return next((hub for hub in hubs(repository) if hub.decides), None)


def _settings(repository: Repository) -> dict[str, str]:
    try:
        return dict(repository.settings())
    except GitFailed:  # what git cannot read names no hub
        return {}


def address(url: str) -> str:
    """An address as it can be kept: a folder's path from the root. Raises BadArgument."""
    text = url.strip()
    if not text or text.startswith("-") or not text.isprintable() or "::" in text.split("/")[0]:
        raise BadArgument(f"{shown(url)} is no address of a repository.", fix="Give a URL, user@host:path, or a folder.")
    path = Path(text).expanduser()
    return str(path.absolute()) if path.exists() else text


def add(repository: Repository, url: str, name: str = DEFAULT_NAME) -> Hub:
    """Note a hub in the configuration. Noting it again changes nothing."""
    hub = Hub(check_name(name, "hub"), address(url))
    if Path(hub.url.removeprefix("file://")).resolve() == repository.path.resolve():
        raise OwnAddress(url)
    known = {each.name: each for each in hubs(repository)}
    if name in known:
        if known[name].url != hub.url:
            raise HubExists(known[name])
        return known[name]
    run_git(repository.path, "config", f"remote.{name}.url", hub.url)
    with suppress(GitFailed):  # what a call that was cut off left; mostly there is none
        run_git(repository.path, "config", "--unset-all", f"remote.{name}.fetch")
    for refspec in hub.refspecs():
        run_git(repository.path, "config", "--add", f"remote.{name}.fetch", refspec)
    if decides := not any(each.decides for each in known.values()):
        run_git(repository.path, "config", "gitmem.hub", name)
    # last, since it is what makes the remote a hub
    run_git(repository.path, "config", f"remote.{name}.gitmem", "true")
    return replace(hub, decides=decides)


def remove(repository: Repository, name: str) -> Hub:
    """Forget a hub; what came from it stays."""
    hub = hub_named(repository, name)
    run_git(repository.path, "remote", "remove", name)
    gone = [*repository.refs.list(f"refs/remotes/{name}/"), *repository.refs.list(f"{AGREED}{name}/")]
    run_git(repository.path, "update-ref", "--stdin", stdin="".join(f"delete {ref}\n" for ref in gone))
    if hub.decides:
        others = hubs(repository)
        run_git(repository.path, "config", *(["gitmem.hub", others[0].name] if others else ["--unset", "gitmem.hub"]))
    return hub
