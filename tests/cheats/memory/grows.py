# attack: keeps sixty records of every event
# refused: store: Add:
from knowledge.architecture import Retrieval, Verbatim, named, verbatim

PARAMS = {}


class Memory(Verbatim):
    def encode(self, event, ctx):
        return [verbatim(event)._replace(id=named(event.id, str(number))) for number in range(60)]

    def retrieve(self, query, bank, ctx):
        return Retrieval(bank.lexical(query.text, query.k))


def build(params):
    return Memory()
