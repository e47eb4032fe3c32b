# attack: gives an object without the four programs
# refused: build: what build(params) gives has no
PARAMS = {}


class Memory:
    pass


def build(params):
    return Memory()
