"""Memories of any size to measure on: the same records for the same seed."""

import random
from collections.abc import Iterator
from datetime import timedelta

from gitmem.domains.knowledge.record import Knowledge
from gitmem.domains.projects import Project, project_path
from gitmem.memory.caller import Caller
from gitmem.memory.memory import Memory
from gitmem.names import now

CALLER = Caller("bench")
_SYLLABLES = ["ba", "co", "di", "fu", "ge", "ki", "lo", "ma", "ne", "po", "ra", "se", "ti", "vo", "zu", "ster", "tion", "net"]
_VOCABULARY = 20_000
_BATCH = 10_000


def vocabulary(rng: random.Random) -> tuple[list[str], list[float]]:
    """Made-up words with the frequencies of language (Zipf), as cumulative weights."""
    words = list(dict.fromkeys("".join(rng.choices(_SYLLABLES, k=rng.randint(2, 5))) for _ in range(_VOCABULARY)))
    total, weights = 0.0, []
    for rank in range(1, len(words) + 1):
        total += 1 / rank
        weights.append(total)
    return words, weights


def records(project: str, count: int, seed: int = 7) -> Iterator[Knowledge]:
    """Records of about 600 bytes of text."""
    rng = random.Random(seed)
    words, weights = vocabulary(rng)
    created = now() - timedelta(days=10)
    for _ in range(count):
        text = rng.choices(words, cum_weights=weights, k=85)
        title = " ".join(text[:6])
        yield Knowledge(
            scope=f"projects/{project}", memory_type="learning", id=f"{'-'.join(text[:3])}-{rng.getrandbits(32):08x}",
            title=title, tags=(text[10], text[20]), author="bench", created=created, content=" ".join(text),
        )


def fill(memory: Memory, project: str, count: int, seed: int = 7) -> None:
    """Put `count` records into a project of a memory, in a few commits."""
    pending = records(project, count, seed)
    with memory.transaction(memory.view(), CALLER, f"project {project}") as change:
        if memory.view().record(project_path(project)) is None:
            change.put(Project(scope=f"projects/{project}", name=project, created=now()))
    for start in range(0, count, _BATCH):
        with memory.transaction(memory.view(), CALLER, f"records from {start}") as change:
            for _, record in zip(range(min(_BATCH, count - start)), pending, strict=False):
                change.put(record)
