"""Text that is one long word must not cost the square of its length."""

from gitmem.index.analysis import identifiers


def test_a_long_word_is_looked_at_in_pieces():
    assert all(len(each) <= 200 for each in identifiers("aB" * 20_000))
    assert "retryWithBackoff" in list(identifiers("x " + "retryWithBackoff"))
