#include <stdint.h>

void kernel(const uint8_t *text, const uint8_t *pattern, uint8_t *out, int64_t N, int64_t P)
{
    for (int64_t i = 0; i < N; i++) {
        int64_t same = 0;
        for (int64_t j = 0; j < P; j++) {
            same += text[i + j] == pattern[j];
        }
        out[i] = same == P;
    }
}
