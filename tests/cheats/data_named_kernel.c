// attack: S2 the symbol is data, not a function
// refused: correct/crash, builds/symbol
#include <stdint.h>

const char kernel[64] = "\xc3";
