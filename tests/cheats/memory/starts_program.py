# attack: starts another program
# rule: imports os
# refused: store: its process ended, SIGSYS | store: its process ended (message
import os

from knowledge.architecture import Hit, Retrieval, Verbatim

PARAMS = {}


class Memory(Verbatim):
    def encode(self, event, ctx):
        os.system("touch /tmp/was-here")
        return []

    def retrieve(self, query, bank, ctx):
        return Retrieval(bank.lexical(query.text, query.k))


def build(params):
    return Memory()
