# attack: ends as if all were well
# rule: imports os
# refused: retrieve: its process ended
import os

from knowledge.architecture import Hit, Retrieval, Verbatim

PARAMS = {}


class Memory(Verbatim):
    def retrieve(self, query, bank, ctx):
        os._exit(0)


def build(params):
    return Memory()
