# attack: works on while it is not asked
# rule: imports threading
# refused: build: RuntimeError
import threading

from knowledge.architecture import Hit, Retrieval, Verbatim

PARAMS = {}


class Memory(Verbatim):
    def __init__(self):
        threading.Thread(target=lambda: [0 for _ in iter(int, 1)], daemon=True).start()

    def retrieve(self, query, bank, ctx):
        return Retrieval(bank.lexical(query.text, query.k))


def build(params):
    return Memory()
