"""The command `gitmem`: finds a command by its name, runs it, and turns what happens into an exit code.

Nothing else is imported here, so that a command loads what it needs itself and no more.
"""

import errno
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

import click

from gitmem.errors import GitmemError, closest
from gitmem.facade import streams
from gitmem.facade.given import Given, log_path, logged_to_file

DONE, REFUSED, USAGE, BUG, INTERRUPTED = 0, 1, 2, 3, 130

# Commands that are no verbs: where each is, and what the overview says of it.
SPECIAL: dict[str, tuple[str, str]] = {
    "init": ("gitmem.facade.cli_commands:init", "Create the bare repository of a memory."),
    "serve": ("gitmem.facade.cli_commands:serve", "Serve the memory to agents over MCP."),
    "import": ("gitmem.facade.cli_commands:import_", "Bring in documents from elsewhere."),
    "clone": ("gitmem.facade.cli_sync:clone", "Make a whole memory from another one's address."),
    "sync": ("gitmem.facade.cli_sync:sync", "Bring the memory and its hubs together."),
    "hub": ("gitmem.facade.cli_sync:hub", "Tell which repositories the memory is kept in step with."),
    "show": ("gitmem.facade.cli_commands:show", "Print the file of one record as it is."),
    "log": ("gitmem.facade.cli_commands:log", "List the commits of the memory or of one record."),
    "doctor": ("gitmem.facade.cli_commands:doctor", "Check the memory's health and say what helps."),
    "reindex": ("gitmem.facade.cli_commands:reindex", "Build the search index anew."),
    "merge-driver": ("gitmem.facade.cli_merge:merge_driver", "Merge two versions of a file, for git."),
    "hooks": ("gitmem.facade.cli_hooks:hooks", "Put gitmem's hooks beside those of a repository, or take them away."),
    "check": ("gitmem.facade.cli_check:check", "Check files as the memory would check a push of them."),
    "ssh-serve": ("gitmem.facade.cli_ssh:ssh_serve", "Let an ssh key fetch and push as somebody; for authorized_keys."),
    "forge": ("gitmem.facade.cli_check:forge", "Put a forge's workflow and templates into the memory."),
    "upkeep": ("gitmem.facade.cli_commands:upkeep", "Drop what is over, archive long histories, repack."),
    "backup": ("gitmem.facade.cli_backup:backup", "Write the whole memory into one file."),
    "restore": ("gitmem.facade.cli_backup:restore", "Bring a memory back from backups."),
    "verify": ("gitmem.facade.cli_backup:verify", "Check all history for who wrote what, and whether they might."),
    "bisect": ("gitmem.facade.cli_bisect:bisect", "Find the commit with which a script began to fail."),
}


# What the machine refuses for reasons of its own, wherever in a command that is.
_OF_THE_MACHINE = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENAMETOOLONG}
)


class NotPossibleThere(GitmemError):
    """The machine does not let a command read or write a file."""

    def __init__(self, error: OSError) -> None:
        where = f"{str(error.filename)[:200]}: " if error.filename else ""
        super().__init__(
            f"{where}{error.strerror or error}.",
            fix="See who may read and write there and whether there is space, or name another place.",
        )


class Commands(click.Group):
    """All commands, looked up when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        """The special commands, then one for each verb."""
        return [*SPECIAL, *(name for verb in _verbs() if (name := command_name(verb)) not in SPECIAL)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  click's signature
        """The command of that name."""
        if cmd_name in SPECIAL:
            module, _, attribute = SPECIAL[cmd_name][0].partition(":")
            command: click.Command = getattr(import_module(module), attribute)
            return command
        verb = _verbs().get(cmd_name.replace("-", "_"))
        if verb is None:
            return None
        from gitmem.facade.cli_verbs import command_for

        return command_for(verb)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the arguments name. A mistyped name is answered with near ones."""
        if self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            near = closest(args[0].replace("_", "-"), self.list_commands(ctx))
            hint = f"Did you mean {' or '.join(near)}?" if near else "'gitmem --help' lists all commands."
            raise click.UsageError(f"There is no command {args[0][:60]!r}. {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  click's signature
        """The overview: special commands, then the verbs of each domain."""
        _ = _verbs()
        from gitmem.facade import manual

        with formatter.section("The memory itself"):
            formatter.write_dl([(name, about) for name, (_, about) in SPECIAL.items()])
        for group, verbs in manual.groups().items():
            told = [(command_name(verb.name), first_sentence(verb.summary)) for verb in verbs]
            if rest := [(name, about) for name, about in told if name not in SPECIAL]:
                with formatter.section(group.replace("_", " ").capitalize()):
                    formatter.write_dl(rest)

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = "gitmem", *_: Any, **settings: Any) -> NoReturn:
        """Run a command and exit: 0 done, 1 refused, 2 used wrongly, 3 a bug of ours."""
        raise SystemExit(self._code(args, prog_name, settings))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was named; whoever reads its output may stop when they have enough."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            # what is still buffered must not fail again at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return DONE
        return result

    def _code(self, args: Sequence[str] | None, prog_name: str | None, settings: dict[str, Any]) -> int:
        try:
            code = super().main(args, prog_name, **settings | {"standalone_mode": False})
        except click.UsageError as error:
            error.show()
            return USAGE
        except (click.Abort, KeyboardInterrupt):
            return INTERRUPTED
        except GitmemError as error:
            return _refused(error)
        except OSError as error:
            return _refused(NotPossibleThere(error)) if error.errno in _OF_THE_MACHINE else _bug(error)
        except Exception as error:  # noqa: BLE001  the outermost layer: whatever it is goes to the log
            return _bug(error)
        return code if isinstance(code, int) else DONE


def command_name(verb: str) -> str:
    """A verb's name as a command."""
    return verb.replace("_", "-")


def first_sentence(text: str) -> str:
    """The beginning of a description, for lists."""
    return text.partition(". ")[0].rstrip(".") + "."


def _verbs() -> dict[str, Any]:
    import gitmem.domains.all  # noqa: F401  declares the verbs
    from gitmem.verbs import VERBS

    return VERBS


def _refused(error: GitmemError) -> int:
    from gitmem.facade.terminal import say

    say(error.message)
    say(f"fix: {error.fix}")
    return REFUSED


def _bug(error: Exception) -> int:
    # nothing of gitmem's own is imported here: what is broken may be just that
    import logging

    with logged_to_file():
        logging.getLogger("gitmem").error("the command failed", exc_info=error)
    return tell_bug("gitmem has a bug: this command failed inside.")


def tell_bug(message: str) -> int:
    """Say that something of ours failed, and where its traceback is; the exit code for it."""
    click.echo(f"{message}\nlog: {log_path()}", err=True)
    return BUG


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        click.echo(f"gitmem {version('gitmem-server')}")
        ctx.exit()


def _note(ctx: click.Context, option: click.Parameter, value: Any) -> None:
    assert option.name is not None
    if value:
        setattr(ctx.ensure_object(Given), option.name, value)


def common_options(*, but: Sequence[str] = ()) -> list[click.Parameter]:
    """The options that every command takes, without those whose names it uses itself."""
    about = {
        "repo": "The memory's folder; GITMEM_REPO; left out: the one in your data folder.",
        "project": "The project that you work on; GITMEM_PROJECT.",
        "agent": "Your name; GITMEM_AGENT; left out: your user name.",
        "session_id": "Your session, as start-session gave it.",
    }
    options: list[click.Parameter] = [
        click.Option([name, f"--{name.replace('_', '-')}"], expose_value=False, callback=_note, help=text)
        for name, text in about.items()
        if name not in but
    ]
    if "json" not in but:
        options.append(click.Option(["json", "--json"], is_flag=True, expose_value=False, callback=_note, help="Print JSON."))
    return options


commands = Commands(
    name="gitmem",
    help="The shared memory of a team of coding agents, kept in git.",
    no_args_is_help=True,
    params=[
        *common_options(),
        click.Option(
            ["--version"], is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print the version and exit."
        ),
    ],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    callback=lambda: None,
)


def main() -> None:
    """The console command."""
    streams.prepare()
    commands.main()


if __name__ == "__main__":
    main()
