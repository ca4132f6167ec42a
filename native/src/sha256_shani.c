/* SPDX-License-Identifier: Apache-2.0 */
/* The SHA instructions of x86, two messages at a time: their latency is twice their throughput. */
#if defined(VC_HAVE_SHANI)
#include <immintrin.h>

#include "sha256.h"

#define LANES 2
#define BOTH(statement)                         \
  do {                                          \
    for (int l = 0; l < LANES; l++) statement;  \
  } while (0)

typedef struct {
  __m128i abef, cdgh, w[4];
} lane;

/* Four rounds with w[g % 4], and the words of group g + 4 in its place. */
static inline void four_rounds(lane *s, int g) {
  const __m128i k = _mm_loadu_si128((const __m128i *)(const void *)(vc_sha256_k + 4 * g));
  __m128i wk = _mm_add_epi32(s->w[g & 3], k);
  s->cdgh = _mm_sha256rnds2_epu32(s->cdgh, s->abef, wk);
  s->abef = _mm_sha256rnds2_epu32(s->abef, s->cdgh, _mm_shuffle_epi32(wk, 0x0e));
  if (g < 12) {
    __m128i w1 = s->w[(g + 1) & 3], w2 = s->w[(g + 2) & 3], w3 = s->w[(g + 3) & 3];
    __m128i t = _mm_add_epi32(_mm_sha256msg1_epu32(s->w[g & 3], w1), _mm_alignr_epi8(w3, w2, 4));
    s->w[g & 3] = _mm_sha256msg2_epu32(t, w3);
  }
}

static inline void load_state(lane *s, const uint32_t *state) {
  s->abef = _mm_set_epi32((int)state[0], (int)state[LANES], (int)state[4 * LANES], (int)state[5 * LANES]);
  s->cdgh = _mm_set_epi32((int)state[2 * LANES], (int)state[3 * LANES], (int)state[6 * LANES], (int)state[7 * LANES]);
}

static inline void load_block(lane *s, const uint8_t *block) {
  const __m128i swap = _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3);
  for (int i = 0; i < 4; i++)
    s->w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(const void *)(block + 16 * i)), swap);
}

static inline void store_state(uint32_t *state, const lane *s) {
  static const int place[8] = {5, 4, 1, 0, 7, 6, 3, 2}; /* of the words of abef, then of cdgh, lowest first */
  uint32_t words[8];
  _mm_storeu_si128((__m128i *)(void *)words, s->abef);
  _mm_storeu_si128((__m128i *)(void *)(words + 4), s->cdgh);
  for (int i = 0; i < 8; i++) state[place[i] * LANES] = words[i];
}

static inline void compress_blocks(lane s[LANES], const uint8_t *const *data, size_t count) {
  for (size_t b = 0; b < count; b++) {
    __m128i abef[LANES], cdgh[LANES];
    BOTH((abef[l] = s[l].abef, cdgh[l] = s[l].cdgh));
    BOTH(load_block(&s[l], data[l] + 64 * b));
#define STEP(g) BOTH(four_rounds(&s[l], g))
    STEP(0); STEP(1); STEP(2); STEP(3); STEP(4); STEP(5); STEP(6); STEP(7);
    STEP(8); STEP(9); STEP(10); STEP(11); STEP(12); STEP(13); STEP(14); STEP(15);
    BOTH((s[l].abef = _mm_add_epi32(s[l].abef, abef[l]), s[l].cdgh = _mm_add_epi32(s[l].cdgh, cdgh[l])));
  }
}

static void compress(uint32_t *state, const uint8_t *const *data, size_t count) {
  lane s[LANES];
  BOTH(load_state(&s[l], state + l));
  compress_blocks(s, data, count);
  BOTH(store_state(state + l, &s[l]));
}

static void digests(uint8_t *out, const uint8_t *const *whole, size_t count, const uint8_t *const *tails, size_t tail) {
  const uint32_t *h = vc_sha256_initial;
  const __m128i swap = _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3);
  lane s[LANES];
  BOTH(s[l].abef = _mm_set_epi32((int)h[0], (int)h[1], (int)h[4], (int)h[5]));
  BOTH(s[l].cdgh = _mm_set_epi32((int)h[2], (int)h[3], (int)h[6], (int)h[7]));
  compress_blocks(s, whole, count);
  compress_blocks(s, tails, tail);
  for (int l = 0; l < LANES; l++) {
    const __m128i ab = _mm_unpackhi_epi64(s[l].abef, s[l].cdgh), ef = _mm_unpacklo_epi64(s[l].abef, s[l].cdgh);
    /* words b a d c and f e h g, lowest first */
    _mm_storeu_si128((__m128i *)(void *)(out + 32 * l), _mm_shuffle_epi8(_mm_shuffle_epi32(ab, 0xb1), swap));
    _mm_storeu_si128((__m128i *)(void *)(out + 32 * l + 16), _mm_shuffle_epi8(_mm_shuffle_epi32(ef, 0xb1), swap));
  }
}

const vc_sha256_kernel vc_sha256_shani = {LANES, compress, digests};
#else
typedef int vc_sha256_shani_not_built;
#endif
