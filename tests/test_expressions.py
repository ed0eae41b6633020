"""No text keeps a regular expression busy: what is recorded and pushed is anybody's, and all wait while one looks at it.

Each that looks at such text gets the worst there is for it, in a process that is ended when it takes too long. What grows
with the length is done in a second or two; what grows with its square takes minutes, and what doubles is never done.
"""

import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable

import pytest

from gitmem.domains import documents
from gitmem.domains.backlog import body
from gitmem.domains.knowledge.record import Knowledge
from gitmem.domains.locks import patterns
from gitmem.domains.messages.danger import destructive_acts
from gitmem.domains.messages.shown import _RUNS
from gitmem.domains.ownership.signers import signers
from gitmem.index import analysis, passages
from gitmem.memory import find
from gitmem.memory.gate import BODY_MAX_BYTES, PATH_MAX_BYTES
from gitmem.names import name_problem
from gitmem.records import codec

PATIENCE_SECONDS = 20
LONG = 4 * BODY_MAX_BYTES  # more than a text may have, so that the time for its square is out of reach


def of(part: str, start: str = "", end: str = "", length: int = LONG) -> str:
    return start + part * ((length - len(start + end)) // len(part)) + end


def targets(content: str) -> tuple[str, ...]:
    return Knowledge(id="links-3fa2b81c", title="Links", content=content).targets


def place_words(path: str) -> str:
    return passages._place_words(path, "", [])


def overlaps(pattern: str) -> bool:
    return patterns.overlap(pattern, "src/")


LOOKS: dict[str, tuple[Callable[[str], object], Iterable[str]]] = {
    "sections": (passages.sections, (of(" ", "# a", "b"), of(" #", "# a", "b"), of("# a\n"), of("```\n# a\n"), of("\n b"))),
    "unknown keys": (passages._unknown_texts, (of(" ", "a: "), of(" -", "a: "), of(" \t", "-"), of("a:"), of("- \n"))),
    "place": (place_words, (of("-aaaaaa", "/", "", PATH_MAX_BYTES), of("/a.a", "", "", PATH_MAX_BYTES))),
    # long words are cut into pieces, and each takes the square of a piece
    "identifiers": (
        analysis.code_words, (of("a", "", "_", BODY_MAX_BYTES), of("A", "", "", BODY_MAX_BYTES), of("a->"), of("-", "a")),
    ),
    "scripts": (analysis.for_index, (of("\u4e00"), of("\u4e00a"))),
    "links": (targets, (of("[[a|"), of("["), of("[[a"), of("[[a|b]"))),
    "acts": (destructive_acts, [
        *map(of, ("push ", "rm -a ", "-.rm ", "find . ", "delete a b ", "dd x ", "drop the ", "branch -a ", "-branch ", "docker ")),
        *(of(" ", start, "x") for start in ("rm", "delete", "branch -a")),
    ]),
    "backlog": (body.text_problem, (of(" ", "## plan", "a"), of("#", "## plan ", "a"), of("`", "", "a`"), of("~"))),
    "front matter": (documents._FRONT_MATTER.match, (of("--- a\n", "---\n"), of(" ", "---\n---", "a"))),
    "types": (documents._TYPE.findall, (of("type:\n"), of(" ", "type:", "!"), of("a", "type:", "!"))),
    "end of front matter": (codec._END.search, (of(" ", "---", "a"), of("--- a\n"))),
    "signers": (signers, (of(part, "pat ", end) for part, end in (
        ("namespaces=a", '"" ssh-ed25519 AAAA'), ('namespaces="a",', " ssh-ed25519 AAAA"), ('"a "', " ssh-ed25519 !"), ('"', ""), (" ", "x"), ("ssh-a ", "!"), ("ssh-", " !"),
    ))),
    "shown": (_RUNS.fullmatch, (of("1 1 ", "", "a"), of("11 1"))),
    "names": (name_problem, (of("a", "", "!"), of("a-", "", "!"))),
    "ids": (find._PART.fullmatch, (of("a", "", "!"), of("a-", "", "!"))),
    "paths": (overlaps, (of(part, "", "", patterns.PATTERN_MAX) for part in (".[", "[", "[a]", ".a", "?"))),
}  # fmt: skip


@pytest.mark.parametrize("name", LOOKS)
def test_no_text_takes_long_to_look_at(name: str):
    subprocess.run([sys.executable, __file__, name], timeout=PATIENCE_SECONDS, check=True)


def look(name: str) -> None:
    looks, texts = LOOKS[name]
    for text in texts:
        found = looks(text)
        if isinstance(found, Iterable):
            deque(found, maxlen=0)


if __name__ == "__main__":
    look(sys.argv[1])
