"""What is advised in a bottleneck state: the text that a textual gradient rewrites (KernelBlaster's parameters).

One guide for each (domain, state, hardware), kept in the bank as a record whose every change is a version in the log.
Hopes and stops are opinions of a model; what was measured stands in the statistics of techniques, which no guide
changes. A guide is read by its key, never recalled by value.
"""

import json
from collections.abc import Mapping
from typing import NamedTuple

from pydantic import ValidationError

from evolve.errors import StorageError
from evolve.types import Experience, Frozen
from knowledge.bank import ACTIVE, Bank
from knowledge.distil import GUIDE, guide_id
from knowledge.log import RECORD, subject
from knowledge.techniques import Statistics

MOST_SOURCES = 256
"""Attempts that a guide names, the latest: an older one that is revoked no longer takes the guide with it."""


class Guide(Frozen):
    domain: str = ""
    state: str = ""
    hardware: str = ""
    """Empty: anywhere."""
    text: str = ""
    hopes: Mapping[str, float] = {}
    """Technique -> how much it is likely to bring here, 0 to 1."""
    stops: Mapping[str, str] = {}
    """Technique -> why it is not to be tried again here."""
    sources: tuple[str, ...] = ()
    """Ids of the attempts that it rests on."""

    @property
    def id(self) -> str:
        return guide_id(self.domain, self.state, self.hardware)

    @property
    def keys(self) -> str:
        """The text that it is found by."""
        return " ".join((self.domain, self.state, self.text, *self.hopes, *self.stops))

    @property
    def experience(self) -> Experience:
        """As the bank keeps it."""
        return Experience(
            id=self.id,
            kind=GUIDE,
            text=self.text,
            domain=self.domain,
            state=self.state,
            hardware=self.hardware,
            payload=self.model_dump_json(exclude={"text", "sources"}),
            sources=self.sources[-MOST_SOURCES:],
        )


class Counsel(NamedTuple):
    """All that is known of a bottleneck state."""

    guide: Guide
    statistics: Mapping[str, Statistics] = {}
    """Technique -> how it fared."""


def guide_in(kept: Experience) -> Guide:
    """Raises StorageError where it is none."""
    try:
        return Guide.model_validate_json(kept.payload).model_copy(update={"text": kept.text, "sources": kept.sources})
    except ValidationError as error:
        raise StorageError(f"{kept.id} is no guide; `evolve kb erase {kept.id}` removes it") from error


class Guides:
    """Raises StorageError."""

    def __init__(self, bank: Bank) -> None:
        self._bank = bank

    def at(self, domain: str, state: str, hardware: str, hold_out: frozenset[str]) -> Guide:
        """The guide of this hardware, else the one for any; an empty one where there is none.

        One that rests on an attempt at a task in `hold_out` counts as none.
        """
        asked = Guide(domain=domain, state=state, hardware=hardware)
        for name in dict.fromkeys((asked.id, guide_id(domain, state, ""))):
            held = self._bank.held(name)
            if held is not None and held.status == ACTIVE and not self._rests_on(held.experience, hold_out):
                return guide_in(held.experience).model_copy(update={"hardware": hardware})
        return asked

    def all(self, domain: str) -> list[Guide]:
        """Of one domain, or of all where it is empty; in the order of their states."""
        rows = self._bank.database.rows(
            "SELECT id FROM records WHERE status = 'active' AND kind = ? AND domain = coalesce(nullif(?, ''), domain)"
            " ORDER BY domain, state, hardware",
            GUIDE, domain,
        )  # fmt: skip
        return [guide_in(kept) for kept in self._bank.many([name for (name,) in rows])]

    def _rests_on(self, guide: Experience, tasks: frozenset[str]) -> bool:
        """By this version, and by every earlier one where it no longer names all: their words may still be in it."""
        if not tasks:
            return False
        sources = {*guide.sources}
        if len(sources) >= MOST_SOURCES:
            rows = self._bank.database.rows(
                "SELECT DISTINCT source.value FROM log, json_each(data, '$.experience.sources') AS source"
                " WHERE subject = ?",
                subject(RECORD, guide.id),
            )
            sources |= {name for (name,) in rows}
        found = self._bank.database.row(
            "SELECT 1 FROM events WHERE id IN (SELECT value FROM json_each(?))"
            " AND task IN (SELECT value FROM json_each(?)) LIMIT 1",
            json.dumps(sorted(sources)), json.dumps(sorted(tasks)),
        )  # fmt: skip
        return found is not None
