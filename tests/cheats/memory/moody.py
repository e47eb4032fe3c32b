# attack: answers otherwise each time
# refused: retrieve: it answered otherwise when it was told and asked the same a second time
from knowledge.architecture import Hit, Retrieval, Verbatim

PARAMS = {}


class Memory(Verbatim):
    def retrieve(self, query, bank, ctx):
        return Retrieval([Hit(name, 1.0) for name in {record.id for record in bank.iter()}][: query.k])


def build(params):
    return Memory()
