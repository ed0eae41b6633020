"""Texts that ask for acts that cannot be undone: whoever reads them should ask a person first."""

import re

# What is asked for, in plain words, and how people and agents word it. A text is flagged, never stopped: a pattern that
# sees too much costs a person a look, one that sees too little may cost a repository. What may stand between two words
# is bounded, so that no text takes long to look through.
ACTS: dict[str, str] = {
    "removing files": r"\brm\s+(-\S+\s+){0,20}-\w*[rf]|\brmdir\s+/s|\bdel\s+/[sfq]|\bremove-item\b.{0,200}-recurse|\bshred\b"
    r"|\bfind\b.{0,200}\s-delete\b|\b(delete|erase|remove)\s+(all|every|everything)\b",
    "wiping": r"\bwip(e|es|ed|ing)\b|\bnuke\b|\bpurge\b|\bmkfs\b|\bdd\s.{0,200}\bof=/dev/|\bformat\s+[a-z]:",
    "dropping data": r"\b(drop|truncate)\s+(the\s+)?(\S+\s+)?(table|database|schema|collection|index|column)s?\b"
    r"|\bdelete\s+from\b|\bflush(all|db)\b",
    "force push": r"\bforce[- ]?push|\bpush\b.{0,200}\s(--force\b|--force-with-lease\b|-f\b|\+\S)",
    "deleting a branch": r"\b(delete|remove|drop|kill)\s+(\S+\s+){0,3}branch(es)?\b"
    r"|\bbranch\s+(-\w+\s+){0,20}(-D|--delete)\b|\bpush\s+\S+\s+(--delete\b|:\S)",
    "discarding work": r"\breset\s+--hard\b|\bclean\s+-\w*f|\bcheckout\s+(--\s|\.)|\brestore\s+\.|\bstash\s+(drop|clear)\b",
    "rewriting history": r"\bfilter-(branch|repo)\b|\brewrite\s+(the\s+)?history\b|\breflog\s+expire\b",
    "taking down": r"\b(terraform|pulumi)\s+destroy\b|\bkubectl\s+delete\b|\bdocker\s+\S+\s+prune\b|\bkill\s+-9\b",
}
_PATTERNS = {act: re.compile(pattern, re.IGNORECASE) for act, pattern in ACTS.items()}


def destructive_acts(text: str) -> tuple[str, ...]:
    """The acts in `text` that a person should decide on."""
    return tuple(act for act, pattern in _PATTERNS.items() if pattern.search(text))
