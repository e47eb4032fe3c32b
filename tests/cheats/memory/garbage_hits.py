# attack: finds what is not there
# refused: retrieve: Hit(id='nothi
from knowledge.architecture import Hit, Retrieval, Verbatim

PARAMS = {}


class Memory(Verbatim):
    def retrieve(self, query, bank, ctx):
        return Retrieval([Hit("nothing", 1.0)])


def build(params):
    return Memory()
