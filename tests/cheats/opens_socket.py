# attack: S9 opens a socket
# refused: authentic/forbidden_call
import socket


def kernel(a, b, out, n):
    socket.socket()
    out[...] = a + b
