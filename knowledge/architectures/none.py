"""No memory: keeps nothing, returns nothing. What every other one has to beat.

Source: the row "no memory" of MemEvolve's tables (2512.18746) and of ALMA's (2602.07755).
"""

from collections.abc import Iterable, Mapping, Sequence

from knowledge.architecture import BankView, Ctx, Event, Op, Param, Query, Record, Retrieval, Trigger, filled

PARAMS: dict[str, Param] = {}


class Nothing:
    def encode(self, event: Event, ctx: Ctx) -> Iterable[Record]:
        del event, ctx
        return []

    def store(self, new: Sequence[Record], bank: BankView, ctx: Ctx) -> Iterable[Op]:
        del new, bank, ctx
        return []

    def retrieve(self, query: Query, bank: BankView, ctx: Ctx) -> Retrieval:
        del query, bank, ctx
        return Retrieval(())

    def manage(self, trigger: Trigger, bank: BankView, ctx: Ctx) -> Iterable[Op]:
        del trigger, bank, ctx
        return []


def build(params: Mapping[str, float]) -> Nothing:
    filled(PARAMS, params)
    return Nothing()
