// task: kernels/gemv
// why: a macro prefetches with inline assembly; an empty asm keeps the compiler from merging loops
#include <stdint.h>

#if defined(__x86_64__)
#define AHEAD(address) __asm__ volatile("prefetcht0 %0" : : "m"(*(const char *)(address)))
#else
#define AHEAD(address) __builtin_prefetch(address)
#endif
#define BARRIER() __asm__ volatile("" : : : "memory")

void kernel(const float *a, const float *x, float *out, int64_t M, int64_t K)
{
    for (int64_t i = 0; i < M; i++) {
        const float *row = a + i * K;
        float acc[4] = {0};
        int64_t p = 0;
        for (; p + 4 <= K; p += 4) {
            AHEAD(row + p + 256);
            for (int l = 0; l < 4; l++) acc[l] += row[p + l] * x[p + l];
        }
        for (; p < K; p++) acc[0] += row[p] * x[p];
        BARRIER();
        out[i] = (acc[0] + acc[1]) + (acc[2] + acc[3]);
    }
}
