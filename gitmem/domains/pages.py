"""Pages of a list that is sorted by name. The next page begins after the last name, so what comes or goes hides nothing."""

from bisect import bisect_right
from collections.abc import Mapping

_SHARED = " shared"  # behind a name in the list; no name has a space


def of_both_scopes(own: Mapping[str, str], shared: Mapping[str, str]) -> dict[str, str]:
    """The paths of a project's names and of the shared ones, which stand behind the project's of the same name."""
    return {**own, **{name + _SHARED: path for name, path in shared.items()}}


def page_after(paths: Mapping[str, str], cursor: str, limit: int) -> tuple[list[str], str | None]:
    """The paths of at most `limit` names after `cursor` ("": from the beginning), and the cursor to go on with."""
    names = sorted(paths)
    start = bisect_right(names, cursor) if cursor else 0
    page = names[start : start + limit]
    return [paths[name] for name in page], page[-1] if start + limit < len(names) else None
