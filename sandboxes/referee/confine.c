/* The same confinement for candidates in an interpreter: loaded as a library, called before the candidate's code. */
#define _GNU_SOURCE
#include "confine.h"

int confine_interpreter(void) { return confine(1); }

/* Once all that it needs is loaded: no file can be opened any more. */
int close_interpreter(void) { return close_in(); }
