"""Documents about a target, in passages that a writer can look things up in."""

from typing import NamedTuple


class Passage(NamedTuple):
    title: str
    text: str
    why: str
    """The name or the words by which it was found."""
