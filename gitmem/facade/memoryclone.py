"""The hooks in a clone of a memory: what the memory will say of a push is said before it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import gitmem.domains.files  # noqa: F401  declares the record kinds of `main` and the gate's rules
from gitmem.facade.verdict import Verdict
from gitmem.git.ancestry import is_next, merge_base
from gitmem.git.repository import MAIN, NO_COMMIT, PROPOSALS, Repository, ask_git, run_git
from gitmem.memory.caller import Caller
from gitmem.memory.checking import Checked, check, report
from gitmem.names import check_name


def _pre_commit(_: list[str]) -> Verdict:
    """The gate's word on what is staged."""
    head = _revision("HEAD")
    # git's own environment tells which index is being committed
    tree = subprocess.run(["git", "write-tree"], capture_output=True, text=True, check=True).stdout.strip()
    found = check(_repository(), head, tree)
    return _verdict(found, "commit", "mend the files, stage them again, and commit")


def _pre_push(arguments: list[str]) -> Verdict:
    """The gate's word on what is pushed, against what the memory had when it was last asked."""
    remote = arguments[0] if arguments else ""
    updates = [line.split() for line in sys.stdin if line.strip()]
    verdicts = [_pushed(remote, new, ref, old) for _, new, ref, old in updates]
    return Verdict(any(each.refuses for each in verdicts), "\n".join(each.said for each in verdicts if each.said))


def _pushed(remote: str, new: str, ref: str, old: str) -> Verdict:
    proposed = ref.startswith(PROPOSALS)
    if ref != MAIN and not proposed:
        return Verdict()
    if new == NO_COMMIT:
        said = f"gitmem: {ref} cannot be deleted: it is the team's memory. Nothing was pushed."
        return Verdict() if proposed else Verdict(True, said)
    known = _revision(f"refs/remotes/{remote}/main") or (_revision(old) if not proposed else "")
    base = merge_base(Path.cwd(), known, new)
    if not proposed and base != known:
        return Verdict()  # git will refuse it: there is something new that has to be fetched first
    tree = run_git(Path.cwd(), "rev-parse", f"{new}^{{tree}}").strip()
    several = not is_next(Path.cwd(), base, new)
    found = check(_repository(), base, tree, None if proposed else _caller(), several=several)
    return _verdict(found, "push", "mend the files, commit (or amend), and push again")


def _verdict(found: Checked, what: str, fix: str) -> Verdict:
    return Verdict(bool(found.problems), "\n".join(report(found.problems, what, fix)) if found.problems else "")


def _caller() -> Caller | None:
    """Who pushes, if that was said: the memory finds out by itself, and only it can."""
    name = os.environ.get("GITMEM_AGENT") or ask_git(Path.cwd(), "config", "--get", "gitmem.agent").strip()
    return Caller(check_name(name, "agent"), "declared") if name else None


def _repository() -> Repository:
    return Repository(Path(ask_git(Path.cwd(), "rev-parse", "--git-common-dir")))


def _revision(name: str) -> str:
    return ask_git(Path.cwd(), "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")


HOOKS: dict[str, Callable[[list[str]], Verdict]] = {"pre-commit": _pre_commit, "pre-push": _pre_push}
