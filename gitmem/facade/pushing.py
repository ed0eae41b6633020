"""A push, before anything of it has come in: what it wants to move, which commits it brings, and by whom."""

import os
import subprocess
from functools import cached_property
from itertools import islice

from msgspec import Struct

from gitmem.domains.ownership.signers import names_of
from gitmem.domains.projects import Project, admins_of, project_path
from gitmem.errors import Refused
from gitmem.facade.pusher import SIGNATURE, Pusher, identify
from gitmem.git.objects import Commit, Difference, MissingObject
from gitmem.git.repository import MAIN, NO_COMMIT, Repository
from gitmem.memory import gate
from gitmem.memory.settings import Settings, settings_of
from gitmem.memory.view import MAIN_PLACE, ParsedFiles, View

FILES_MAX = 200_000


class TooMuch(Refused):
    """A push that cannot be looked at."""

    def __init__(self, what: str) -> None:
        super().__init__(f"gitmem: the push {what}. Nothing was changed.", fix="push it in parts.")


class Update(Struct, frozen=True):
    """A ref that a push wants to move; `NO_COMMIT` stands for no ref."""

    old: str
    new: str
    ref: str

    @property
    def is_new(self) -> bool:
        """Whether it makes the ref."""
        return self.old == NO_COMMIT

    @property
    def is_gone(self) -> bool:
        """Whether it removes the ref."""
        return self.new == NO_COMMIT


class Push(Struct, frozen=True, dict=True):
    """A push, before anything of it has come in."""

    repository: Repository
    updates: tuple[Update, ...]

    @cached_property
    def main(self) -> View:
        """The memory as it is without the push."""
        return View(self.repository.objects, ParsedFiles(), MAIN_PLACE, self.repository.refs.read(MAIN) or "")

    @cached_property
    def settings(self) -> Settings:
        """The team's settings as they are without the push."""
        return settings_of(self.main)

    @cached_property
    def commits(self) -> list[Commit]:
        """The commits that the memory does not have yet."""
        tips = [each.new for each in self.updates if not each.is_gone and self.kind_of(each.new) in ("commit", "tag")]
        return self._listed(*tips, options=("--not", "--all")) if tips else []

    def commits_onto(self, old: str, new: str) -> list[Commit]:
        """The commits that a ref gets, also those that came with another one before, such as with a proposal."""
        return self._listed(new, *([f"^{old}"] if old.strip("0") else []))

    def _listed(self, *tips: str, options: tuple[str, ...] = ()) -> list[Commit]:
        listing = git_here("rev-list", "--stdin", *options, stdin="\n".join(tips))
        return [self.repository.objects.commit(oid) for oid in listing.split()]

    @cached_property
    def pusher(self) -> Pusher:
        """Who pushes."""
        return identify(self.repository, self.main, [commit.oid for commit in self.commits])

    def is_proven(self, update: Update) -> bool:
        """Whether it is known who wants one of the updates: signatures speak for what they sign, and for no other ref."""
        if self.pusher.proof != SIGNATURE:
            return self.pusher.is_known
        if self.kind_of(update.new) not in ("commit", "tag") or (update.ref.startswith("refs/tags/") and not update.is_new):
            return False
        commit = self.repository.objects.commit(update.new).oid
        return any(each.oid == commit for each in self.commits)

    @cached_property
    def registered(self) -> frozenset[str]:
        """Everybody whom the memory knows: the members of all projects, and the people of its settings."""
        records = (self.main.record(project_path(name)) for name in self.main.names("projects"))
        members = (member.name for record in records if isinstance(record, Project) for member in record.members)
        return frozenset((*members, *(person.name for person in self.settings.people)))

    @cached_property
    def authors(self) -> dict[str, list[Commit]]:
        """By whom the new commits say that they are, as names and addresses that somebody could be known by."""
        return self.authors_of(self.commits)

    def authors_of(self, commits: list[Commit]) -> dict[str, list[Commit]]:
        """By whom commits say that they are."""
        found: dict[str, list[Commit]] = {}
        for commit in commits:
            for name in self.names_of(commit):
                found.setdefault(name, []).append(commit)
        return found

    def names_of(self, commit: Commit) -> frozenset[str]:
        """The names that a commit's author stands for."""
        return names_of(commit.author, self.settings)

    def kind_of(self, oid: str) -> str:
        """The type of an object; "" if it is not there."""
        try:
            return self.repository.objects.read(oid)[0]
        except MissingObject:
            return ""

    def change(self, before: View, new: Commit, *, proposed: bool = False) -> gate.Change:
        """What the gate gets to see if a commit is to follow on a view."""
        edits = {path: gate.Edit(was, now) for path, was, now in self._differences(before.tree, new.tree)}
        commits = self.commits_onto(before.commit, new.oid)
        caller = self.pusher.caller(frozenset(self.authors_of(commits)))
        forced = any(gate.FORCED in each.trailers for each in commits)
        several = new.parents != (before.commit,)
        return gate.Change(before, edits, caller, self.repository.objects.blob, forced, several, proposed)

    @cached_property
    def admins(self) -> list[str]:
        """The admins of what all projects share."""
        return admins_of(self.main, "shared")

    def _differences(self, base: str, tree: str) -> list[Difference]:
        # a small pack can hold a tree that unfolds to more files, or folders in each other, than anything can look at
        try:
            found = list(islice(self.repository.objects.differences(base, tree), FILES_MAX + 1))
        except RecursionError:
            raise TooMuch("has folders in folders without an end") from None
        if len(found) > FILES_MAX:
            raise TooMuch(f"changes more than {FILES_MAX:,} files at once")
        return found

    def is_admin(self) -> bool:
        """Whether whoever pushes is one of them."""
        return self.pusher.name in self.admins


def merge_base(one: str, other: str) -> str:
    """The last commit that two have in common, also of those that have not come in yet; "" if there is none."""
    try:
        return git_here("merge-base", one, other).strip() if one and other else ""
    except subprocess.CalledProcessError:
        return ""


def git_here(*arguments: str, stdin: str = "") -> str:
    """The output of a git command in the hook's repository. Raises CalledProcessError."""
    # with the hook's own environment: it says where git keeps the pushed objects until they are let in
    environment = {**os.environ, "GIT_NO_REPLACE_OBJECTS": "1", "LC_ALL": "C"}
    done = subprocess.run(
        ["git", *arguments], input=stdin, env=environment, capture_output=True, text=True, check=True, errors="replace"
    )
    return done.stdout
