# attack: names events that have not happened yet
# refused: store: Add: ValueError | store: Add: the source
from knowledge.architecture import Add, Verbatim, Retrieval

PARAMS = {}


class Memory(Verbatim):
    def store(self, new, bank, ctx):
        for record in new:
            yield Add(record._replace(sources=(*record.sources, "ffffffffffffffff")))

    def retrieve(self, query, bank, ctx):
        return Retrieval(bank.lexical(query.text, query.k))


def build(params):
    return Memory()
