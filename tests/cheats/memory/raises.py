# attack: fails, and is to be told where
# refused: retrieve: ZeroDivisionError: division by zero (architecture.py, line
from knowledge.architecture import Hit, Retrieval, Verbatim

PARAMS = {}


class Memory(Verbatim):
    def retrieve(self, query, bank, ctx):
        return 1 / 0


def build(params):
    return Memory()
