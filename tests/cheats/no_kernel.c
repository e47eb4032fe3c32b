// attack: S2 a file without the function, whose name is in a string
// refused: builds/symbol
#include <stdint.h>

const char *const name = "kernel";
void nothing(void) {}
