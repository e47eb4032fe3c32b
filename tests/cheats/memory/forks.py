# attack: goes on in a process of its own
# rule: imports os
# refused: build: its process ended, SIGSYS
import os

from knowledge.architecture import Hit, Retrieval, Verbatim

PARAMS = {}

os.fork()


class Memory(Verbatim):
    pass


def build(params):
    return Memory()
