/* SPDX-License-Identifier: Apache-2.0 */
/* SSE4.1: 4 columns a vector. There is no shift by lanes: each lane's count is applied to all and the lane kept. */
#include "cpu.h"
#include "int8.h"

#if defined(VC_X86_64) && defined(VC_HAVE_SSE41)

#include <smmintrin.h>

#define ISA_NAME "sse41"
#define ISA_NEEDS VC_CPU_SSE41
#define ISA_TABLE vc_int8_sse41
#define ISA_INTERLEAVE 4

typedef __m128i vec;

VC_INLINE vec v_load(const void *p) { return _mm_loadu_si128((const __m128i *)p); }
VC_INLINE void v_store(void *p, vec v) { _mm_storeu_si128((__m128i *)p, v); }
VC_INLINE vec v_load8(const int8_t *p) { return _mm_cvtepi8_epi16(_mm_loadl_epi64((const __m128i *)(const void *)p)); }
VC_INLINE vec v_splat8(int32_t x) { return _mm_set1_epi8((char)x); }
VC_INLINE vec v_splat16(int32_t x) { return _mm_set1_epi16((short)x); }
VC_INLINE vec v_splat32(int32_t x) { return _mm_set1_epi32(x); }
VC_INLINE vec v_add32(vec a, vec b) { return _mm_add_epi32(a, b); }
VC_INLINE vec v_sub16(vec a, vec b) { return _mm_sub_epi16(a, b); }
VC_INLINE vec v_and(vec a, vec b) { return _mm_and_si128(a, b); }
VC_INLINE vec v_sra31(vec a) { return _mm_srai_epi32(a, 31); }
VC_INLINE vec v_shl4(vec a) { return _mm_slli_epi32(a, 4); }
VC_INLINE vec v_madd16(vec a, vec b) { return _mm_madd_epi16(a, b); }
VC_INLINE vec v_unpack_lo16(vec a, vec b) { return _mm_unpacklo_epi16(a, b); }
VC_INLINE vec v_unpack_hi16(vec a, vec b) { return _mm_unpackhi_epi16(a, b); }
VC_INLINE vec v_pack32(vec a, vec b) { return _mm_packs_epi32(a, b); }
VC_INLINE vec v_pack16(vec a, vec b) { return _mm_packs_epi16(a, b); }
VC_INLINE vec v_adds16(vec a, vec b) { return _mm_adds_epi16(a, b); }
VC_INLINE vec v_min8(vec a, vec b) { return _mm_min_epi8(a, b); }
VC_INLINE vec v_max8(vec a, vec b) { return _mm_max_epi8(a, b); }

typedef struct {
  __m128i even_m, odd_m, even_add, odd_add, count[4];
} params;

VC_INLINE params make_params(vec m, vec even_add, vec odd_add, const int32_t shift[4]) {
  params p = {m, _mm_srli_epi64(m, 32), even_add, odd_add,
              {_mm_cvtsi32_si128(shift[0]), _mm_cvtsi32_si128(shift[1]), _mm_cvtsi32_si128(shift[2]),
               _mm_cvtsi32_si128(shift[3])}};
  return p;
}

VC_INLINE params load_params(const uint8_t *p, int half) {
  int32_t shift[4];
  memcpy(shift, p + 64 + 16 * half, sizeof shift);
  return make_params(v_load(p + 32 + 16 * half), v_load(p + 96 + 32 * half), v_load(p + 112 + 32 * half), shift);
}

VC_INLINE params scalar_params(int32_t multiplier, vc_normal n) {
  const int32_t shift[4] = {n.shift, n.shift, n.shift, n.shift};
  return make_params(_mm_set1_epi32(multiplier), _mm_set1_epi64x(n.add), _mm_set1_epi64x(n.add), shift);
}

VC_INLINE vec v_high(vec x, const params *p) {
  vec even = _mm_add_epi64(_mm_mul_epi32(x, p->even_m), p->even_add);
  vec odd = _mm_add_epi64(_mm_mul_epi32(_mm_srli_epi64(x, 32), p->odd_m), p->odd_add);
  return _mm_blend_epi16(_mm_srli_epi64(even, 32), odd, 0xcc);
}

VC_INLINE vec v_shift(vec y, const params *p) {
  vec even = _mm_blend_epi16(_mm_sra_epi32(y, p->count[0]), _mm_sra_epi32(y, p->count[1]), 0x0c);
  vec odd = _mm_blend_epi16(_mm_sra_epi32(y, p->count[2]), _mm_sra_epi32(y, p->count[3]), 0xc0);
  return _mm_blend_epi16(even, odd, 0xf0);
}

#include "int8_128.h"

#else
typedef int vc_int8_sse41_is_absent; /* a translation unit is not empty */
#endif
