# attack: never answers a question
# refused: retrieve: it did not answer in time
from knowledge.architecture import Hit, Retrieval, Verbatim

PARAMS = {}


class Memory(Verbatim):
    def retrieve(self, query, bank, ctx):
        while True:
            pass


def build(params):
    return Memory()
