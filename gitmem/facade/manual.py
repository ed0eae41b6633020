"""Which tools are listed, what they are called, and what `help` says of them."""

from collections.abc import Iterable

from gitmem import verbs
from gitmem.errors import BadArgument, closest
from gitmem.names import shown
from gitmem.verbs import Parameter, Verb

LINE_WIDTH = 100
HOW_TO_GO_ON = "help(topic=NAME) tells the arguments of one; call(tool=NAME, arguments={...}) calls any of them."


class UnknownTopic(BadArgument):
    """Nothing is called that, neither a tool nor a group nor a profile."""

    def __init__(self, topic: str, known: list[str]) -> None:
        near = closest(topic, known)
        super().__init__(
            f"There is no tool or group {shown(topic)}.",
            fix=f"Did you mean {' or '.join(near)}?" if near else f"Groups are {', '.join(groups())}.",
        )


def groups() -> dict[str, list[Verb]]:
    """All verbs by the domain that declares them, both in an order that does not depend on what was imported first."""
    found: dict[str, list[Verb]] = {}
    for verb in sorted(verbs.VERBS.values(), key=_place):
        found.setdefault(verb.group, []).append(verb)
    return found


def _place(verb: Verb) -> tuple[str, str, int]:
    return verb.group, verb.function.__module__, verb.function.__code__.co_firstlineno


def listed(profile: str) -> list[Verb]:
    """The verbs of a profile: `core`, `all`, or names and groups (and `core`) with commas between."""
    chosen: dict[str, Verb] = {}
    for part in (part.strip() for part in profile.split(",")):
        if part:
            chosen |= {verb.name: verb for verb in _part(part)}
    return [verb for verb in verbs.VERBS.values() if verb.name in chosen]


def _part(part: str) -> Iterable[Verb]:
    if part == "all":
        return verbs.VERBS.values()
    if part == "core":
        return [verb for verb in verbs.VERBS.values() if verb.core]
    if part in verbs.VERBS:
        return [verbs.VERBS[part]]
    if part in groups():
        return groups()[part]
    raise UnknownTopic(part, ["core", "all", *groups(), *verbs.VERBS])


def help_on(topic: str) -> str:
    """All tools by group, those of one group, or one tool with its arguments."""
    name = topic.strip().lower().replace("-", "_")
    if not name:
        return "\n".join([*_overview(), "", HOW_TO_GO_ON])
    if name in verbs.VERBS:
        return about(verbs.VERBS[name])
    if name in groups():
        return "\n".join(_group(name, groups()[name]))
    raise UnknownTopic(name, [*verbs.VERBS, *groups()])


def _overview() -> list[str]:
    return [line for name, members in groups().items() for line in _group(name, members)]


def _group(name: str, members: list[Verb]) -> list[str]:
    return [f"{name}:", *(f"  {verb.name}: {_first_sentence(verb.summary)}" for verb in members)]


def _first_sentence(summary: str) -> str:
    sentence = summary.split(". ")[0].rstrip(".")
    return sentence if len(sentence) <= LINE_WIDTH else sentence[: LINE_WIDTH - 1] + "…"


def about(verb: Verb) -> str:
    """One verb: what it is for, what it takes, what it does to the memory."""
    does = "may remove or replace what others made" if verb.destructive else "writes" if verb.writes else "reads"
    arguments = [_argument(parameter) for parameter in verb.parameters.values()]
    told = ["arguments:", *arguments] if arguments else ["It takes no arguments."]
    more = [f"  as_proposal (optional): {verbs.DESK_ARGUMENTS['as_proposal']}"] if verbs.proposable(verb) else []
    return "\n".join([f"{verb.name} ({does}): {verb.summary}", *told, *more])


def _argument(parameter: Parameter) -> str:
    if parameter.required:
        need = "required"
    elif parameter.default in (None, "", (), {}):
        need = "optional"
    else:
        need = f"default {parameter.shape.dump(parameter.default)}"
    return f"  {parameter.name} ({parameter.shape.name}, {need}): {parameter.description}"
