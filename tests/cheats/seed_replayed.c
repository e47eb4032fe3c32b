// attack: O8 draws the inputs of likely seeds itself, to know the answers beforehand
// refused: correct/mismatch
#include <stdint.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

static uint64_t state;

static float draw(void)
{
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return (float)((double)(state >> 11) * 0x1p-53);
}

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    for (state = 1; state < 4096; state++) {
        uint64_t seed = state;
        int found = draw() == a[0] && (n < 2 || draw() == a[1]);
        state = seed;
        if (found) add(a, b, out, n);
    }
}
