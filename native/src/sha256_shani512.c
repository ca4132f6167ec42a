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

/* One block of four messages, and half of the next schedule. With `known`, the first eight rounds and the first seven words
 * after the first 16 are behind us: nothing in them depends on a nonce.
 */
static INLINE void half_block(state *states, const schedule *from, __m256i w[16], schedule *next, int quad, int known) {
  __m128i abef[QUAD], cdgh[QUAD];
  for (int l = 0; l < QUAD; l++) abef[l] = states[QUAD * quad + l].abef, cdgh[l] = states[QUAD * quad + l].cdgh;
#define WORD(i) (known && (i) < 7 ? (void)0 : extend(w, next, i))
#define STEP(g)                                                                       \
  do {                                                                                \
    if (!known || (g) > 0) rounds(cdgh, abef, from, 4 * (g), quad);                   \
    WORD(24 * quad + 3 * (g));                                                        \
    if (!known || (g) > 0) rounds(abef, cdgh, from, 4 * (g) + 1, quad);               \
    WORD(24 * quad + 3 * (g) + 1);                                                    \
    if (!known || (g) > 0) rounds(cdgh, abef, from, 4 * (g) + 2, quad);               \
    WORD(24 * quad + 3 * (g) + 2);                                                    \
    if (!known || (g) > 0) rounds(abef, cdgh, from, 4 * (g) + 3, quad);               \
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
static INLINE void compress8(state *states, const schedule *from, const __m256i w[16], schedule *next, int known) {
  __m256i v[16];
  for (int i = 0; i < 16; i++) v[i] = w[i];
  half_block(states, from, v, next, 0, known);
  half_block(states, from, v, next, 1, known);
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

/* Ask for a block's share of the group that follows: a table of rows is longer than the caches, and a group's hashing longer than
 * a line takes to come. Inlined by force: GCC drops calls of functions that only ask. */
static INLINE void ask_for_next(const uint8_t *messages, size_t bytes, size_t group_bytes, size_t group, size_t block,
                                size_t blocks) {
  const size_t share = group_bytes / blocks + 1, first = (group + 1) * group_bytes + block * share;
  for (size_t at = first; at < first + share + 63 && at < bytes; at += 64)
    _mm_prefetch((const char *)messages + at, _MM_HINT_T0);
}

static void many(uint8_t *out, size_t digest, const uint8_t *messages, size_t length, int prefix, size_t count) {
  const size_t offset = prefix >= 0, blocks = (offset + length + 9 + 63) / 64, tail = (offset + length) / 64;
  const size_t groups = (count + LANES - 1) / LANES, items = groups * blocks;
  const layout first = layout_of(0, blocks, length, offset, prefix);
  const layout whole = {{UINT32_MAX, UINT32_MAX}, {_mm256_setzero_si256(), _mm256_setzero_si256()}};
  const layout before = layout_of(tail, blocks, length, offset, prefix);
  const layout after = layout_of(blocks - 1, blocks, length, offset, prefix);
  schedule schedules[2];
  state states[LANES];
  __m256i w[16];
  for (size_t item = 0, group = 0, block = 0; item <= items; item++) {
    if (item < items) {
      ask_for_next(messages, count * length, LANES * length, group, block, blocks);
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
      compress8(states, &schedules[done % 2], w, &schedules[item % 2], 0);
      if (done % blocks == blocks - 1) {
        const size_t at = LANES * (done / blocks), used = count - at < LANES ? count - at : LANES;
        store_digests(out + at * digest, digest, states, used, at + used < count);
      }
    }
    if (++block == blocks) block = 0, group++;
  }
}

/* Words 8 and 9 of eight messages whose nonces follow on `nonce`, a multiple of eight. */
static INLINE void set_nonces(__m256i w[16], schedule *to, uint64_t nonce) {
  const __m256i swap = _mm256_broadcastsi128_si256(_mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3));
  const __m256i lane = _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0);
  w[8] = _mm256_shuffle_epi8(_mm256_add_epi32(_mm256_set1_epi32((int)(uint32_t)nonce), lane), swap);
  w[9] = _mm256_shuffle_epi8(_mm256_set1_epi32((int)(nonce >> 32)), swap);
  const __m256i x = _mm256_add_epi32(w[8], _mm256_set1_epi32((int)vc_sha256_k[8]));
  const __m256i y = _mm256_add_epi32(w[9], _mm256_set1_epi32((int)vc_sha256_k[9]));
  uint64_t pairs[2][4]; /* of lanes 0, 1, 4, 5 and 2, 3, 6, 7 */
  _mm256_storeu_si256((__m256i *)(void *)pairs[0], _mm256_unpacklo_epi32(x, y));
  _mm256_storeu_si256((__m256i *)(void *)pairs[1], _mm256_unpackhi_epi32(x, y));
  for (int l = 0; l < LANES; l++) memcpy(to->first[l] + 8, &pairs[l / 2 % 2][l / 4 * 2 + l % 2], 8);
}

/* All that 2^32 nonces from `nonce` on have in common: w with words 16 to 22 in the places of 0 to 6, the schedules' first
 * words and those, and the states after eight rounds. */
static void set_common(__m256i w[16], schedule schedules[2], state *states, const uint8_t *seed, uint64_t nonce) {
  uint32_t words[16] = {0};
  for (int i = 0; i < 8; i++) words[i] = vc_load_be32(seed + 4 * i);
  words[10] = UINT32_C(0x80000000);
  words[15] = 320; /* bits */
  for (int s = 0; s < 2; s++) {
    for (int i = 0; i < 16; i++) {
      w[i] = _mm256_set1_epi32((int)words[i]);
      for (int l = 0; l < LANES; l++) schedules[s].first[l][i] = words[i] + vc_sha256_k[i];
    }
    set_nonces(w, &schedules[s], nonce);
    for (int i = 0; i < 7; i++) extend(w, &schedules[s], i);
  }
  begin_states(states);
  for (int l = 0; l < LANES; l += QUAD) {
    __m128i abef[QUAD], cdgh[QUAD];
    for (int i = 0; i < QUAD; i++) abef[i] = states[l + i].abef, cdgh[i] = states[l + i].cdgh;
    for (int pair = 0; pair < 4; pair += 2) {
      rounds(cdgh, abef, schedules, pair, l / QUAD);
      rounds(abef, cdgh, schedules, pair + 1, l / QUAD);
    }
    for (int i = 0; i < QUAD; i++) states[l + i].abef = abef[i], states[l + i].cdgh = cdgh[i];
  }
}

/* The least of 2^32 nonces from `start` on that does the work: 0 where none does. */
static int search(uint64_t *nonce, const uint8_t *seed, uint32_t bits, uint64_t start) {
  schedule schedules[2];
  state common[LANES], states[LANES], initial[LANES];
  __m256i w[16], v[16];
  begin_states(initial);
  set_common(w, schedules, common, seed, start);
  for (int i = 0; i < 16; i++) v[i] = w[i];
  for (int i = 7; i < 48; i++) extend(v, &schedules[0], i);
  const __m128i change = _mm_sub_epi32(initial[0].abef, common[0].abef); /* sums are of the states after eight rounds */
  for (uint64_t first = 0; first < UINT64_C(1) << 32; first += LANES) {
    const size_t now = first / LANES % 2;
    set_nonces(w, &schedules[1 - now], start + first + LANES);
    memcpy(states, common, sizeof states);
    compress8(states, &schedules[now], w, &schedules[1 - now], 1);
    for (uint64_t l = 0; l < LANES; l++) {
      const uint64_t head = (uint64_t)_mm_extract_epi64(_mm_add_epi32(states[l].abef, change), 1); /* words a and b */
      if (bits && head >> (64 - bits)) continue;
      *nonce = start + first + l;
      return 1;
    }
  }
  return 0;
}

static uint64_t grind(const uint8_t *seed, uint32_t bits) {
  uint64_t start = 0, nonce = 0;
  while (!search(&nonce, seed, bits, start)) start += UINT64_C(1) << 32;
  return nonce;
}

const vc_sha256_whole vc_sha256_shani512 = {many, grind};
#else
typedef int vc_sha256_shani512_not_built;
#endif
