"""Types as values."""

from typing import Literal

from gitmem.records.shape import shape_of


def test_choices_are_told_in_their_own_order_whichever_was_asked_for_first():
    assert shape_of(Literal["first", "second"]).schema["enum"] == ["first", "second"]
    assert shape_of(Literal["second", "first"]).schema["enum"] == ["second", "first"]
    assert shape_of(tuple[Literal["second", "first"], ...]).schema["items"]["enum"] == ["second", "first"]
    assert shape_of(tuple[Literal["first", "second"], ...]).schema["items"]["enum"] == ["first", "second"]
