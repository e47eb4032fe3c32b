# attack: takes the order of the handles for a hint
# worth: less
from knowledge.architecture import Hit, Retrieval, Verbatim

PARAMS = {}


class Memory(Verbatim):
    def retrieve(self, query, bank, ctx):
        return Retrieval([Hit(name, 1.0) for name in sorted(record.id for record in bank.iter())[: query.k]])


def build(params):
    return Memory()
