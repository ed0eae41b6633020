"""Signatures of commits, verified by the git program with keys that are given."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from gitmem.git.objects import Objects
from gitmem.git.repository import LOG

# git's letters for what is wrong with a signature, apart from "G" for a good one.
_WRONG = {
    "B": "is signed, but not as it is now", "X": "has a signature that has expired", "Y": "is signed with a key that has expired",
    "R": "is signed with a key that was revoked", "N": "is not signed",
}
_FORGED = frozenset("BXR")
_UNKNOWN_KEY = "is signed with a key that allowed_signers does not list"


class Signature(Struct, frozen=True):
    """Who signed a commit; "" and what is `wrong` if nobody did whose key is known."""

    commit: str
    who: str
    wrong: str = ""
    is_forged: bool = False  # wrong whoever's the key is


def is_signed(objects: Objects, commit: str) -> bool:
    """Whether a commit has a signature at all."""
    return b"\ngpgsig " in objects.read(commit)[1].partition(b"\n\n")[0]


def verified(
    folder: Path, commits: Sequence[str], ssh_lines: Sequence[str], openpgp: Sequence[tuple[str, bytes]]
) -> Iterator[Signature]:
    """Who signed each of some commits of the repository in `folder`.

    `ssh_lines` are lines of OpenSSH's allowed_signers file, `openpgp` pairs of who and a public key. The environment
    counts: in a push, it says where the objects are that have not been let in yet.
    """
    from tempfile import TemporaryDirectory  # imported late: few pushes are signed

    with TemporaryDirectory(prefix="gitmem-keys-") as place:
        known = Path(place)
        (known / "allowed_signers").write_text("".join(f"{line}\n" for line in ssh_lines))
        owners = dict(_import(known, openpgp))
        settings = {
            "gpg.ssh.allowedSignersFile": str(known / "allowed_signers"), "gpg.x509.program": "false",
            "gpg.minTrustLevel": "undefined",
        }
        command = ["git", *(part for name, value in settings.items() for part in ("-c", f"{name}={value}"))]
        command += [*LOG, "--no-walk=unsorted", "--stdin", "--format=%H%x00%G?%x00%GP%x00%GS"]
        environment = {**os.environ, "GNUPGHOME": str(known), "LC_ALL": "C", "GIT_NO_REPLACE_OBJECTS": "1"}
        done = subprocess.run(
            command, cwd=folder, env=environment, input="\n".join(commits), capture_output=True, text=True, check=True,
            errors="replace",
        )
        for line in done.stdout.splitlines():
            commit, verdict, primary_key, signer = line.split("\0")
            # only OpenPGP keys have a primary one; the signer with an ssh key is called as allowed_signers calls them
            who = owners.get(primary_key, "") if primary_key else signer
            good = verdict == "G" and bool(who)
            yield Signature(commit, who if good else "", "" if good else _WRONG.get(verdict, _UNKNOWN_KEY), verdict in _FORGED)


def _import(home: Path, keys: Sequence[tuple[str, bytes]]) -> Iterator[tuple[str, str]]:
    """Make a key ring; the fingerprint of each primary key in it, and whose it is."""
    (home / "gpg.conf").write_text("trust-model always\nno-autostart\n")
    for who, key in keys:
        options = ["--homedir", str(home), "--batch", "--quiet", "--with-colons", "--import-options", "import-show"]
        listing = subprocess.run(["gpg", *options, "--import"], input=key, capture_output=True, check=False).stdout.decode()
        is_primary = False
        for line in listing.splitlines():
            fields = line.split(":")
            if fields[0] == "fpr" and is_primary:
                yield fields[9], who
            is_primary = fields[0] == "pub"
