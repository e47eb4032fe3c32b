# attack: has answers encoded that no bank would take
# rule: imports knowledge.wire
# refused: store: OverflowError | store: Add: | store: ValueError
from knowledge import wire

from knowledge.architecture import Hit, Retrieval, Verbatim

PARAMS = {}


class Memory(Verbatim):
    def store(self, new, bank, ctx):
        wire.op_out = lambda op: ["Add", {"record": {"id": "a", "text": "b", "sources": [], "valid_from": 10**400}}]
        return super().store(new, bank, ctx)

    def retrieve(self, query, bank, ctx):
        return Retrieval(bank.lexical(query.text, query.k))


def build(params):
    return Memory()
