# attack: keeps what it knows in its own object
# refused: retrieve: it answered otherwise when it was started anew
from knowledge.architecture import Hit, Retrieval, Verbatim

PARAMS = {}


class Memory(Verbatim):
    def __init__(self):
        self.told = []

    def encode(self, event, ctx):
        self.told.append(event.id)
        return super().encode(event, ctx)

    def retrieve(self, query, bank, ctx):
        return Retrieval([Hit(name, 1.0) for name in self.told[-query.k :]])


def build(params):
    return Memory()
