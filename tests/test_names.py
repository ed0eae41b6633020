"""Ids, slugs, names and times."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitmem import names
from gitmem.names import BadName


@given(st.text())
def test_an_id_of_any_title_is_a_portable_file_name_with_its_shard(title: str):
    made = names.new_id(title)
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]*-[0-9a-f]{8}", made)
    assert len(made) <= 60
    assert names.shard_of(made) == made[-8:-6]


def test_two_ids_of_one_title_differ():
    assert names.new_id("Retry policy") != names.new_id("Retry policy")


@pytest.mark.parametrize(
    "name",
    ["", "..", "a..b", "../x", "a/b", "a\0b", "x" * 81, "x" * 300, "😀", "Upper", "con", "nul.txt", "shared", "-a", "a-", ".a", "a b", "x.lock", "a\nb"],
)
def test_a_name_that_cannot_be_a_file_everywhere_is_refused_and_says_what_is_accepted(name: str):
    with pytest.raises(BadName) as refused:
        names.check_name(name, "project")
    assert "a-z 0-9 . _ -" in refused.value.fix
    assert "\0" not in str(refused.value)
    assert len(str(refused.value)) < 400


@given(st.text(max_size=200))
def test_a_suggested_name_is_itself_accepted(name: str):
    try:
        names.check_name(name)
    except BadName as refused:
        suggestion = re.search(r"for example '([^']+)'", refused.fix)
        if suggestion:
            assert names.check_name(suggestion[1]) == suggestion[1]


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC)))
def test_a_time_survives_its_text(moment: datetime):
    moment = moment.replace(microsecond=0)
    assert names.parse_time(names.format_time(moment)) == moment


def test_when_is_a_date_a_time_or_an_age():
    clock = datetime(2026, 3, 10, 12, tzinfo=UTC)
    assert names.parse_when("7d", clock=clock) == clock - timedelta(days=7)
    assert names.parse_when("2026-03-01", clock=clock) == datetime(2026, 3, 1, 23, 59, 59, tzinfo=UTC)
    assert names.parse_when("2026-03-01T10:00:00Z", clock=clock) == datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert names.parse_when("yesterday", clock=clock) is None
    assert names.parse_when("3fa2b81c", clock=clock) is None


@pytest.mark.parametrize(("seconds", "said"), [(5, "less than a minute"), (60, "1 minute"), (7200, "2 hours"), (90000, "1 day")])
def test_an_age_is_said_in_its_largest_unit(seconds: int, said: str):
    clock = datetime(2026, 3, 10, tzinfo=UTC)
    assert names.age_in_words(clock - timedelta(seconds=seconds), clock=clock) == said
