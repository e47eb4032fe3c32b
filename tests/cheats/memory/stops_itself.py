# attack: stops its own process
# refused: retrieve: it did not answer in time
# rule: imports _signal
import _signal

from knowledge.architecture import Hit, Retrieval, Verbatim

PARAMS = {}


class Memory(Verbatim):
    def retrieve(self, query, bank, ctx):
        _signal.raise_signal(19)


def build(params):
    return Memory()
