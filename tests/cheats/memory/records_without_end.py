# attack: endless records of one event
# refused: encode: more than 64 records
import itertools

from knowledge.architecture import Retrieval, Verbatim, verbatim

PARAMS = {}


class Memory(Verbatim):
    def encode(self, event, ctx):
        return (verbatim(event)._replace(id=str(number)) for number in itertools.count())

    def retrieve(self, query, bank, ctx):
        return Retrieval(bank.lexical(query.text, query.k))


def build(params):
    return Memory()
