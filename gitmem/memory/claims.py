"""Claims: how a front door of a memory, which has found out who comes, tells the gate behind git's own programs.

The name travels in the environment of `git receive-pack`. Clients may set variables there too, over ssh as far as the
server lets them; so a claim is sealed with a secret that only those can read who may write the memory's files anyway.
"""

import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import unquote

PUSHER = "GITMEM_PUSHER"
SPEAKS_FOR = "GITMEM_PUSHER_SPEAKS_FOR"
SEAL = "GITMEM_PUSHER_SEAL"
VARIABLES = (PUSHER, SPEAKS_FOR, SEAL)
_FILE = "gitmem/pusher-secret"


def claim(repository: Path, name: str, speaks_for: Iterable[str] = ()) -> dict[str, str]:
    """The environment that says who pushes to the memory in a folder, and for whom else they may speak ("*": anybody).

    Raises OSError if its secret can be neither read nor made.
    """
    spoken_for = ",".join(sorted(speaks_for))
    return {PUSHER: name, SPEAKS_FOR: spoken_for, SEAL: _seal(_secret_made(repository), name, spoken_for)}


def claim_by_path(url: str, name: str) -> dict[str, str]:
    """The same for who may write the files of the memory at a path anyway, and so bring what they like; {} for all others."""
    folder = Path(unquote(url.removeprefix("file://")) if url.startswith("file://") else url)
    try:
        if folder.is_absolute() and (_secret(folder) or _may_have_secret(folder)):
            return claim(folder, name, {"*"})
    except OSError:  # the push itself will tell what is wrong there
        pass
    return {}


def _may_have_secret(folder: Path) -> bool:
    """Whether a secret would be of use: to a memory, and to all its front doors, which run as whoever owns it."""
    return (folder / _FILE).parent.is_dir() and folder.stat().st_uid == os.geteuid() and not (folder / _FILE).exists()


def claimed(repository: Path, environment: Mapping[str, str]) -> tuple[str, frozenset[str]] | None:
    """Who pushes, and for whom they may speak, as a front door has said; None if none did."""
    name, spoken_for, seal = (environment.get(each, "") for each in VARIABLES)
    secret = _secret(repository) if name and seal else b""
    if not secret or not hmac.compare_digest(seal.encode(), _seal(secret, name, spoken_for).encode()):
        return None
    return name, frozenset(each for each in spoken_for.split(",") if each)


def _seal(secret: bytes, name: str, spoken_for: str) -> str:
    return hmac.new(secret, f"{name}\n{spoken_for}".encode(), hashlib.sha256).hexdigest()


def _secret(repository: Path) -> bytes:
    try:
        return (repository / _FILE).read_bytes()
    except OSError:  # there is none yet, or whoever pushes may not read it
        return b""


def _secret_made(repository: Path) -> bytes:
    if found := _secret(repository):
        return found
    path = repository / _FILE
    path.parent.mkdir(exist_ok=True)
    beside = path.with_name(f"{path.name}-{os.getpid()}-{secrets.token_hex(4)}")
    number = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(secrets.token_bytes(32))
            file.flush()
            os.fsync(file.fileno())
        os.link(beside, path)  # whole or not at all, and never over another's
    except FileExistsError:
        pass
    finally:
        beside.unlink()
    return path.read_bytes()
