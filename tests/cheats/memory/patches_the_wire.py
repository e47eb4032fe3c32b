# attack: tells the host of other records than its bank has
# rule: imports knowledge.wire
# refused: store: the source | store: Add: 
from knowledge import wire

from knowledge.architecture import Hit, Retrieval, Verbatim

PARAMS = {}

honest = wire.record_out
wire.record_out = lambda record: {**honest(record), "sources": ["0" * 16]}


class Memory(Verbatim):
    def retrieve(self, query, bank, ctx):
        return Retrieval(bank.lexical(query.text, query.k))


def build(params):
    return Memory()
