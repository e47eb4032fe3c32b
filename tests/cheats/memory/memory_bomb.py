# attack: takes all memory
# refused: store: MemoryError | encode: MemoryError
from knowledge.architecture import Hit, Retrieval, Verbatim

PARAMS = {}


class Memory(Verbatim):
    def encode(self, event, ctx):
        self.kept = [bytes(1 << 20)]
        while True:
            self.kept += [bytes(1 << 24)]

    def retrieve(self, query, bank, ctx):
        return Retrieval(bank.lexical(query.text, query.k))


def build(params):
    return Memory()
