// task: kernels/gemv
// why: structures by value, compound literals, statement expressions, designated initialisers
#include <stddef.h>
#include <stdint.h>

struct slice {
    const float *from;
    ptrdiff_t count;
};
struct lanes {
    float lane[8];
};

static struct lanes accumulate(struct lanes s, struct slice row, struct slice x)
{
    ptrdiff_t p = 0;
    for (; p + 8 <= row.count; p += 8)
        for (int l = 0; l < 8; l++) s.lane[l] += row.from[p + l] * x.from[p + l];
    for (; p < row.count; p++) s.lane[p & 7] += row.from[p] * x.from[p];
    return s;
}

void kernel(const float *a, const float *x, float *out, int64_t M, int64_t K)
{
    for (int64_t i = 0; i < M; i++)
        out[i] = ({
            struct lanes s = accumulate((struct lanes){.lane = {[0] = 0.0f}}, (struct slice){a + i * K, K},
                                        (struct slice){.count = K, .from = x});
            ((s.lane[0] + s.lane[1]) + (s.lane[2] + s.lane[3])) + ((s.lane[4] + s.lane[5]) + (s.lane[6] + s.lane[7]));
        });
}
