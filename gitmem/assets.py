"""Finds the files that ship beside the code: hooks and templates, installed or in a checkout."""

from pathlib import Path

_INSTALLED = Path(__file__).parent / "_shipped"
_CHECKOUT = Path(__file__).parent.parent


def folder(name: str) -> Path:
    """The shipped folder `hooks` or `templates`."""
    installed = _INSTALLED / name
    return installed if installed.is_dir() else _CHECKOUT / name
