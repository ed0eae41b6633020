"""Drafts: commits beside main that nobody sees until a branch gets them, all at once or none of them."""

from contextlib import ExitStack

from gitmem.git.refs import RefLocked
from gitmem.git.repository import Repository
from gitmem.memory.chain import Chain
from gitmem.memory.pending import PendingCommit, StorageFailed
from gitmem.names import new_id

PROPOSAL_TRAILER = "Gitmem-Proposal"


class Draft:
    """A line of commits from `start` on. They are in the repository, so that git can be asked about them; no ref holds them."""

    def __init__(self, repository: Repository, start: str) -> None:
        self.start = self.tip = start
        self.id = ""
        self.title = ""
        self._repository = repository
        self._held = ExitStack()

    @property
    def is_empty(self) -> bool:
        """Whether it changes nothing."""
        return self.tip == self.start

    def named(self, title: str) -> str:
        """Its id; the first that is said about it becomes its title."""
        if not self.id:
            self.title, self.id = " ".join(title.split()), new_id(title)
        return self.id

    def land(self, pending: PendingCommit) -> str:
        """Append a commit; its id, "" if it changes nothing. Raises Stale, StorageFailed."""
        chain = Chain(self._repository.objects, self.tip)
        commit = chain.add(pending)
        if commit:
            try:
                self._held.enter_context(self._repository.objects.written(chain.new))
            except OSError as error:
                raise StorageFailed(error) from error
            self.tip = commit
        return commit

    def keep(self, ref: str) -> bool:
        """Have a new ref hold it; False if there is one of that name. Raises StorageFailed."""
        try:
            return self._repository.refs.swap(ref, None, self.tip)
        except RefLocked as error:
            raise StorageFailed(OSError(f"{error} stays locked")) from error
        except OSError as error:
            raise StorageFailed(error) from error

    def close(self) -> None:
        """Let go of it: what no ref holds is swept away in time."""
        self._held.close()
