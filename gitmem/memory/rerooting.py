"""A chain that begins anew: the same tree, without the history that led to it, which is kept as an archive."""

from gitmem.git.chains import Chains, PutAway
from gitmem.git.objects import Commit, new_object
from gitmem.git.refs import RefLocked
from gitmem.memory.caller import GITMEM_PERSON
from gitmem.memory.memory import Memory
from gitmem.memory.pending import StorageFailed
from gitmem.memory.view import Place
from gitmem.names import now


def begin_anew(memory: Memory, chains: Chains, place: Place) -> bool:
    """Put the history of a place away, held by an archive's ref; False if a push got in between.

    A view of an old commit goes on working, and so does a transaction on it: what counts is what it read.
    Raises StorageFailed.
    """
    repository = memory.repository
    try:
        with memory.writer.alone():
            history = PutAway.of(place.ref, memory.head(place))
            root = new_object("commit", _root(memory, place, history).encode())
            # A crash after this leaves a ref to a commit of the chain, which `Chains.finish` takes away.
            chains.hold(history)
            with repository.objects.written([root]):
                return repository.refs.swap(place.ref, history.tip, root.oid)
    except RefLocked:
        return False
    except OSError as error:
        raise StorageFailed(error) from error


def _root(memory: Memory, place: Place, history: PutAway) -> Commit:
    message = (
        f"{place.family}: the history is archived\n\n"
        f"What led to {history.tip} is in archive/{history.file}.\n\n"
        f"Gitmem-Verb: upkeep\nGitmem-Archive: {history.file}\n"
    )
    return Commit(memory.repository.objects.commit(history.tip).tree, (), GITMEM_PERSON, GITMEM_PERSON, now(), message)
