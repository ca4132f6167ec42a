/* SPDX-License-Identifier: Apache-2.0 */
/* The SHA instructions of ARMv8, two messages at a time. */
#if defined(VC_HAVE_ARMSHA2)
#include <arm_neon.h>

#include "sha256.h"

#define LANES 2

typedef struct {
  uint32x4_t abcd, efgh, w[4];
} lane;

/* Four rounds with w[g % 4], and the words of group g + 4 in its place. */
static inline void four_rounds(lane *s, int g) {
  uint32x4_t wk = vaddq_u32(s->w[g & 3], vld1q_u32(vc_sha256_k + 4 * g)), abcd = s->abcd;
  s->abcd = vsha256hq_u32(abcd, s->efgh, wk);
  s->efgh = vsha256h2q_u32(s->efgh, abcd, wk);
  if (g < 12) {
    uint32x4_t t = vsha256su0q_u32(s->w[g & 3], s->w[(g + 1) & 3]);
    s->w[g & 3] = vsha256su1q_u32(t, s->w[(g + 2) & 3], s->w[(g + 3) & 3]);
  }
}

static inline uint32x4_t load_state(const uint32_t *state) {
  const uint32_t words[4] = {state[0], state[LANES], state[2 * LANES], state[3 * LANES]};
  return vld1q_u32(words);
}

static inline void store_state(uint32_t *state, uint32x4_t sum) {
  uint32_t words[4];
  vst1q_u32(words, sum);
  for (int i = 0; i < 4; i++) state[i * LANES] = words[i];
}

static void compress(uint32_t *state, const uint8_t *const *data, size_t count) {
  lane s[LANES];
  for (int l = 0; l < LANES; l++) {
    s[l].abcd = load_state(state + l);
    s[l].efgh = load_state(state + 4 * LANES + l);
  }
  for (size_t b = 0; b < count; b++) {
    uint32x4_t abcd[LANES], efgh[LANES];
    for (int l = 0; l < LANES; l++) {
      abcd[l] = s[l].abcd;
      efgh[l] = s[l].efgh;
      for (int i = 0; i < 4; i++) s[l].w[i] = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(data[l] + 64 * b + 16 * i)));
    }
    for (int g = 0; g < 16; g++)
      for (int l = 0; l < LANES; l++) four_rounds(&s[l], g);
    for (int l = 0; l < LANES; l++) {
      s[l].abcd = vaddq_u32(s[l].abcd, abcd[l]);
      s[l].efgh = vaddq_u32(s[l].efgh, efgh[l]);
    }
  }
  for (int l = 0; l < LANES; l++) {
    store_state(state + l, s[l].abcd);
    store_state(state + 4 * LANES + l, s[l].efgh);
  }
}

const vc_sha256_kernel vc_sha256_armv8 = {LANES, compress, NULL};
#else
typedef int vc_sha256_armv8_not_built;
#endif
