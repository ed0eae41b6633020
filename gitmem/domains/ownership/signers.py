"""allowed_signers: whose signature is whose. One line a key, as OpenSSH has it; OpenPGP keys stand there in the same form.

pat namespaces="git" ssh-ed25519 AAAAC3Nza...
pat openpgp mDMEZ...
"""

import base64
import binascii
import re
import unicodedata
from collections.abc import Iterator

from msgspec import Struct

from gitmem.domains.ownership.deciding import SIGNERS_PATH
from gitmem.git.objects import Person
from gitmem.memory.gate import Change, rule
from gitmem.memory.settings import Settings
from gitmem.memory.view import View
from gitmem.names import name_problem, shown
from gitmem.records.codec import Problem

OPENPGP = "openpgp"
OWN_DOMAIN = "@gitmem"  # of the addresses that agents' commits have

_LINE = re.compile(
    r'(?P<who>\S+)\s+(?:(?P<options>(?:[^\s"]|"[^"]*")+)\s+)?(?P<type>(?:sk-)?(?:ssh|ecdsa)-[a-z0-9@.-]+|openpgp)\s+'
    r"(?P<key>[A-Za-z0-9+/=]+)(?:\s.*)?"
)
# ssh-keygen passes over a line whose values are not in quotes
_OPTION = r'(?:namespaces|valid-after|valid-before)="[^"\\]*"'
_OPTIONS = re.compile(rf"{_OPTION}(?:,{_OPTION})*")


class Signer(Struct, frozen=True):
    """A key, and who signs with it: a name, or an address that gitmem.yaml maps to one."""

    who: str
    type: str
    key: bytes
    line: str


def signers(text: str) -> Iterator[Signer]:
    """The readable lines of allowed_signers."""
    for _, line in _lines(text):
        if not _problem(line) and (found := _LINE.fullmatch(line)):
            yield Signer(found["who"], found["type"], base64.b64decode(found["key"]), line)


def signers_in(view: View) -> list[Signer]:
    """The keys that the memory knows at a commit."""
    entry = view.entry(SIGNERS_PATH)
    return list(signers(view.objects.blob(entry.oid).decode("utf-8", "replace"))) if entry else []


def keyring(view: View) -> tuple[list[str], list[tuple[str, bytes]]]:
    """Those keys as signatures are verified with: ssh's as lines of OpenSSH's file, OpenPGP's with whose they are."""
    keys = signers_in(view)
    return [each.line for each in keys if each.type != OPENPGP], [(each.who, each.key) for each in keys if each.type == OPENPGP]


def person_of(who: str, settings: Settings) -> str:
    """The name that a signer or an author's address stands for; "" if it is nobody's."""
    address = who.casefold()
    for person in settings.people:
        if address in map(str.casefold, person.emails):
            return person.name
    name = who.removesuffix(OWN_DOMAIN)
    return "" if name_problem(name) else name


def names_of(author: Person, settings: Settings) -> frozenset[str]:
    """The names that a commit's author stands for: as it reads, and as gitmem.yaml maps the address."""
    # what does not show in a name, and other shapes of its letters, must not make it somebody else's
    shown_as = "".join(each for each in unicodedata.normalize("NFKC", author.name) if unicodedata.category(each)[0] != "C")
    names = {shown_as.strip().casefold()}
    if "@" in author.email and (person := person_of(author.email.strip().casefold(), settings)):
        names.add(person)
    return frozenset(names)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, line.strip()


def _problem(line: str) -> str | None:
    found = _LINE.fullmatch(line)
    if found is None:
        return "is no line such as `pat ssh-ed25519 AAAAC3...` or `pat openpgp mDMEZ...`"
    if any(c in found["who"] for c in "*?!,\"") or (name_problem(found["who"]) and "@" not in found["who"]):
        return f"is for {shown(found['who'])}; one name or one email address is accepted"
    if found["options"] and not _OPTIONS.fullmatch(found["options"]):
        accepted = 'namespaces, valid-after and valid-before are accepted, as in namespaces="git"'
        return f"has the option {shown(found['options'])}; {accepted}"
    try:
        base64.b64decode(found["key"], validate=True)
    except binascii.Error:
        return "has a key that is not base64"
    return None


@rule
def signers_are_signers(change: Change) -> Iterator[Problem]:
    """Every line of allowed_signers says whose key it is."""
    edit = change.edits.get(SIGNERS_PATH)
    if edit is None or edit.new is None or change.before.place.family != "main":
        return
    for number, line in _lines(change.read(edit.new.oid).decode("utf-8", "replace")):
        if problem := _problem(line):
            yield Problem(SIGNERS_PATH, "", problem, number)
