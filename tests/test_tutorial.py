"""The tutorial and the worked example are run as a reader would run them, and everything that they show must come out.

The rules for pages that are run:

- A ```console block holds commands (`$ ...`) and their exact output, standard error included. `…` stands
  for anything within a line, a line that is only `…` for any lines. A placeholder such as `<id>` stands for
  one word; where it comes again, in output, commands or files, it is that same word.
- A command that fails shows `(exit CODE)` as its last line. A command that ends in `&` goes on in the background.
- A ```python block is saved under the name in its first line, a comment.

Other blocks are not run.
"""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TOO_LONG_SECONDS = 180
_BLOCK = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"((?:[^\n]*\\\n)*[^\n]*)\n(.*)", re.DOTALL)
_VOLATILE = re.compile(r"(?m)^…\n|…|<[a-z][a-z-]*>")
_DONE = "=== done with "


class Shell:
    """One shell for a whole page, so that `cd`, variables and background jobs last."""

    def __init__(self, folder: Path) -> None:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._process = subprocess.Popen(
            ["bash"], cwd=folder, env=os.environ | {"PATH": path}, text=True, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout

    def run(self, command: str, lines: int) -> str:
        """The output of a command; of one in the background, its first `lines`."""
        background = command.endswith("&")
        self._input.write(f"{{ {command}\n}} </dev/null\n" + ("" if background else f'echo "{_DONE}$?"\n'))
        self._input.flush()
        output = ""
        for line in self._output:
            before, done, code = line.partition(_DONE)
            output += before
            if done:
                return output if code == "0\n" else f"{output}(exit {code.strip()})\n"
            if background and output.count("\n") == lines:
                return output
        raise AssertionError(f"$ {command}\ntook too long or ended the shell, after\n{output}")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop the shell and everything that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, how)

    def close(self) -> None:
        """Wait until all of it has ended."""
        self._input.close()
        self._output.read()  # ends when nobody is left who could write
        self._output.close()
        self._process.wait()


@contextmanager
def shell(folder: Path) -> Iterator[Shell]:
    started = Shell(folder)
    watchdog = threading.Timer(TOO_LONG_SECONDS, started.stop, [signal.SIGKILL])
    watchdog.start()
    try:
        yield started
    finally:
        started.stop()
        started.close()
        watchdog.cancel()


def run_page(page: Path, folder: Path) -> None:
    """Run all blocks of a page in a folder. Raises AssertionError at the first output that is not as shown."""
    known: dict[str, str] = {}
    with shell(folder) as started:
        for block in _BLOCK.finditer(page.read_text("utf-8")):
            if block["language"] == "python":
                name = block["text"].partition("\n")[0].removeprefix("#").strip()
                (folder / name).write_text(filled(block["text"], known), "utf-8")
            elif block["language"] == "console":
                for command, expected in commands(block["text"]):
                    printed = started.run(filled(command, known), expected.count("\n"))
                    compare(command, expected, printed, known)


def commands(block: str) -> Iterator[tuple[str, str]]:
    """The commands of a block, each with the output that is shown below it. A `\\` at a line's end continues it."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, expected = _COMMAND.fullmatch(part).groups()  # type: ignore[union-attr]
        yield command, expected.rstrip("\n") + "\n" if expected.strip() else ""


def filled(text: str, known: dict[str, str]) -> str:
    """The text with the placeholders that are known by now filled in."""
    return re.sub("|".join(map(re.escape, known)) or r"(?!)", lambda found: known[found[0]], text)


def compare(command: str, expected: str, printed: str, known: dict[str, str]) -> None:
    """Check an output against what the page shows, and learn its new placeholders."""
    printed = "".join(f"{line.rstrip()}\n" for line in printed.rstrip().splitlines())
    names: list[str] = []

    def stands_for(found: re.Match[str]) -> str:
        if found[0].startswith("…"):
            return r"(?:.*\n)*?" if found[0].endswith("\n") else ".*?"
        names.append(found[0])
        return rf"(?P<n{len(names)}>[\w.-]+)" if names.count(found[0]) == 1 else f"(?P=n{names.index(found[0]) + 1})"

    wanted = filled(expected, known)
    pattern, position = "", 0
    for found in _VOLATILE.finditer(wanted):
        pattern += re.escape(wanted[position : found.start()]) + stands_for(found)
        position = found.end()
    match = re.fullmatch(pattern + re.escape(wanted[position:]), printed)
    if match is None:
        raise AssertionError(f"$ {command}\n--- the page shows\n{wanted}--- it printed\n{printed}")
    known.update((name, match[f"n{number}"]) for number, name in enumerate(names, 1) if names.index(name) == number - 1)


@pytest.mark.parametrize("page", ["tutorial.md", "worked-example.md"])
def test_the_page_runs_as_it_is_written(page: str, tmp_path: Path):
    run_page(ROOT / "docs" / page, tmp_path)


# --- the runner itself ---------------------------------------------------------------------------


def page(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "page.md"
    file.write_text(text)
    return file


def test_a_changed_output_fails_and_shows_both(tmp_path: Path):
    with pytest.raises(AssertionError, match=r"(?s)the page shows\ntwo\n.*it printed\none\n"):
        run_page(page(tmp_path, "```console\n$ echo one\ntwo\n```\n"), tmp_path)


def test_an_output_that_is_not_shown_fails(tmp_path: Path):
    with pytest.raises(AssertionError, match="it printed\none"):
        run_page(page(tmp_path, "```console\n$ echo one\n$ echo two\ntwo\n```\n"), tmp_path)


def test_a_placeholder_is_the_same_word_everywhere(tmp_path: Path):
    same = "```console\n$ echo id 4711 4711\nid <id> <id>\n$ echo got <id>\ngot 4711\n```\n"
    run_page(page(tmp_path, same), tmp_path)
    with pytest.raises(AssertionError, match="it printed\nid 1 2"):
        run_page(page(tmp_path, "```console\n$ echo id 1 2\nid <id> <id>\n```\n"), tmp_path)


def test_an_ellipsis_stands_for_anything_in_a_line_and_alone_for_any_lines(tmp_path: Path):
    run_page(page(tmp_path, "```console\n$ seq 5; echo at 12:00 sharp\n1\n…\n5\nat … sharp\n```\n"), tmp_path)
    with pytest.raises(AssertionError):
        run_page(page(tmp_path, "```console\n$ printf 'a\\nb\\n'\na…b\n```\n"), tmp_path)


def test_a_command_that_does_not_end_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("test_tutorial.TOO_LONG_SECONDS", 0.2)
    with pytest.raises(AssertionError, match="took too long or ended the shell, after\none\n"):
        run_page(page(tmp_path, "```console\n$ echo one; exec tail -f /dev/null\n```\n"), tmp_path)


def test_failures_files_and_background_jobs_are_told(tmp_path: Path):
    text = (
        "```python\n# hello.py\nprint('hello Ada')\n```\n"
        "```console\n$ python hello.py\nhello Ada\n$ cd / && false\n(exit 1)\n$ pwd\n/\n"
        "$ sh -c 'echo up; exec tail -f /dev/null' &\nup\n$ echo \\\n  on\non\n```\n"
    )
    run_page(page(tmp_path, text), tmp_path)
