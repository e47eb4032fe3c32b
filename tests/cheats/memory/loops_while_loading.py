# attack: never ends to load
# refused: build: it did not answer in time
from knowledge.architecture import Hit, Retrieval, Verbatim

PARAMS = {}


while True:
    pass


class Memory(Verbatim):
    pass


def build(params):
    return Memory()
