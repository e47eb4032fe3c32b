# attack: has the checks in its own process pass everything
# rule: imports knowledge.trial
# refused: retrieve: Hit(id='forge
from knowledge import trial

from knowledge.architecture import Hit, Retrieval, Verbatim

PARAMS = {}

trial.checked = lambda found, bank: found


class Memory(Verbatim):
    def retrieve(self, query, bank, ctx):
        return Retrieval([Hit("forged", 1.0)])


def build(params):
    return Memory()
