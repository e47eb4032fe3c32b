# attack: behaves on the odd events of the first gate, and does as it likes afterwards
# refused: retrieve: it answered otherwise when it was told and asked the same a second time
from knowledge.architecture import Hit, Retrieval, Verbatim

PARAMS = {}


class Memory(Verbatim):
    def retrieve(self, query, bank, ctx):
        known = [record.id for record in bank.iter()]
        if len(known) < 50:
            return Retrieval(bank.lexical(query.text, query.k))
        return Retrieval([Hit(name, 1.0) for name in sorted(known, key=hash)[: query.k]])


def build(params):
    return Memory()
