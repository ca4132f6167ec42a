/* SPDX-License-Identifier: Apache-2.0 */
/* The rounds by the SHA instructions, the message schedules of eight messages at a time by vectors, side by side: the SHA
 * instructions for the schedule share one pipe with those for the rounds and would take half of its time. Vectors are of
 * 256 bits: rotations of longer ones keep the rounds waiting.
 *
 * While eight blocks run through their rounds, four messages at a time because a round waits for the one before it, the
 * schedule of the next eight is made, three words of it for every eight rounds.
 */
#if defined(VC_HAVE_SHANI512)
#include <immintrin.h>
#include <string.h>

#include "sha256.h"

#define LANES 8
#define QUAD 4
#if defined(_MSC_VER)
#define INLINE __forceinline
#else
#define INLINE inline __attribute__((always_inline))
#endif

/* Words of the schedule plus the constants of the rounds: words 0 to 15 of each message, then, of every two words after
 * them, those of messages 0, 1, 4, 5 and of messages 2, 3, 6, 7.
 */
typedef struct {
  uint32_t first[LANES][16];
  uint32_t later[24][2][4][2];
} schedule;

typedef struct {
  __m128i abef, cdgh;
} state;

/* Two words, pair < 32. */
static INLINE __m128i words_of(const schedule *s, int pair, int lane) {
  const uint32_t *later = s->later[pair < 8 ? 0 : pair - 8][lane / 2 % 2][lane / 4 * 2 + lane % 2];
  return _mm_loadl_epi64((const __m128i *)(const void *)(pair < 8 ? s->first[lane] + 2 * pair : later));
}

/* w[i] lane l = word i of x[l]: a transposition of 8 x 8 words. */
static INLINE void transpose(__m256i w[8], const __m256i x[8]) {
  __m256i y[8];
  for (int i = 0; i < 8; i += 4) {
    const __m256i a = _mm256_unpacklo_epi32(x[i], x[i + 1]), b = _mm256_unpackhi_epi32(x[i], x[i + 1]);
    const __m256i c = _mm256_unpacklo_epi32(x[i + 2], x[i + 3]), d = _mm256_unpackhi_epi32(x[i + 2], x[i + 3]);
    y[i] = _mm256_unpacklo_epi64(a, c);
    y[i + 1] = _mm256_unpackhi_epi64(a, c);
    y[i + 2] = _mm256_unpacklo_epi64(b, d);
    y[i + 3] = _mm256_unpackhi_epi64(b, d);
  }
  for (int i = 0; i < 4; i++) { /* y[4q + i], half p: words 4p + i of messages 4q .. 4q + 3 */
    w[i] = _mm256_permute2x128_si256(y[i], y[4 + i], 0x20);
    w[4 + i] = _mm256_permute2x128_si256(y[i], y[4 + i], 0x31);
  }
}

/* Word 16 + i of the schedule in the place of word i, and what rounds need of two words once they are there. */
static INLINE void extend(__m256i w[16], schedule *out, int i) {
  const __m256i a = w[(i + 1) & 15], b = w[(i + 14) & 15];
  const __m256i s0 =
      _mm256_ternarylogic_epi32(_mm256_ror_epi32(a, 7), _mm256_ror_epi32(a, 18), _mm256_srli_epi32(a, 3), 0x96);
  const __m256i s1 =
      _mm256_ternarylogic_epi32(_mm256_ror_epi32(b, 17), _mm256_ror_epi32(b, 19), _mm256_srli_epi32(b, 10), 0x96);
  w[i & 15] = _mm256_add_epi32(_mm256_add_epi32(w[i & 15], s0), _mm256_add_epi32(w[(i + 9) & 15], s1));
  if (i % 2 == 0) return;
  const __m256i x = _mm256_add_epi32(w[(i - 1) & 15], _mm256_set1_epi32((int)vc_sha256_k[15 + i]));
  const __m256i y = _mm256_add_epi32(w[i & 15], _mm256_set1_epi32((int)vc_sha256_k[16 + i]));
  __m256i *to = (__m256i *)(void *)out->later[i / 2];
  _mm256_storeu_si256(to, _mm256_unpacklo_epi32(x, y));
  _mm256_storeu_si256(to + 1, _mm256_unpackhi_epi32(x, y));
}

/* Two rounds of four messages. */
static INLINE void rounds(__m128i a[QUAD], const __m128i b[QUAD], const schedule *from, int pair, int quad) {
  for (int l = 0; l < QUAD; l++) a[l] = _mm_sha256rnds2_epu32(a[l], b[l], words_of(from, pair, QUAD * quad + l));
}

/* One block of four messages, and half of the next schedule. */
static INLINE void half_block(state *states, const schedule *from, __m256i w[16], schedule *next, int quad) {
  __m128i abef[QUAD], cdgh[QUAD];
  for (int l = 0; l < QUAD; l++) abef[l] = states[QUAD * quad + l].abef, cdgh[l] = states[QUAD * quad + l].cdgh;
#define STEP(g)                                            \
  do {                                                     \
    rounds(cdgh, abef, from, 4 * (g), quad);               \
    extend(w, next, 24 * quad + 3 * (g));                  \
    rounds(abef, cdgh, from, 4 * (g) + 1, quad);           \
    extend(w, next, 24 * quad + 3 * (g) + 1);              \
    rounds(cdgh, abef, from, 4 * (g) + 2, quad);           \
    extend(w, next, 24 * quad + 3 * (g) + 2);              \
    rounds(abef, cdgh, from, 4 * (g) + 3, quad);           \
  } while (0)
  STEP(0);
  STEP(1);
  STEP(2);
  STEP(3);
  STEP(4);
  STEP(5);
  STEP(6);
  STEP(7);
  for (int l = 0; l < QUAD; l++) {
    state *to = states + QUAD * quad + l;
    to->abef = _mm_add_epi32(to->abef, abef[l]);
    to->cdgh = _mm_add_epi32(to->cdgh, cdgh[l]);
  }
}

/* The blocks of `from`; `next` gets the words after the first 16, which are in w. */
static INLINE void compress8(state *states, const schedule *from, __m256i w[16], schedule *next) {
  __m256i v[16];
  for (int i = 0; i < 16; i++) v[i] = w[i];
  half_block(states, from, v, next, 0);
  half_block(states, from, v, next, 1);
}

/* A block of each message: which of its bytes are the message's, and all the others. */
typedef struct {
  __mmask32 mask[2];
  __m256i padding[2];
} layout;

static layout layout_of(size_t block, size_t blocks, size_t length, size_t offset, int prefix) {
  uint8_t bytes[64] = {0};
  uint64_t mask = 0;
  for (size_t i = 0; i < 64; i++) {
    const size_t at = 64 * block + i;
    if (at >= offset && at < offset + length) mask |= UINT64_C(1) << i;
    if (at < offset) bytes[i] = (uint8_t)prefix;
    if (at == offset + length) bytes[i] = 0x80;
    if (at >= 64 * blocks - 8) bytes[i] = (uint8_t)((uint64_t)(8 * (offset + length)) >> (8 * (64 * blocks - 1 - at)));
  }
  const __m256i *padding = (const __m256i *)(const void *)bytes;
  const layout found = {{(__mmask32)mask, (__mmask32)(mask >> 32)},
                        {_mm256_loadu_si256(padding), _mm256_loadu_si256(padding + 1)}};
  return found;
}

static INLINE void read_half(__m256i w[8], schedule *to, const uint8_t *const *starts, const layout *at, int half) {
  const __m256i swap = _mm256_broadcastsi128_si256(_mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3));
  const __m256i constants = _mm256_loadu_si256((const __m256i *)(const void *)(vc_sha256_k + 8 * half));
  __m256i x[LANES];
  for (int l = 0; l < LANES; l++) {
    x[l] = _mm256_or_si256(_mm256_maskz_loadu_epi8(at->mask[half], starts[l] + 32 * half), at->padding[half]);
    x[l] = _mm256_shuffle_epi8(x[l], swap);
    _mm256_storeu_si256((__m256i *)(void *)(to->first[l] + 8 * half), _mm256_add_epi32(x[l], constants));
  }
  transpose(w, x);
}

static inline void store_digest(uint8_t *out, const state *s) {
  const __m128i swap = _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3);
  const __m128i ab = _mm_unpackhi_epi64(s->abef, s->cdgh), ef = _mm_unpacklo_epi64(s->abef, s->cdgh);
  /* words b a d c and f e h g, lowest first */
  _mm_storeu_si128((__m128i *)(void *)out, _mm_shuffle_epi8(_mm_shuffle_epi32(ab, 0xb1), swap));
  _mm_storeu_si128((__m128i *)(void *)(out + 16), _mm_shuffle_epi8(_mm_shuffle_epi32(ef, 0xb1), swap));
}

static void begin_states(state *states) {
  const uint32_t *h = vc_sha256_initial;
  for (int l = 0; l < LANES; l++) {
    states[l].abef = _mm_set_epi32((int)h[0], (int)h[1], (int)h[4], (int)h[5]);
    states[l].cdgh = _mm_set_epi32((int)h[2], (int)h[3], (int)h[6], (int)h[7]);
  }
}

/* Digests of `used` messages, each over the end of the one before it; the last one is the caller's to cut. */
static void store_digests(uint8_t *out, size_t digest, const state *states, size_t used, int more) {
  uint8_t last[32];
  const size_t whole = more ? used : used - 1;
  for (size_t l = 0; l < whole; l++) store_digest(out + l * digest, states + l);
  if (whole == used) return;
  store_digest(last, states + whole);
  memcpy(out + whole * digest, last, digest);
}

static void many(uint8_t *out, size_t digest, const uint8_t *messages, size_t length, int prefix, size_t count) {
  const size_t offset = prefix >= 0, blocks = (offset + length + 9 + 63) / 64, tail = (offset + length) / 64;
  const size_t groups = (count + LANES - 1) / LANES, items = groups * blocks;
  const layout first = layout_of(0, blocks, length, offset, prefix);
  const layout whole = {{UINT32_MAX, UINT32_MAX}, {_mm256_setzero_si256(), _mm256_setzero_si256()}};
  const layout before = layout_of(tail, blocks, length, offset, prefix), after = layout_of(blocks - 1, blocks, length, offset, prefix);
  schedule schedules[2];
  state states[LANES];
  __m256i w[16];
  for (size_t item = 0, group = 0, block = 0; item <= items; item++) {
    if (item < items) {
      const uint8_t *starts[LANES];
      for (size_t l = 0; l < LANES; l++) {
        const size_t i = LANES * group + l < count ? LANES * group + l : count - 1;
        starts[l] = messages + i * length + 64 * block - offset;
      }
      const layout *at = block == 0 ? &first : block < tail ? &whole : block == blocks - 1 ? &after : &before;
      read_half(w, &schedules[item % 2], starts, at, 0);
      read_half(w + 8, &schedules[item % 2], starts, at, 1);
      if (item == 0)
        for (int i = 0; i < 48; i++) extend(w, &schedules[0], i);
    }
    if (item > 0) {
      const size_t done = item - 1;
      if (done % blocks == 0) begin_states(states);
      compress8(states, &schedules[done % 2], w, &schedules[item % 2]);
      if (done % blocks == blocks - 1) {
        const size_t at = LANES * (done / blocks), used = count - at < LANES ? count - at : LANES;
        store_digests(out + at * digest, digest, states, used, at + used < count);
      }
    }
    if (++block == blocks) block = 0, group++;
  }
}

/* w and the first words of the schedules of eight nonces from `nonce` on, a multiple of eight. */
static INLINE void nonce_blocks(__m256i w[16], schedule *to, const uint8_t *seed, uint64_t nonce) {
  const __m256i count = _mm256_add_epi32(_mm256_set1_epi32((int)(uint32_t)nonce), _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0));
  const __m256i swap = _mm256_broadcastsi128_si256(_mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3));
  for (int i = 0; i < 8; i++) w[i] = _mm256_set1_epi32((int)vc_load_be32(seed + 4 * i));
  w[8] = _mm256_shuffle_epi8(count, swap);
  w[9] = _mm256_shuffle_epi8(_mm256_set1_epi32((int)(nonce >> 32)), swap);
  w[10] = _mm256_set1_epi32((int)UINT32_C(0x80000000));
  for (int i = 11; i < 15; i++) w[i] = _mm256_setzero_si256();
  w[15] = _mm256_set1_epi32(320);
  uint32_t changing[2][LANES];
  for (int i = 0; i < 2; i++) _mm256_storeu_si256((__m256i *)(void *)changing[i], w[8 + i]);
  for (int l = 0; l < LANES; l++)
    for (int i = 0; i < 2; i++) to->first[l][8 + i] = changing[i][l] + vc_sha256_k[8 + i];
}

static uint64_t grind(const uint8_t *seed, uint32_t bits) {
  schedule schedules[2];
  state states[LANES];
  __m256i w[16];
  nonce_blocks(w, &schedules[0], seed, 0);
  for (int i = 0; i < 16; i++) {
    uint32_t word[LANES];
    _mm256_storeu_si256((__m256i *)(void *)word, w[i]);
    for (int l = 0; l < LANES; l++) schedules[0].first[l][i] = schedules[1].first[l][i] = word[l] + vc_sha256_k[i];
  }
  for (int i = 0; i < 48; i++) extend(w, &schedules[0], i);
  for (uint64_t first = 0;; first += LANES) {
    const size_t now = first / LANES % 2;
    nonce_blocks(w, &schedules[1 - now], seed, first + LANES);
    begin_states(states);
    compress8(states, &schedules[now], w, &schedules[1 - now]);
    for (size_t l = 0; l < LANES; l++) { /* the words a and b are the upper ones of abef */
      const uint64_t head = (uint64_t)_mm_extract_epi64(states[l].abef, 1);
      if (bits == 0 || head >> (64 - bits) == 0) return first + l;
    }
  }
}

const vc_sha256_whole vc_sha256_shani512 = {many, grind};
#else
typedef int vc_sha256_shani512_not_built;
#endif
