// task: kernels/relu
// why: writes past the caches
#include <stdint.h>
#ifdef __AVX__
#include <immintrin.h>
#endif

void kernel(const float *x, float *out, int64_t N)
{
    int64_t i = 0;
#ifdef __AVX__
    for (; i < N && ((uintptr_t)(out + i) & 31); i++) out[i] = x[i] > 0.0f ? x[i] : 0.0f;
    for (; i + 8 <= N; i += 8) _mm256_stream_ps(out + i, _mm256_max_ps(_mm256_loadu_ps(x + i), _mm256_setzero_ps()));
    _mm_sfence();
#endif
    for (; i < N; i++) out[i] = x[i] > 0.0f ? x[i] : 0.0f;
}
