// task: kernels/sum
// why: wide intrinsics behind #ifdef, four accumulators, a masked tail
#include <stdint.h>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

void kernel(const float *x, float *out, int64_t N)
{
#ifdef __AVX512F__
    __m512 s[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps()};
    int64_t i = 0;
    for (; i + 64 <= N; i += 64)
        for (int k = 0; k < 4; k++) s[k] = _mm512_add_ps(s[k], _mm512_loadu_ps(x + i + 16 * k));
    for (; i < N; i += 16) {
        __mmask16 left = N - i >= 16 ? 0xffff : (__mmask16)((1u << (N - i)) - 1);
        s[0] = _mm512_add_ps(s[0], _mm512_maskz_loadu_ps(left, x + i));
    }
    out[0] = _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(s[0], s[1]), _mm512_add_ps(s[2], s[3])));
#else
    float s[8] = {0};
    for (int64_t i = 0; i < N; i++) s[i % 8] += x[i];
    out[0] = ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
#endif
}
