// task: kernels/softmax
// why: each thread keeps a buffer of its own that outlives the call
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

static _Thread_local float *scratch;
static _Thread_local int64_t room;

static float *scratch_for(int64_t n)
{
    if (n > room) {
        free(scratch);
        scratch = aligned_alloc(64, (n * sizeof(float) + 63) / 64 * 64);
        room = scratch ? n : 0;
    }
    return scratch;
}

void kernel(const float *x, float *out, int64_t M, int64_t N)
{
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < M; i++) {
        float *e = scratch_for(N), top = x[i * N], total = 0.0f;
        for (int64_t j = 1; j < N; j++) top = fmaxf(top, x[i * N + j]);
        for (int64_t j = 0; j < N; j++) e[j] = expf(x[i * N + j] - top);
        for (int64_t j = 0; j < N; j++) total += e[j];
        for (int64_t j = 0; j < N; j++) out[i * N + j] = e[j] / total;
    }
}
