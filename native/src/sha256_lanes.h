/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 on vectors of 32-bit words, one message a lane. Define LANES, `v32`, ADD, XOR, SHR, ROR, CHOOSE (e ? f : g,
 * bit by bit), MAJORITY, SET1, LOAD, STORE and VC_SHA256_NAME first.
 */
#include "sha256.h"

static inline v32 small_sigma(v32 x, int a, int b, int c) { return XOR(XOR(ROR(x, a), ROR(x, b)), SHR(x, c)); }
static inline v32 big_sigma(v32 x, int a, int b, int c) { return XOR(XOR(ROR(x, a), ROR(x, b)), ROR(x, c)); }

#define ROUND(a, b, c, d, e, f, g, h, i)                                                                  \
  do {                                                                                                    \
    v32 t = ADD(ADD(h, big_sigma(e, 6, 11, 25)), ADD(CHOOSE(e, f, g), ADD(SET1(vc_sha256_k[i]), w[(i) & 15]))); \
    d = ADD(d, t);                                                                                        \
    h = ADD(t, ADD(big_sigma(a, 2, 13, 22), MAJORITY(a, b, c)));                                          \
  } while (0)

static inline v32 next(const v32 w[16], int i) {
  return ADD(ADD(w[i & 15], small_sigma(w[(i + 1) & 15], 7, 18, 3)),
             ADD(w[(i + 9) & 15], small_sigma(w[(i + 14) & 15], 17, 19, 10)));
}

static inline void compress_block(v32 s[8], const uint8_t *const *blocks) {
  v32 w[16];
  gather(w, blocks);
  v32 a = s[0], b = s[1], c = s[2], d = s[3], e = s[4], f = s[5], g = s[6], h = s[7];
  for (int i = 0; i < 64; i += 16) {
    if (i)
      for (int j = 0; j < 16; j++) w[j] = next(w, j);
    ROUND(a, b, c, d, e, f, g, h, i + 0);
    ROUND(h, a, b, c, d, e, f, g, i + 1);
    ROUND(g, h, a, b, c, d, e, f, i + 2);
    ROUND(f, g, h, a, b, c, d, e, i + 3);
    ROUND(e, f, g, h, a, b, c, d, i + 4);
    ROUND(d, e, f, g, h, a, b, c, i + 5);
    ROUND(c, d, e, f, g, h, a, b, i + 6);
    ROUND(b, c, d, e, f, g, h, a, i + 7);
    ROUND(a, b, c, d, e, f, g, h, i + 8);
    ROUND(h, a, b, c, d, e, f, g, i + 9);
    ROUND(g, h, a, b, c, d, e, f, i + 10);
    ROUND(f, g, h, a, b, c, d, e, i + 11);
    ROUND(e, f, g, h, a, b, c, d, i + 12);
    ROUND(d, e, f, g, h, a, b, c, i + 13);
    ROUND(c, d, e, f, g, h, a, b, i + 14);
    ROUND(b, c, d, e, f, g, h, a, i + 15);
  }
  const v32 out[8] = {a, b, c, d, e, f, g, h};
  for (int i = 0; i < 8; i++) s[i] = ADD(s[i], out[i]);
}

static void compress(uint32_t *state, const uint8_t *const *data, size_t count) {
  v32 s[8];
  const uint8_t *blocks[LANES];
  for (int i = 0; i < 8; i++) s[i] = LOAD(state + i * LANES);
  for (size_t b = 0; b < count; b++) {
    for (int l = 0; l < LANES; l++) blocks[l] = data[l] + 64 * b;
    compress_block(s, blocks);
  }
  for (int i = 0; i < 8; i++) STORE(state + i * LANES, s[i]);
}

const vc_sha256_kernel VC_SHA256_NAME = {LANES, compress, NULL};
