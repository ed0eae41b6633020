"""Verbs as commands: options from parameters, a call from options."""

import functools
import json
import sys
from pathlib import Path
from typing import Any

import click

from gitmem.answers import structured
from gitmem.facade.calls import Bug
from gitmem.facade.cli import command_name, common_options, first_sentence, tell_bug
from gitmem.facade.given import Given
from gitmem.facade.terminal import put_answer
from gitmem.records.shape import ANYTHING, Json
from gitmem.verbs import DESK_ARGUMENTS, Answer, Parameter, Verb, proposable

_STDIN_TAKEN = "gitmem.stdin"


class Text(click.ParamType[Any]):
    """Text; `-` stands for standard input, `@FILE` for a file's content, `@@` for an `@` at the beginning."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The text that the argument stands for."""
        if value == "-":
            return self._decoded(self._stdin(param, ctx), "standard input", param, ctx)
        if value.startswith("@@"):
            return value[1:]
        if value.startswith("@") and len(value) > 1:
            return self._decoded(self._file(value[1:], param, ctx), value[1:], param, ctx)
        return value

    def _stdin(self, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        if ctx is not None:
            if ctx.meta.get(_STDIN_TAKEN):
                self.fail("standard input is taken by another argument already; only one can be '-'.", param, ctx)
            ctx.meta[_STDIN_TAKEN] = True
        data: bytes = sys.stdin.buffer.read()
        return data

    def _file(self, name: str, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        try:
            return Path(name).read_bytes()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            self.fail(f"{name[:80]!r} can't be read: {reason}. Write @@ for a text that begins with @.", param, ctx)

    def _decoded(self, data: bytes, where: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            self.fail(f"{where} is not UTF-8: byte 0x{data[error.start]:02x} at offset {error.start}.", param, ctx)


class JsonText(Text):
    """A JSON value, given in the ways that text is."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The value."""
        text = super().convert(value, param, ctx)
        try:
            return json.loads(text)
        except ValueError as error:
            self.fail(f"{text[:60]!r} is not JSON: {error}.", param, ctx)


class AnyValue(Text):
    """Text, or a JSON value that is written as JSON writes it: 1.10 is a text, and so is whatever is no JSON."""

    name = "value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The value."""
        text = super().convert(value, param, ctx)
        try:
            found = json.loads(text, parse_constant=str)  # NaN and the like are no JSON
        except ValueError:
            return text
        is_meant = isinstance(found, (dict, list, str)) or json.dumps(found) == text.strip()
        return found if is_meant else text


# What is given without its name, even where it may be left out.
GIVEN_FIRST = ("id", "files", "path_pattern")
_TYPES: dict[str, click.ParamType[Any]] = {"string": Text(), "integer": click.INT, "number": click.FLOAT}


def command_for(verb: Verb) -> click.Command:
    """The command that calls a verb."""
    own, first = _own(verb), given_first(verb)
    options: list[click.Parameter] = [_option(each, required=each.required and each is not first) for each in own]
    names = [each.name for each in own]
    return click.Command(
        command_name(verb.name),
        params=[*([_positional(first)] if first else []), *options, *_proposing(verb), *common_options(but=names)],
        callback=functools.partial(_call, verb, first),
        help=verb.summary,
        short_help=first_sentence(verb.summary),
    )


def given_first(verb: Verb) -> Parameter | None:
    """The argument that may be given without its name."""
    own = _own(verb)
    stands_first = own[0] if own and own[0].name in GIVEN_FIRST else None
    return stands_first or next((each for each in own if each.required), None)


def _own(verb: Verb) -> list[Parameter]:
    return [each for each in verb.parameters.values() if not _is_the_desks(each)]


def _proposing(verb: Verb) -> list[click.Parameter]:
    about = "Propose it for review instead of writing it at once; the text says why."
    return [click.Option(["as_proposal", "--as-proposal"], type=Text(), metavar="WHY", help=about)] if proposable(verb) else []


def _is_the_desks(parameter: Parameter) -> bool:
    # compared by their texts: a verb's own parameter of that name describes itself
    return DESK_ARGUMENTS.get(parameter.name) == parameter.description


def _option(parameter: Parameter, *, required: bool) -> click.Option:
    flag = "--" + parameter.name.replace("_", "-")
    schema, about = parameter.shape.schema, _about(parameter)
    if schema.get("type") == "boolean":
        return click.Option([parameter.name, f"{flag}/--no-{flag[2:]}"], default=None, required=required, help=about)
    return click.Option(
        [parameter.name, flag], type=_type_of(schema), multiple=_is_list(schema), default=None, required=required, help=about
    )


def _positional(parameter: Parameter) -> click.Argument:
    schema = parameter.shape.schema
    count = -1 if _is_list(schema) else 1
    return click.Argument(
        [f"_{parameter.name}"], type=_type_of(schema), nargs=count, required=False, metavar=f"[{parameter.name.upper()}]"
    )


def _is_list(schema: dict[str, Json]) -> bool:
    return schema.get("type") == "array"


def _type_of(schema: dict[str, Json]) -> click.ParamType[Any]:
    if _is_list(schema):
        return _type_of(schema["items"])
    if "enum" in schema:
        return click.Choice(schema["enum"])
    return AnyValue() if schema == ANYTHING else _TYPES.get(schema.get("type", ""), JsonText())


def _about(parameter: Parameter) -> str:
    text = parameter.description
    default = parameter.schema.get("default")
    is_told = default is not None and not isinstance(default, bool)
    return f"{text} [default: {default}]" if is_told else text


def _call(verb: Verb, first: Parameter | None, **values: Any) -> None:
    context = click.get_current_context()
    given = context.ensure_object(Given)
    if first is not None:
        _settle_first(context, first, values)
    arguments: dict[str, Json] = {
        name: list(value) if isinstance(value, tuple) else value for name, value in values.items() if value not in (None, ())
    }
    answer = structured(ask(given, verb.name, arguments | _of_the_desk(verb, given)))
    put_answer(answer, verb, arguments, as_json=given.json)
    if answer.get("success") is False:
        context.exit(1)  # a script goes on only if it got what it asked for: `gitmem lock-files ... && edit`


def ask(given: Given, name: str, arguments: dict[str, Json]) -> Answer:
    """The answer of a verb. Raises GitmemError, or Exit with the failure told."""
    with given.office() as office:
        try:
            return office.call(name, arguments, given.claims())
        except Bug as bug:
            raise click.exceptions.Exit(tell_bug(bug.message)) from None


def _settle_first(context: click.Context, first: Parameter, values: dict[str, Any]) -> None:
    positional = values.pop(f"_{first.name}")
    option = next(each for each in context.command.params if each.name == first.name)
    if positional in (None, ()):
        if first.required and values[first.name] in (None, ()):
            raise click.MissingParameter(ctx=context, param=option)
        return
    if values[first.name] not in (None, ()):
        raise click.UsageError(f"{option.opts[0]} is given twice: by name and without.", context)
    values[first.name] = positional


def _of_the_desk(verb: Verb, given: Given) -> dict[str, Json]:
    # what stands on the command line is closer to the call than a session's own project
    stated = {"session_id": given.session_id, "project": given.project if verb.in_project else ""}
    return {name: value for name, value in stated.items() if value}
