/* SPDX-License-Identifier: Apache-2.0 */
/* AVX-512 VNNI: the sixteen bytes of an element are sixteen lanes, so that one vpdpbusd multiplies four bytes of a row,
 * broadcast, with all digits of four elements, and no lanes are ever summed across.
 */
#include "freivalds.h"

#if defined(VC_HAVE_AVX512VNNI)

#include <immintrin.h>
#include <string.h>

#if defined(_MSC_VER)
#define INLINE static __forceinline
#else
#define INLINE static inline __attribute__((always_inline))
#endif

#define DIGITS 8
#define LANES 16

/* Four elements a vector: packed[group][lane][element]. */
static void pack(void *packed, const uint64_t *vector, size_t count) {
  uint32_t *out = packed;
  for (size_t base = 0; base < count; base += 4, out += LANES) {
    size_t n = count - base < 4 ? count - base : 4;
    for (int c = 0; c < 2; c++) {
      uint64_t x[4] = {0, 0, 0, 0};
      for (size_t k = 0; k < n; k++) x[k] = vector[2 * (base + k) + (size_t)c];
      for (int l = 0; l < DIGITS; l++)
        out[DIGITS * c + l] = (uint32_t)((x[0] >> (8 * l)) & 0xff) | (uint32_t)((x[1] >> (8 * l)) & 0xff) << 8 |
                              (uint32_t)((x[2] >> (8 * l)) & 0xff) << 16 | (uint32_t)((x[3] >> (8 * l)) & 0xff) << 24;
    }
  }
}

INLINE __m512i word(const uint8_t *bytes, __m512i flip) {
  int32_t w;
  memcpy(&w, bytes, 4);
  return _mm512_xor_si512(_mm512_set1_epi32(w), flip);
}

INLINE void store(int64_t *acc, __m512i sum) {
  _mm512_storeu_si512(acc, _mm512_cvtepi32_epi64(_mm512_castsi512_si256(sum)));
  _mm512_storeu_si512(acc + 8, _mm512_cvtepi32_epi64(_mm512_extracti64x4_epi64(sum, 1)));
}

/* One to eight rows: as many running sums, doubled so that the additions do not wait for one another. Eight rows at a
 * power-of-two stride still fit the ways of a level-1 set; sixteen do not. */
#define STEP 8
INLINE void block(int64_t *acc, const uint8_t *matrix, size_t n, size_t bytes, size_t stride, __m512i flip,
                  const uint8_t *packed) {
  __m512i even[STEP], odd[STEP];
  for (size_t i = 0; i < n; i++) even[i] = odd[i] = _mm512_setzero_si512();
  size_t k = 0;
  for (; k + 8 <= bytes; k += 8) {
    __m512i d0 = _mm512_loadu_si512(packed + k * LANES), d1 = _mm512_loadu_si512(packed + (k + 4) * LANES);
    for (size_t i = 0; i < n; i++) {
      even[i] = _mm512_dpbusd_epi32(even[i], d0, word(matrix + i * stride + k, flip));
      odd[i] = _mm512_dpbusd_epi32(odd[i], d1, word(matrix + i * stride + k + 4, flip));
    }
  }
  for (; k < bytes; k += 4) {
    __m512i d0 = _mm512_loadu_si512(packed + k * LANES);
    for (size_t i = 0; i < n; i++) {
      uint8_t tail[4] = {0, 0, 0, 0};
      memcpy(tail, matrix + i * stride + k, bytes - k < 4 ? bytes - k : 4);
      even[i] = _mm512_dpbusd_epi32(even[i], d0, word(tail, flip));
    }
  }
  for (size_t i = 0; i < n; i++) store(acc + i * LANES, _mm512_add_epi32(even[i], odd[i]));
}

static void rows(int64_t *acc, const uint8_t *matrix, size_t count, size_t bytes, size_t stride, uint32_t flip,
                 const void *packed) {
  __m512i mask = _mm512_set1_epi32((int32_t)flip), none = _mm512_setzero_si512();
  size_t i = 0;
  for (; i + STEP <= count; i += STEP) {
    if (flip)
      block(acc + i * LANES, matrix + i * stride, STEP, bytes, stride, mask, packed);
    else
      block(acc + i * LANES, matrix + i * stride, STEP, bytes, stride, none, packed);
  }
  for (; i < count; i++) block(acc + i * LANES, matrix + i * stride, 1, bytes, stride, mask, packed);
}

const vc_freivalds_kernel vc_freivalds_avx512vnni = {DIGITS, 8, LANES, pack, rows};

#else
typedef int vc_freivalds_avx512vnni_not_built;
#endif
