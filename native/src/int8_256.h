/* SPDX-License-Identifier: Apache-2.0 */
/* What AVX2 and AVX-VNNI share: panels of 16 columns in two vectors, requantised and stored; depthwise and elementwise kernels. */
#ifndef VC_INT8_256_H
#define VC_INT8_256_H

#include <immintrin.h>

#include "int8_loop.h"

#define NR 16

/* Unpacking words leaves positions 0-7 of a depthwise block of 16 with channels 0-3 and 8-11; packing restores them. */
#define DEPTHWISE_LAYOUT                                   \
  .dw_block = 16, .dw_group = 2, .dw_element = 2,          \
  .dw_order = {0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15}

typedef struct {
  __m256i even_m, odd_m, even_add, odd_add, shift;
} params;

VC_INLINE __m256i load(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }

/* The parameters of half (0 or 1) of a panel. */
VC_INLINE params load_params(const uint8_t *p, int half) {
  params r;
  r.even_m = load(p + 4 * NR + 32 * half);
  r.odd_m = _mm256_srli_epi64(r.even_m, 32);
  r.shift = load(p + 8 * NR + 32 * half);
  r.even_add = load(p + 12 * NR + 64 * half);
  r.odd_add = load(p + 12 * NR + 64 * half + 32);
  return r;
}

/* The high halves of the even and odd 64-bit lanes, side by side. */
VC_INLINE __m256i high_halves(__m256i even, __m256i odd) {
  return _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa);
}

VC_INLINE __m256i requant_floor(__m256i x, const params *p) {
  __m256i even = _mm256_add_epi64(_mm256_mul_epi32(x, p->even_m), p->even_add);
  __m256i odd = _mm256_add_epi64(_mm256_mul_epi32(_mm256_srli_epi64(x, 32), p->odd_m), p->odd_add);
  return _mm256_srav_epi32(high_halves(even, odd), p->shift);
}

VC_INLINE __m256i requant_signed(__m256i x, const params *p, __m256i negative) {
  __m256i twice = _mm256_add_epi32(x, x);
  __m256i even = _mm256_add_epi64(_mm256_mul_epi32(twice, p->even_m), p->even_add);
  __m256i odd = _mm256_add_epi64(_mm256_mul_epi32(_mm256_srli_epi64(twice, 32), p->odd_m), p->odd_add);
  __m256i term = _mm256_and_si256(_mm256_srai_epi32(x, 31), negative);
  return _mm256_srav_epi32(_mm256_add_epi32(high_halves(even, odd), term), p->shift);
}

VC_INLINE __m256i requant(__m256i x, const params *p, vc_form form) {
  return form == VC_FORM_FLOOR ? requant_floor(x, p) : requant_signed(x, p, _mm256_set1_epi32(-1));
}

/* Store the first n (1 to 8) bytes. */
VC_INLINE void store8(int8_t *out, __m128i bytes, size_t n) {
  if (n >= 8)
    _mm_storel_epi64((__m128i *)(void *)out, bytes);
  else {
    int64_t v = _mm_cvtsi128_si64(bytes);
    memcpy(out, &v, n);
  }
}

/* What follows a requantisation: the zero point (words, saturating) and the clamp. */
typedef struct {
  __m128i zero, low, high;
} range;

VC_INLINE range range_of(int32_t zero, int32_t low, int32_t high) {
  range r = {_mm_set1_epi16((short)zero), _mm_set1_epi8((char)low), _mm_set1_epi8((char)high)};
  return r;
}

VC_INLINE __m128i bytes_of(__m128i words0, __m128i words1, const range *r) {
  __m128i v = _mm_packs_epi16(_mm_adds_epi16(words0, r->zero), _mm_adds_epi16(words1, r->zero));
  return _mm_min_epi8(_mm_max_epi8(v, r->low), r->high);
}

/* Eight lanes as bytes in the low half. */
VC_INLINE __m128i bytes8(__m256i y, const range *r) {
  __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(y), _mm256_extracti128_si256(y, 1));
  return bytes_of(words, words, r);
}

/* Store mr rows of `halves` vectors of a panel whose parameters are at p; `left` columns exist from it on. */
VC_INLINE void store_tile(int mr, int halves, void *out, size_t stride, size_t left, const uint8_t *p, const vc_columns *b,
                          __m256i acc[][2]) {
  const range r = range_of(b->zero, b->low, b->high);
  VC_UNROLL for (int j = 0; j < halves; j++) {
    const size_t first = (size_t)j * 8, n = left - first;
    if (b->form == VC_FORM_RAW) {
      VC_UNROLL for (int i = 0; i < mr; i++) {
        int32_t *o = (int32_t *)out + (size_t)i * stride + first;
        if (n >= 8) {
          _mm256_storeu_si256((__m256i *)(void *)o, acc[i][j]);
        } else {
          int32_t lanes[8];
          _mm256_storeu_si256((__m256i *)(void *)lanes, acc[i][j]);
          memcpy(o, lanes, n * sizeof *o);
        }
      }
    } else {
      const params q = load_params(p, j);
      VC_UNROLL for (int i = 0; i < mr; i++)
          store8((int8_t *)out + (size_t)i * stride + first, bytes8(requant(acc[i][j], &q, b->form), &r), n);
    }
  }
}

static void depthwise(void *out, const vc_depthwise *op) {
  size_t weight_bytes = vc_round_up(op->n_groups * 64, VC_ALIGN), block = 0;
  const range r = range_of(op->zero, op->low, op->high);
  for (size_t at = 0; at < op->count; at += 16, block = block + 1 == op->period ? 0 : block + 1) {
    const uint8_t *w = op->weights + block * op->block_bytes, *p = w + weight_bytes;
    __m256i acc[2] = {load(p), load(p + 32)};
    for (size_t g = 0; g < op->n_groups; g++, w += 64) {
      __m256i t = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(op->taps[2 * g] + at)));
      __m256i u = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(op->taps[2 * g + 1] + at)));
      acc[0] = _mm256_add_epi32(acc[0], _mm256_madd_epi16(_mm256_unpacklo_epi16(t, u), load(w)));
      acc[1] = _mm256_add_epi32(acc[1], _mm256_madd_epi16(_mm256_unpackhi_epi16(t, u), load(w + 32)));
    }
    const size_t n = op->count - at;
    if (op->form == VC_FORM_RAW) {
      int32_t lanes[16];
      _mm256_storeu_si256((__m256i *)(void *)lanes, _mm256_permute2x128_si256(acc[0], acc[1], 0x20));
      _mm256_storeu_si256((__m256i *)(void *)(lanes + 8), _mm256_permute2x128_si256(acc[0], acc[1], 0x31));
      memcpy((int32_t *)out + at, lanes, (n < 16 ? n : 16) * sizeof(int32_t));
      continue;
    }
    const params q0 = load_params(p, 0), q1 = load_params(p, 1);
    __m256i words = _mm256_packs_epi32(requant(acc[0], &q0, op->form), requant(acc[1], &q1, op->form));
    __m128i v = bytes_of(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1), &r);
    if (n >= 16) {
      _mm_storeu_si128((__m128i *)(void *)((int8_t *)out + at), v);
    } else {
      int8_t bytes[16];
      _mm_storeu_si128((__m128i *)(void *)bytes, v);
      memcpy((int8_t *)out + at, bytes, n);
    }
  }
}

static params scalar_params(int32_t multiplier, vc_normal normal) {
  params p = {_mm256_set1_epi32(multiplier), _mm256_set1_epi32(multiplier), _mm256_set1_epi64x(normal.add),
              _mm256_set1_epi64x(normal.add), _mm256_set1_epi32(normal.shift)};
  return p;
}

static void add(int8_t *out, const int8_t *a, const int8_t *b, size_t n, const vc_add *op) {
  params p[3];
  __m256i negative[3];
  for (int k = 0; k < 3; k++) {
    p[k] = scalar_params(op->multiplier[k], op->normal[k]);
    negative[k] = _mm256_set1_epi32(op->normal[k].negative);
  }
  const __m256i zero_a = _mm256_set1_epi32(op->zero_a), zero_b = _mm256_set1_epi32(op->zero_b);
  const range r = range_of(op->zero, op->low, op->high);
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    __m256i x = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(a + i)));
    __m256i y = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(b + i)));
    x = requant_signed(_mm256_slli_epi32(_mm256_sub_epi32(x, zero_a), 20), &p[0], negative[0]);
    y = requant_signed(_mm256_slli_epi32(_mm256_sub_epi32(y, zero_b), 20), &p[1], negative[1]);
    store8(out + i, bytes8(requant_signed(_mm256_add_epi32(x, y), &p[2], negative[2]), &r), 8);
  }
  if (i < n) vc_int8_portable.add(out + i, a + i, b + i, n - i, op);
}

static void lookup(int8_t *out, const uint8_t *x, size_t n, const int8_t *table) {
  vc_int8_portable.lookup(out, x, n, table);
}

#endif
