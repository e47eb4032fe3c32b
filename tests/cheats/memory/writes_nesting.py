# attack: answers with a depth that breaks who reads it
# rule: imports os
# refused: store: the answer is no JSON
import os

from knowledge.architecture import Hit, Retrieval, Verbatim

PARAMS = {}


class Memory(Verbatim):
    def encode(self, event, ctx):
        for descriptor in range(3, 8):
            try:
                os.write(descriptor, b'{"ops": ' + b"[" * 100000 + b"\n")
                os._exit(0)
            except OSError:
                pass
        return []

    def retrieve(self, query, bank, ctx):
        return Retrieval(bank.lexical(query.text, query.k))


def build(params):
    return Memory()
