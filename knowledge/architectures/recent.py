"""Every event as it is; the newest come back, whatever was asked.

The plain baseline of a sliding context window. Good where only the last word counts (a stream of rewritten values),
hopeless where the answer lies far back. Left out: the summary of what slid out that chat frameworks keep beside it.
"""

import heapq
import math
from collections.abc import Mapping

from knowledge.architecture import BankView, Ctx, Hit, Param, Query, Record, Retrieval, Verbatim, filled

PARAMS: dict[str, Param] = {}


class Recent(Verbatim):
    def retrieve(self, query: Query, bank: BankView, ctx: Ctx) -> Retrieval:
        del ctx
        added = enumerate(bank.iter())
        newest = heapq.nlargest(query.k, ((_time(record), number, record.id) for number, record in added))
        return Retrieval([Hit(name, 1 / (1 + rank), "recent") for rank, (_, _, name) in enumerate(newest)])


def _time(record: Record) -> float:
    return -math.inf if record.valid_from is None else record.valid_from


def build(params: Mapping[str, float]) -> Recent:
    filled(PARAMS, params)
    return Recent()
