"""Chains: what is pending, as commits on top of a tip."""

import pytest

from gitmem.memory.caller import GITMEM_PERSON
from gitmem.memory.chain import Chain
from gitmem.memory.memory import Memory
from gitmem.memory.pending import PendingCommit, Stale
from gitmem.names import now
from tests.memory.test_transaction import learning, put


def test_what_was_read_of_a_ref_that_is_gone_has_changed(memory: Memory):
    record = put(memory, learning())
    view = memory.view()
    assert view.record(record.path)
    pending = PendingCommit(
        ref="refs/heads/main", base=view.commit, reads=view.reads, listings={}, edits={}, author=GITMEM_PERSON, message="m\n", time=now()
    )
    assert Chain(view.objects, view.commit).add(pending) == ""
    with pytest.raises(Stale) as stale:
        Chain(view.objects, None).add(pending)
    assert stale.value.paths == [record.path]
