"""The records of specs: specs themselves, and the documents that say where a project is."""

import json
from datetime import datetime
from typing import ClassVar, Literal, get_args

from msgspec.structs import replace

from gitmem.domains.specs.release import a_release, order, raised
from gitmem.memory.gate import BODY_MAX_BYTES
from gitmem.records.check import a_name, a_tag, at_most, bytes_at_most, each, not_blank, plain_text
from gitmem.records.kind import Record, field, kind
from gitmem.records.merging import Along, greatest_by
from gitmem.records.shape import Json

SpecType = Literal["interface", "api", "schema", "requirement", "architecture"]
AnyType = Literal["interface", "api", "schema", "requirement", "state", "architecture"]
SPEC_TYPES: tuple[SpecType, ...] = get_args(SpecType)
STATE = "state"
# A state document of more than this is guarded against a replacement under half its length.
GUARDED_CHARACTERS = 200


class Versioned(Record):
    """What specs and state documents have in common: an owner, and versions, each of which is a tag.

    The version is called `release` in the file, since `version` is any record's blob id.
    """

    body: ClassVar[str] = "content"

    name: str = field("what it is called", index="title", check=a_name, example="orders-api")
    release: str = field("its version, which only rises", check=a_release, example="1.2.0", merge=greatest_by(order))
    owner: str = field("who may change it", index="keyword", check=a_name, example="ann")
    tags: tuple[str, ...] = field(
        "words to find it by", index="keyword", default=(), check=(at_most(30), each(a_tag))
    )
    created: datetime | None = field("when it was first defined", default=None)
    content: str = field(
        "the text, in Markdown", index="text", check=(not_blank, bytes_at_most(BODY_MAX_BYTES), plain_text),
        merge=Along("release"),
    )  # fmt: skip

    @property
    def known_as(self) -> str:
        """What it is called in calls and answers."""
        return self.name

    @property
    def type(self) -> AnyType:
        """What sort of spec it is."""
        raise NotImplementedError

    @property
    def schema(self) -> dict[str, Json] | None:
        """The JSON Schema of the documents that it describes, if it has one."""
        return None

    @property
    def substance(self) -> tuple[str, str]:
        """What cannot change within a version: the text and the schema."""
        # compared as JSON: to Python, 1 and true are the same
        return self.content, json.dumps(self.schema, sort_keys=True)

    def anew(self, kept: Record) -> "Versioned":
        """What lost a merge, as the version that could follow: what was released is not released twice."""
        if not isinstance(kept, Versioned) or a_release(kept.release):
            return self
        return replace(self, release=kept.release if self.substance == kept.substance else raised(kept.release))

    @property
    def tags_folder(self) -> str:
        """What the refs of its tags stand below."""
        return f"refs/tags/{self.home.split('/')[1]}/{self.project}/{self.name}/"

    @property
    def tag(self) -> str:
        """The ref of the tag of its version."""
        return f"{self.tags_folder}v{self.release}"


@kind
class Spec(Versioned):
    """Something that others build on: an interface, an API, a schema, a requirement, an architecture."""

    home: ClassVar[str] = "{scope}/specs/{name}.md"

    spec_type: SpecType = field("what sort of spec it is", index="keyword", default="interface")
    json_schema: dict[str, Json] | None = field(
        "the JSON Schema of the documents that it describes", default=None, merge=Along("release")
    )

    @property
    def type(self) -> AnyType:
        """What sort of spec it is."""
        return self.spec_type

    @property
    def schema(self) -> dict[str, Json] | None:
        """The JSON Schema of the documents that it describes, if it has one."""
        return self.json_schema


@kind
class State(Versioned):
    """Where a project is: a document that is read when work on it is taken up again."""

    home: ClassVar[str] = "{scope}/state/{name}.md"

    @property
    def known_as(self) -> str:
        """What it is called in calls and answers: apart from a spec of the same name."""
        return f"{STATE}:{self.name}"

    @property
    def type(self) -> AnyType:
        """What sort of spec it is."""
        return "state"


def loses_too_much(old: str, new: str) -> bool:
    """Whether a replacement of a state document looks like a slip."""
    return len(old) > GUARDED_CHARACTERS and len(new) * 2 < len(old)
