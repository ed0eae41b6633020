"""How often search finds the right record: recall at 10 and mean reciprocal rank, beside two yardsticks.

    python benchmarks/search_quality.py [--functions 2000]

Sets: functions of the installed packages (question: the first sentence of the docstring; record: the
source without it; `hidden` leaves the function's own name out), and npm's documentation with questions in
`questions/npm.yaml`. Yardsticks on the same text: tantivy's default analyser through its lenient parser,
and SQLite FTS5 with the porter stemmer and OR between the words.
"""

import argparse
import ast
import hashlib
import re
import sqlite3
import subprocess
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tantivy
import yaml

import gitmem.domains.all  # noqa: F401  declares the kinds
from gitmem.domains.knowledge.record import Knowledge
from gitmem.git.repository import Repository
from gitmem.index.search import Index
from gitmem.memory.caller import Caller
from gitmem.memory.memory import Memory
from gitmem.names import slugify

_TOP = 10
_FIRST = 3
_SENTENCE = re.compile(r"(.+?[.!?])(?:\s|$)", re.DOTALL)


@dataclass(frozen=True)
class Text:
    """One thing to be found."""

    name: str
    title: str
    body: str
    path: str = ""


@dataclass(frozen=True)
class Questions:
    """A set of texts and questions, each with the name of the text that answers it."""

    name: str
    texts: list[Text]
    asked: list[tuple[str, str]]


def functions(count: int, *, hidden: bool) -> Questions:
    """Functions of the installed packages, chosen by a hash of their place."""
    folder = Path(sysconfig.get_paths()["purelib"])
    found = [each for path in sorted(folder.rglob("*.py")) for each in _functions_of(path, folder)]
    found.sort(key=lambda each: hashlib.sha1(each[0].name.encode()).digest())
    chosen = {text.body: (text, question) for text, question in found}
    pairs = list(chosen.values())[:count]
    if hidden:
        pairs = [(_without_name(text), question) for text, question in pairs]
    name = "functions, names hidden" if hidden else "functions"
    return Questions(name, [text for text, _ in pairs], [(question, text.name) for text, question in pairs])


def _functions_of(path: Path, folder: Path) -> Iterator[tuple[Text, str]]:
    try:
        tree = ast.parse(path.read_text("utf-8"))
    except (SyntaxError, UnicodeDecodeError, ValueError):
        return
    for node in ast.walk(tree):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        docstring = ast.get_docstring(node) or ""
        sentence = _SENTENCE.match(docstring)
        if len(node.body) < 2 or sentence is None or not 5 <= len(sentence[1].split()) <= 40:
            continue
        node.body = node.body[1:]
        source, place = ast.unparse(node), path.relative_to(folder).as_posix()
        if 80 < len(source) < 6000:
            yield Text(f"{place}:{node.lineno}", node.name, source, place), " ".join(sentence[1].split())


def _without_name(text: Text) -> Text:
    return Text(text.name, "function", re.sub(rf"\b{re.escape(text.title)}\b", "function", text.body), "")


def npm_pages() -> Questions:
    """Npm's documentation as it is installed here."""
    root = subprocess.run(["npm", "root", "-g"], capture_output=True, text=True, check=True).stdout.strip()
    folder = Path(root) / "npm" / "docs" / "content"
    texts = []
    for path in sorted(folder.rglob("*.md")):
        head, _, body = path.read_text("utf-8").removeprefix("---\n").partition("\n---\n")
        about = yaml.safe_load(head)
        name = path.relative_to(folder).as_posix()
        texts.append(Text(name, f"{about['title']}: {about['description']}", body))
    asked = yaml.safe_load((Path(__file__).parent / "questions" / "npm.yaml").read_text("utf-8"))
    return Questions("npm documentation", texts, [(each["ask"], each["answer"]) for each in asked])


Search = Callable[[str], list[str]]


def keep(memory: Memory, scope: str, texts: list[Text]) -> dict[str, str]:
    """Put each text into a memory as a knowledge record; the names by the records' paths."""
    names: dict[str, str] = {}
    with memory.transaction(memory.view(), Caller("ada"), "fill") as change:
        for number, text in enumerate(texts):
            record = Knowledge(
                scope=scope,
                memory_type="code_snippet" if text.path else "architecture",
                id=f"{slugify(text.title)}-{number:08x}",
                title=text.title[:200],
                content=text.body[:50_000],
                files_related=(text.path,) if text.path else (),
            )
            names[change.put(record).path] = text.name
    return names


def gitmem_search(texts: list[Text], folder: Path) -> Search:
    """Gitmem's own search, with each text as a knowledge record."""
    Repository.init(folder)
    memory = Memory(folder)
    names = keep(memory, "shared", texts)
    index = Index(memory)
    view = memory.view()
    return lambda question: [names[hit.path] for hit in index.search(question, view=view, limit=_TOP).hits]


def tantivy_search(texts: list[Text]) -> Search:
    """Tantivy as it comes: default analyser, lenient parser."""
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("name", stored=True, tokenizer_name="raw")
    builder.add_text_field("title")
    builder.add_text_field("body")
    index = tantivy.Index(builder.build())
    writer: Any = index.writer(50_000_000, 1)
    for text in texts:
        writer.add_document(tantivy.Document(name=text.name, title=text.title, body=f"{text.body}\n{text.path}"))
    writer.commit()
    writer.wait_merging_threads()
    index.reload()
    searcher = index.searcher()

    def search(question: str) -> list[str]:
        query, _ = index.parse_query_lenient(question.replace(":", " "), ["title", "body"])  # it takes `Note:` for a field
        return [str(searcher.doc(address).get_first("name")) for _, address in searcher.search(query, _TOP).hits]

    return search


def fts5_search(texts: list[Text]) -> Search:
    """SQLite FTS5: porter stemmer, OR between the words, its own rank."""
    database = sqlite3.connect(":memory:")
    database.execute("create virtual table docs using fts5(name unindexed, title, body, tokenize='porter unicode61')")
    database.executemany("insert into docs values (?, ?, ?)", [(t.name, t.title, f"{t.body}\n{t.path}") for t in texts])
    sql = f"select name from docs where docs match ? order by rank limit {_TOP}"

    def search(question: str) -> list[str]:
        anything = " OR ".join(f'"{word}"' for word in re.findall(r"\w+", question))
        return [name for (name,) in database.execute(sql, (anything,))]

    return search


def judge(questions: Questions, search: Search) -> tuple[float, float, float]:
    """Recall at 10, recall at 3 and mean reciprocal rank, in per cent."""
    ranks = [found.index(answer) + 1 for question, answer in questions.asked if answer in (found := search(question))]
    count = len(questions.asked)
    first = sum(rank <= _FIRST for rank in ranks)
    return 100 * len(ranks) / count, 100 * first / count, 100 * sum(1 / rank for rank in ranks) / count


def compare(questions: Questions, folder: Path) -> None:
    """Print one set's line for each way to search."""
    searches = {
        "gitmem": gitmem_search(questions.texts, folder),
        "tantivy, default": tantivy_search(questions.texts),
        "FTS5 OR, porter": fts5_search(questions.texts),
    }
    print(f"{questions.name}: {len(questions.asked)} questions, {len(questions.texts)} texts")
    for name, search in searches.items():
        recall, first, reciprocal = judge(questions, search)
        print(f"  {name:18} recall@{_TOP} {recall:5.1f}  recall@{_FIRST} {first:5.1f}  MRR {reciprocal:5.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--functions", type=int, default=2000)
    arguments = parser.parse_args()
    sets = [functions(arguments.functions, hidden=hidden) for hidden in (False, True)] + [npm_pages()]
    with tempfile.TemporaryDirectory() as folder:
        for number, questions in enumerate(sets):
            compare(questions, Path(folder) / f"{number}.git")


if __name__ == "__main__":
    main()
