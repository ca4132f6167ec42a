/* SPDX-License-Identifier: Apache-2.0 */
#include "sha256.h"

static inline uint32_t rotate(uint32_t x, unsigned n) { return x >> n | x << (32 - n); }

static void compress_block(uint32_t *state, const uint8_t *block) {
  uint32_t w[16], s[8];
  for (int i = 0; i < 8; i++) s[i] = state[i];
  for (int i = 0; i < 16; i++) w[i] = vc_load_be32(block + 4 * i);
  for (int i = 0; i < 64; i++) {
    if (i >= 16) {
      uint32_t a = w[(i + 1) & 15], b = w[(i + 14) & 15];
      w[i & 15] += (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) + w[(i + 9) & 15] + (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
    }
    uint32_t e = s[4], a = s[0];
    uint32_t t1 = s[7] + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + (s[6] ^ (e & (s[5] ^ s[6]))) + vc_sha256_k[i] +
                  w[i & 15];
    uint32_t t2 = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & s[1]) | (s[2] & (a | s[1])));
    s[7] = s[6], s[6] = s[5], s[5] = e, s[4] = s[3] + t1, s[3] = s[2], s[2] = s[1], s[1] = a, s[0] = t1 + t2;
  }
  for (int i = 0; i < 8; i++) state[i] += s[i];
}

static void compress(uint32_t *state, const uint8_t *const *data, size_t count) {
  for (size_t b = 0; b < count; b++) compress_block(state, data[0] + 64 * b);
}

const vc_sha256_kernel vc_sha256_portable = {1, compress, NULL};
