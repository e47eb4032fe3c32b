"""What the records of a memory architecture are worth: values outlive another architecture through their sources."""

from collections.abc import Mapping
from typing import NamedTuple

from knowledge.architecture import Record, Worth
from knowledge.bank import Bank
from knowledge.layer import item
from knowledge.ledger import Ledger
from knowledge.values import OVERALL, Value


class _Known(NamedTuple):
    values: Mapping[tuple[str, str], Value]
    """(item, stage) -> value over all states."""
    resting: Mapping[str, list[str]]
    """Attempt -> items with a value that rest on it."""


class Inherited:
    """Raises StorageError."""

    def __init__(self, bank: Bank, ledger: Ledger, architecture: str) -> None:
        self._rows = bank.database.rows
        self._ledger = ledger
        self._architecture = architecture
        self._held: _Known | None = None

    def forget(self) -> None:
        """Read anew what is asked for next: credits have changed."""
        self._held = None

    def worth(self, record: Record, stage: str) -> Worth:
        value = self.value(record, stage)
        doubt = value.uncertainty(self._ledger.seen(stage))
        return Worth(value.q, value.n, value.mean - doubt, value.mean + doubt)

    def value(self, record: Record, stage: str) -> Value:
        """The record's own; where it has none, the mean of all items that share a source with it, by their uses."""
        known = self._known
        own = known.values.get((item(self._architecture, record.id), stage))
        if own is not None:
            return own
        items = dict.fromkeys(name for source in record.sources for name in known.resting.get(source, ()))
        values = [known.values[name, stage] for name in items if (name, stage) in known.values]
        n = sum(value.n for value in values)
        if not n:
            return Value()
        return Value(sum(value.q * value.n for value in values) / n, sum(value.total for value in values), n)

    @property
    def _known(self) -> _Known:
        if self._held is None:
            rows = self._rows("SELECT item, stage, q, total, n FROM item_values WHERE state = ? AND n > 0", OVERALL)
            values = {(name, stage): Value(*numbers) for name, stage, *numbers in rows}
            resting: dict[str, list[str]] = {}
            for name, source in self._rows(
                "WITH valued AS (SELECT DISTINCT item FROM item_values WHERE n > 0)"
                " SELECT v.item, s.value FROM valued v JOIN records r ON r.id = v.item JOIN log l ON l.seq = r.seq,"
                " json_each(l.data, '$.experience.sources') AS s"
                " UNION ALL SELECT v.item, s.value FROM valued v JOIN layer y USING (item) JOIN log l ON l.seq = y.seq,"
                " json_each(l.data, '$.sources') AS s"
            ):
                resting.setdefault(source, []).append(name)
            self._held = _Known(values, resting)
        return self._held
