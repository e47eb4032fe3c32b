// task: kernels/dot
// why: functions for several CPUs, chosen by a pointer
#include <stdint.h>

#if defined(__x86_64__)
#include <immintrin.h>

__attribute__((target("avx2,fma"))) static float dot_avx2(const float *x, const float *y, int64_t n)
{
    __m256 s0 = _mm256_setzero_ps(), s1 = _mm256_setzero_ps();
    int64_t i = 0;
    for (; i + 16 <= n; i += 16) {
        s0 = _mm256_fmadd_ps(_mm256_loadu_ps(x + i), _mm256_loadu_ps(y + i), s0);
        s1 = _mm256_fmadd_ps(_mm256_loadu_ps(x + i + 8), _mm256_loadu_ps(y + i + 8), s1);
    }
    float lane[8], total = 0.0f;
    _mm256_storeu_ps(lane, _mm256_add_ps(s0, s1));
    for (int l = 0; l < 8; l++) total += lane[l];
    for (; i < n; i++) total += x[i] * y[i];
    return total;
}
#endif

static float dot_plain(const float *x, const float *y, int64_t n)
{
    float total[8] = {0}, sum = 0.0f;
    for (int64_t i = 0; i < n; i++) total[i & 7] += x[i] * y[i];
    for (int l = 0; l < 8; l++) sum += total[l];
    return sum;
}

void kernel(const float *x, const float *y, float *out, int64_t N)
{
    float (*dot)(const float *, const float *, int64_t) = dot_plain;
#if defined(__AVX2__) && defined(__FMA__)
    dot = dot_avx2;
#endif
    out[0] = dot(x, y, N);
}
