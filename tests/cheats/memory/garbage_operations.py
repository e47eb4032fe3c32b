# attack: returns what is no operation
# refused: store: tuple:
from knowledge.architecture import Hit, Retrieval, Verbatim

PARAMS = {}


class Memory(Verbatim):
    def store(self, new, bank, ctx):
        return [("Add", record) for record in new]

    def retrieve(self, query, bank, ctx):
        return Retrieval(bank.lexical(query.text, query.k))


def build(params):
    return Memory()
