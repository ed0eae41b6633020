"""Imports point down only: errors and names, git and records, memory, index and verbs, domains, facades."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "gitmem"
LEVELS = {
    "errors": 0, "names": 0, "assets": 0,
    "git": 1, "records": 1,
    "memory": 2,
    "index": 3, "desk": 3, "verbs": 3, "answers": 3, "founding": 3, "cloning": 3,
    "domains": 4,
    "facade": 5,
    "__main__": 6,
}  # fmt: skip
FORBIDDEN_NAMES = {"utils", "helpers", "common", "base", "manager", "state"}
MODULES = sorted(PACKAGE.rglob("*.py"))


def part_of(module: str) -> str | None:
    pieces = module.split(".")
    return pieces[1] if pieces[0] == "gitmem" and len(pieces) > 1 else None


def imports_of(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def own_part(path: Path) -> str | None:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0].removesuffix(".py") if relative.parts[0] != "__init__.py" else None


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_its_own_level_and_below(path: Path):
    own = own_part(path)
    if own is None:
        return
    imported = {part for each in imports_of(path) if (part := part_of(each)) in LEVELS}
    assert own in LEVELS, f"{own} has no level yet"
    too_high = {part for part in imported if LEVELS[part] > LEVELS[own]}
    assert not too_high, f"{path.name} imports from above: {sorted(too_high)}"
    siblings = {part for part in imported if LEVELS[part] == LEVELS[own] == 1 and part != own}
    assert not siblings, "git knows nothing of records, and records nothing of git"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_has_a_name_that_says_nothing(path: Path):
    assert path.stem not in FORBIDDEN_NAMES


def test_only_the_git_package_and_its_upkeep_know_dulwich():
    knowing = {str(path.relative_to(PACKAGE)) for path in MODULES if any(each.startswith("dulwich") for each in imports_of(path))}
    assert {Path(each).parts[0] for each in knowing} == {"git"}


def test_nobody_imports_a_facade_but_what_starts_one():
    for path in MODULES:
        if own_part(path) not in ("facade", "__main__"):
            assert not any(each.startswith("gitmem.facade") for each in imports_of(path)), path
