"""Path patterns: what is accepted, how it is spelled, and which two could mean the same file."""

import fnmatch
import itertools
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pathspec import GitIgnoreSpec

from gitmem.domains.locks.patterns import (
    ACCEPTED,
    PATTERN_MAX,
    BadPaths,
    _floats,
    a_pattern,
    canonical,
    checked,
    overlap,
    problem_of,
)

# --- what is accepted ---------------------------------------------------------------------------------

REFUSED = {
    "": "is empty",
    " \t": "is empty",
    "x" * (PATTERN_MAX + 1): "is longer than 400 characters",
    "src\\a.py": "has a backslash",
    "/etc/passwd": "is absolute",
    "/": "is absolute",
    "C:/work/a.py": "starts with a drive letter",
    "c:a.py": "starts with a drive letter",
    "file:///work/a.py": "is a URL",
    "~/a.py": "a home folder",
    "~ann/a.py": "a home folder",
    "!src/": "a negation",
    "# src": "a comment",
    "..": "climbs out",
    "../a.py": "climbs out",
    "src/../../a.py": "climbs out",
    "src/..": "climbs out",
    "a\x00b": "a control character",
    "a\nb": "a control character",
    "a\x1bb": "a control character",
    "a\u202eb": "a control character or one that nobody sees",
    "*a*b*c*d*e*f*g*h*i*j*k": "more than 10 wildcards",
}


@pytest.mark.parametrize(("text", "what"), REFUSED.items(), ids=[repr(text[:20]) for text in REFUSED])
def test_what_is_no_path_of_the_project_is_refused_and_the_error_says_what_is(text: str, what: str):
    assert what in (problem_of(text) or "")
    with pytest.raises(BadPaths) as refused:
        checked([text], most=10)
    assert what in refused.value.message
    assert refused.value.fix == ACCEPTED
    assert a_pattern(text)


def test_all_bad_paths_of_a_call_are_told_at_once_and_many_are_cut():
    with pytest.raises(BadPaths) as refused:
        checked(["src/a.py", "../b", "~/c", "d\\e"], most=10)
    assert refused.value.message == "'../b' climbs out of its folder with '..'; '~/c' starts with ~, a home folder; 'd\\\\e' has a backslash. Nothing was done."
    with pytest.raises(BadPaths, match="and 90 more"):
        checked(["../" + "x" * 300] * 100, most=100)
    with pytest.raises(BadPaths, match="1,001 paths were given; at most 1,000"):
        checked(["a"] * 1001, most=1000)


@pytest.mark.parametrize(("text", "spelled"), {
    "./src/a.py": "src/a.py", "src//a.py": "src/a.py", "src/./a.py": "src/a.py", " src/a.py ": "src/a.py", ".//src/": "src/",
    "src//": "src/", "src/.": "src/", ".": "**", "./": "**", "**": "**", "**/": "**", "./**": "**", "**/**/a": "**/a",
    "a/**/**": "a/**", "*.py": "*.py", "./*.py": "./*.py", "././*.py": "./*.py", "./build*/": "./build*/", "./src/*.py": "src/*.py",
    "./!x": "./!x", "./#a#": "./#a#", "./~x/y": "./~x/y", "cafe\u0301.py": "caf\u00e9.py", ".github": ".github", "...": "...", "a..b": "a..b",
    "日本/ä b.py": "日本/ä b.py",
}.items())  # fmt: skip
def test_a_pattern_has_one_spelling(text: str, spelled: str):
    assert canonical(text) == spelled
    assert a_pattern(spelled) is None
    assert (a_pattern(text) is None) == (text == spelled)


def test_the_same_path_in_two_spellings_counts_once():
    assert checked(["./src/a.py", "src//a.py", "src/b.py"], most=10) == ("src/a.py", "src/b.py")


# --- which two meet -----------------------------------------------------------------------------------

MEET = [
    ("src/a.py", "src/a.py"), ("src/", "src/a.py"), ("src/", "src/**/*.py"), ("src/", "src/sub/"), ("src/", "*.py"), ("src", "src/a.py"),
    ("src", "src/"), ("src/", "**"), ("*.py", "src/a.py"), ("*.py", "a.py"), ("*.py", "test_*"), ("*.py", "**/a.*"), ("src/*", "src/a/b.py"),
    ("src/*/c.py", "src/a/*.py"), ("src/**/c.py", "src/c.py"), ("src/**", "src/a"), ("**/test/", "a/b/test/c.py"), ("[ab].py", "[b-d].py"),
    ("[!a].py", "[!b].py"), ("a?.py", "?b.py"), ("packages/*/src", "packages/web/src/a.ts"), ("./*.py", "a.py"), ("**/a", "a/b"),
    ("Web.Server", "Web.Server/a.cs"), ("Web.Server/", "*.cs"), ("*.xcodeproj", "App.xcodeproj/project.pbxproj"), ("src/**/test/**", "src/test/a"),
    ("a[*].py", "a*.py"), ("app/[id]/page.tsx", "app/[id]/page.tsx"), ("app/[id]/page.tsx", "app/"), ("app/[id]/page.tsx", "app/*/page.tsx"),
    ("app/[id]/page.tsx", "**/page.tsx"), ("[...slug].tsx", "*.tsx"), ("src", "*.py"), ("build*/", "build-1/a"), (".", "x"),
    ("[[].py", "[[].py"), ("*[!a]", "b"), ("a**b", "axb"), ("src/", "src/"), ("[^a]", "b"), ("[]a]", "]"), ("[a-]", "-"), ("[", "["),
]  # fmt: skip
APART = [
    ("src/a.py", "src/b.py"), ("src/api/", "src/web/"), ("*.py", "*.ts"), ("src/", "src2/"), ("src/", "lib/"), ("src/", "lib/src/a.py"),
    ("src/*.py", "src/*.ts"), ("src/*.py", "src/sub/a.py"), ("./*.py", "src/a.py"), ("src/a.py", "a.py"), ("README.md", "*.py"),
    ("README.md", "docs/README.md"), ("[ab].py", "[cd].py"), ("[!a].py", "a.py"), ("a?.py", "a.py"), ("src/**/c.py", "src/d.py"),
    ("test_*.py", "*_test.ts"), ("app/[id]/page.tsx", "app/[slug]/page.tsx"), ("src/**/test/", "src/a.py"), ("*.test.ts", "*.spec.ts"),
    ("a[*].py", "ab.py"), ("SRC/", "src/"), ("caf\u00e9", "cafe"), ("README.md", "*/a.py"), ("a/*/c.py", "a/c.py"), ("*.cs", "src/*/"[:-1] + ".py"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), MEET)
def test_patterns_that_could_mean_one_file_meet(one: str, other: str):
    assert overlap(canonical(one), canonical(other))
    assert overlap(canonical(other), canonical(one))


@pytest.mark.parametrize(("one", "other"), APART)
def test_patterns_that_have_no_file_in_common_do_not_meet(one: str, other: str):
    assert not overlap(canonical(one), canonical(other))
    assert not overlap(canonical(other), canonical(one))


# Folders have no extension here: what has one is taken for a file.
FOLDERS = ["a", "b", "ab", "ba", ".a", "a-b"]
FILES = [*FOLDERS, "a.py", "b.py", "a.ts", "ab.test.ts"]
PIECES = ["a", "b", "*", "?", "[ab]", "[a-c]", "[]]", "[", "-", "."]
paths = st.builds(lambda folders, file: "/".join([*folders, file]), st.lists(st.sampled_from(FOLDERS), max_size=4), st.sampled_from(FILES))
names = st.one_of(
    st.sampled_from([*FILES, "*", "**", "*.py", "a*", "*b", "?", "*.t?", "[ab].py"]),
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=4).map("".join),
)
patterns = (
    st.builds(lambda head, parts, tail: head + "/".join(parts) + tail, st.sampled_from(["", "./"]), st.lists(names, min_size=1, max_size=4), st.sampled_from(["", "/"]))
    # a bracket in a class is where pathspec's own translation ends
    .filter(lambda text: not problem_of(text) and not re.search(r"\[[^\]]*\[|\[[!^]?-", text))
    .map(canonical)
)


def gitignore_line(pattern: str) -> str:
    """The line of a .gitignore file that says the same."""
    return pattern if _floats(pattern) else f"/{pattern.removeprefix('./')}"


def matches(pattern: str, path: str) -> bool:
    return GitIgnoreSpec.from_lines([gitignore_line(pattern)]).match_file(path)


# pathspec lets `[!a]` match a slash, which git does not: negations are compared name by name below.
@settings(max_examples=400, deadline=None)
@given(patterns, patterns, st.lists(paths, min_size=1, max_size=8))
def test_two_patterns_that_gitignore_matches_to_one_path_meet(one: str, other: str, some: list[str]):
    for path in some:
        if matches(one, path):
            assert overlap(one, path), path
            if matches(other, path):
                assert overlap(one, other), path
                assert overlap(other, one), path


globs = st.lists(st.sampled_from([*PIECES[:-4], "[!a]", "[!ab]", "[!b-d]"]), min_size=1, max_size=5).map("".join)


@settings(max_examples=400, deadline=None)
@given(globs, globs, st.lists(st.text("abcd", min_size=1, max_size=6), min_size=1, max_size=10))
def test_two_globs_that_match_one_name_meet(one: str, other: str, some: list[str]):
    one, other = canonical(f"./{one}"), canonical(f"./{other}")
    for name in some:
        matching = [fnmatch.fnmatchcase(name, each.removeprefix("./")) for each in (one, other)]
        assert overlap(one, name) == matching[0]
        assert overlap(one, other) >= all(matching)


FEW = ["/".join(parts) for depth in range(1, 7) for parts in itertools.product(["a", "b", "ab"], repeat=depth)]
few_patterns = st.builds(
    lambda parts, tail: canonical("/".join(parts) + tail),
    st.lists(st.sampled_from(["a", "b", "*", "**", "a*", "?", "*b"]), min_size=1, max_size=3), st.sampled_from(["", "/"]),
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(few_patterns, few_patterns)
def test_two_patterns_meet_only_if_there_is_a_path_that_both_match(one: str, other: str):
    specs = [GitIgnoreSpec.from_lines([gitignore_line(each)]) for each in (one, other)]
    assert overlap(one, other) == any(all(spec.match_file(path) for spec in specs) for path in FEW)


@settings(max_examples=300, deadline=None)
@given(patterns)
def test_every_pattern_meets_itself_and_everything_and_keeps_its_spelling(pattern: str):
    assert canonical(pattern) == pattern
    assert a_pattern(pattern) is None
    assert overlap(pattern, pattern)
    assert overlap(pattern, "**")


@settings(max_examples=300, deadline=None)
@given(paths, paths)
def test_two_literal_paths_meet_if_they_are_the_same_or_one_lies_in_the_other(one: str, other: str):
    inside = one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")
    assert overlap(one, other) == inside


def test_the_worst_patterns_are_compared_in_no_time():
    one, other = "./" + "*a" * 10 + "a" * 300, "a" * 300 + "*a" * 10
    before = time.process_time()
    assert overlap(f"{one}.py", f"{other}.py")
    assert not overlap(f"{one}.py", f"{other}.ts")
    assert not overlap("a/" * 170 + "**/" * 5 + "*.py", "**/" + "a/" * 170 + "**/*.ts")
    assert time.process_time() - before < 2
