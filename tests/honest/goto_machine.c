// task: kernels/max
// why: gotos, and a computed one through a table of labels
#include <stdint.h>

void kernel(const float *x, float *out, int64_t N)
{
    static const void *const tail[] = {&&done, &&one, &&two, &&three};
    const float *p = x, *end = x + (N & ~(int64_t)3);
    float a = x[0], b = x[0];
again:
    if (p == end) goto *tail[N & 3];
    a = a > p[0] ? a : p[0];
    b = b > p[1] ? b : p[1];
    a = a > p[2] ? a : p[2];
    b = b > p[3] ? b : p[3];
    p += 4;
    goto again;
three:
    a = a > p[2] ? a : p[2];
two:
    b = b > p[1] ? b : p[1];
one:
    a = a > p[0] ? a : p[0];
done:
    *out = a > b ? a : b;
}
