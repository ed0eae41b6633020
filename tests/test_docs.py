"""The documentation says what the code does: generated pages are current, commands exist, links lead somewhere."""

import json
import re
import shlex
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import click
import jsonschema
import pytest
from msgspec.structs import asdict
from test_tutorial import ROOT, run_page
from test_tutorial import commands as commands_of

from docs import generate
from gitmem.facade.cli import commands
from gitmem.names import parse_time
from gitmem.records.codec import decode
from gitmem.records.describe import EXAMPLE_SCOPE, example, schema
from gitmem.records.kind import KINDS, Kind
from gitmem.verbs import VERBS, Verb

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
ALL_PAGES = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
ALL_VERBS = pytest.mark.parametrize("verb", VERBS.values(), ids=list(VERBS))

_FENCED = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"(?<!!)\[[^\]\[]+\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


def test_the_readme_run_prints_what_it_shows(tmp_path: Path):
    run_page(ROOT / "README.md", tmp_path)


def test_the_readme_fits_on_150_lines():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


def test_generated_pages_are_current():
    generate.import_everything()
    outdated = [path.name for path, text in generate.pages().items() if not path.exists() or path.read_text("utf-8") != text]
    assert not outdated, "run `make docs` and commit what it writes"
    assert {path.stem for path in (ROOT / "docs" / "reference" / "schemas").iterdir()} == set(KINDS)


# --- the declarations that the reference is made of ------------------------------------------------


@ALL_VERBS
def test_every_verb_and_every_argument_of_it_is_described(verb: Verb):
    assert verb.summary.endswith((".", "?"))
    assert [name for name, parameter in verb.parameters.items() if not parameter.description] == []


@ALL_VERBS
def test_the_reference_describes_every_verb_and_its_arguments(verb: Verb):
    text = (ROOT / "docs" / "reference" / "verbs.md").read_text().partition(f"### {verb.name}\n")[2].partition("\n### ")[0]
    assert verb.summary in text
    assert all(f"| `{name}` |" in text for name in verb.parameters)


@ALL_VERBS
def test_the_usage_of_a_verb_gives_its_command_what_it_needs(verb: Verb):
    text = (ROOT / "docs" / "reference" / "verbs.md").read_text().partition(f"### {verb.name}\n")[2]
    _, name, *words = (each.strip("[].") for each in text.partition("```sh\n")[2].partition("\n")[0].removesuffix(" [OPTIONS]").split())
    command = commands.get_command(click.Context(commands), name)
    assert command is not None
    given, left, _ = command.make_parser(click.Context(command)).parse_args(words)
    values = {name.removeprefix("_"): (value if isinstance(value, str) else value[0]) for name, value in given.items() if value}
    assert left == []
    assert {name for name, parameter in verb.parameters.items() if parameter.required} <= set(values)
    assert values == {name: name.upper() for name in values}


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_the_schema_of_a_kind_accepts_its_example_and_refuses_another_type(kind: Kind):
    described = schema(kind)
    jsonschema.Draft202012Validator.check_schema(described)
    made = example(kind)
    plain = {f.name: f.shape.dump(getattr(made, f.name)) for f in kind.file_fields if getattr(made, f.name) is not None}
    jsonschema.validate(plain, described)
    for f in kind.file_fields:
        if f.shape.schema:  # not those that take any value
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.validate(plain | {f.name: object()}, described)


# --- what pages say --------------------------------------------------------------------------------


def blocks(page: Path, *languages: str) -> list[str]:
    return [found["text"] for found in _FENCED.finditer(page.read_text("utf-8")) if found["language"] in languages]


def anchor(heading: str) -> str:
    """A heading's anchor, as code hosts make it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@ALL_PAGES
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(page: Path):
    broken = []
    for target in _LINK.findall(_FENCED.sub("", page.read_text("utf-8"))):
        if "://" in target:
            continue
        name, _, wanted = target.partition("#")
        file = (page.parent / urllib.parse.unquote(name)).resolve() if name else page
        headings = _HEADING.findall(_FENCED.sub("", file.read_text("utf-8"))) if file.suffix == ".md" and file.exists() else []
        if not file.exists() or (wanted and wanted not in map(anchor, headings)):
            broken.append(target)
    assert broken == []


def test_every_page_can_be_reached_from_the_readme():
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page not in reached and page.suffix == ".md":
            reached.add(page)
            names = (target.partition("#")[0] for target in _LINK.findall(page.read_text("utf-8")) if "://" not in target)
            waiting += [(page.parent / name).resolve() for name in names if name]
    assert set(PAGES) - reached == set()


def command_lines(page: Path) -> Iterator[list[str]]:
    """The `gitmem ...` commands of a page, in blocks and in running text, as words."""
    typed = [line for block in blocks(page, "sh") for line in block.splitlines()]
    typed += [command.replace("\\\n", "") for block in blocks(page, "console") for command, _ in commands_of(block)]
    for code in [*typed, *_INLINE.findall(_FENCED.sub("", page.read_text("utf-8")))]:
        words = shlex.split(code, comments=True) if code.startswith("gitmem ") else []
        if len(words) > 1 and re.fullmatch(r"-?[a-z-]+", words[1]):
            yield words[1:]


@ALL_PAGES
def test_every_gitmem_command_on_a_page_exists_with_its_options(page: Path):
    unknown = []
    for words in command_lines(page):
        command: click.Command = commands
        while words and isinstance(command, click.Group) and re.fullmatch("[a-z][a-z-]*", words[0]):
            found = command.get_command(click.Context(command), words.pop(0))
            if found is None:
                unknown.append(" ".join(words))
                break
            command = found
        known = {"--help", "-h"} | {name for each in command.params for name in (*each.opts, *each.secondary_opts)}
        unknown += [f"{command.name} {word}" for word in words if word.startswith("--") and word.partition("=")[0] not in known]
    assert unknown == []


@ALL_PAGES
def test_every_tool_on_a_page_exists(page: Path):
    named = set(re.findall(r"\bmemory_([a-z_]+)\b", page.read_text("utf-8")))
    assert named - {"type", "types"} - {"help", "call"} <= set(VERBS)


@ALL_PAGES
def test_json_on_a_page_is_json(page: Path):
    for block in blocks(page, "json"):
        json.loads(block)


def test_the_example_files_of_the_format_page_are_read_without_problems():
    page = ROOT / "docs" / "format.md"
    [learning] = blocks(page, "markdown")
    decoded = decode(KINDS["knowledge"], "shared/knowledge/learning/3f/retry-policy-3fa2b81c.md", learning.encode())
    assert decoded.problems == ()
    assert decoded.record is not None
    assert parse_time("2026-07-30T09:00:00Z") in asdict(decoded.record).values()
    [project] = blocks(page, "yaml")
    assert decode(KINDS["project"], f"{EXAMPLE_SCOPE}/project.yaml", project.encode()).problems == ()


def test_the_format_page_lists_every_kind_that_a_plain_clone_shows():
    listed = set(re.findall(r"<!-- fields of (\w+) -->", (ROOT / "docs" / "format.md").read_text()))
    assert listed == {name for name, kind in KINDS.items() if kind.record.ref == "main"}
