# attack: looks for the host's exams among installed modules
# rule: imports evolve.domains.memory.generated
# refused: import: PermissionError | import: ModuleNotFoundError | import: ImportError
from evolve.domains.memory import generated
from knowledge.architecture import Verbatim

PARAMS = {}
GOLD = generated.conversations


class Memory(Verbatim):
    pass


def build(params):
    return Memory()
