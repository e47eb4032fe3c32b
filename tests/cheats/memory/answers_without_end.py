# attack: fills the line to the referee
# rule: imports os
# refused: store: it answered with more than is read
import os

from knowledge.architecture import Hit, Retrieval, Verbatim

PARAMS = {}


class Memory(Verbatim):
    def encode(self, event, ctx):
        while True:
            for descriptor in range(3, 8):
                try:
                    os.write(descriptor, b"x" * 65536)
                except OSError:
                    pass

    def retrieve(self, query, bank, ctx):
        return Retrieval(bank.lexical(query.text, query.k))


def build(params):
    return Memory()
