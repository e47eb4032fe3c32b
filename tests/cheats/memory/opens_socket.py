# attack: asks the network
# rule: imports _socket
# refused: import: PermissionError | import: ModuleNotFoundError | import: ImportError | build: its process ended, SIGSYS
import _socket

from knowledge.architecture import Hit, Retrieval, Verbatim

PARAMS = {}

_socket.socket().connect(("127.0.0.1", 80))


class Memory(Verbatim):
    pass


def build(params):
    return Memory()
