# attack: reads what lies beside it and on the machine
# rule: open
# refused: build: PermissionError
from knowledge.architecture import Retrieval, Verbatim

PARAMS = {}


class Memory(Verbatim):
    def __init__(self):
        self.seen = open("/etc/hostname").read() + open("/proc/self/environ").read()

    def retrieve(self, query, bank, ctx):
        return Retrieval(bank.lexical(query.text, query.k))


def build(params):
    return Memory()
