// task: kernels/saxpy
// why: a switch that jumps into the middle of a loop
#include <stdint.h>

void kernel(const float *alpha, const float *x, const float *y, float *out, int64_t N)
{
    const float s = *alpha;
    int64_t rounds = (N + 7) / 8;
    switch (N % 8) {
    case (0): do { *out++ = s * *x++ + *y++;
    case 7:        *out++ = s * *x++ + *y++;
    case 6:        *out++ = s * *x++ + *y++;
    case 5:        *out++ = s * *x++ + *y++;
    case 4:        *out++ = s * *x++ + *y++;
    case 3:        *out++ = s * *x++ + *y++;
    case 2:        *out++ = s * *x++ + *y++;
    case 1:        *out++ = s * *x++ + *y++;
              } while (--rounds > 0);
    }
}
