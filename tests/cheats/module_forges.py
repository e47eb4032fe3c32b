# attack: S1 answers while it is imported, and leaves
# refused: authentic/forged_answer, authentic/ended_itself, correct/mismatch
import os
import struct

os.write(6, struct.pack("=6i", 0, 0, 0, 0, 0, 0) * 3)
os._exit(0)
