# attack: prints without end
# refused: store: it did not answer in time
from knowledge.architecture import Hit, Retrieval, Verbatim

PARAMS = {}


class Memory(Verbatim):
    def encode(self, event, ctx):
        while True:
            print("x" * 1000)

    def retrieve(self, query, bank, ctx):
        return Retrieval(bank.lexical(query.text, query.k))


def build(params):
    return Memory()
