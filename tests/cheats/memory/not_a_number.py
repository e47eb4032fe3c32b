# attack: a score that is no number
# refused: retrieve: 
from knowledge.architecture import Hit, Retrieval, Verbatim

PARAMS = {}


class Memory(Verbatim):
    def retrieve(self, query, bank, ctx):
        return Retrieval([Hit(record.id, float("nan")) for record in bank.iter()][:5])


def build(params):
    return Memory()
