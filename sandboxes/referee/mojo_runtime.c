/* What stands in for Mojo's runtime in a kernel's library: memory from the C library, threads from OpenMP.
 *
 * Mojo's own brings an allocator, a thread pool and signal handlers, none of which runs under confine.h.
 */
#include <stdint.h>
#include <stdlib.h>

void *KGEN_CompilerRT_AlignedAlloc(size_t alignment, size_t bytes) {
    void *memory = NULL;
    size_t least = alignment < sizeof(void *) ? sizeof(void *) : alignment;
    return posix_memalign(&memory, least, bytes ? bytes : 1) ? NULL : memory;
}

void KGEN_CompilerRT_AlignedFree(void *memory) { free(memory); }

/* parallel.mojo calls this. Items are dealt out in stretches, one for each thread. */
void evolve_parallel(void (*run)(const void *, int64_t), const void *work, int64_t items) {
#pragma omp parallel for schedule(static) if (items > 1)
    for (int64_t item = 0; item < items; item++) run(work, item);
}
