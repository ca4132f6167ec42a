/* SPDX-License-Identifier: Apache-2.0 */
/* WebAssembly SIMD: 4 columns a vector. There is no shift by lanes, so the scalar unit shifts. */
#include "cpu.h"
#include "int8.h"

#if defined(VC_WASM) && defined(VC_HAVE_SIMD128)

#include <wasm_simd128.h>

#define ISA_NAME "simd128"
#define ISA_NEEDS VC_CPU_SIMD128
#define ISA_TABLE vc_int8_simd128
#define ISA_INTERLEAVE 0

typedef v128_t vec;

VC_INLINE vec v_load(const void *p) { return wasm_v128_load(p); }
VC_INLINE void v_store(void *p, vec v) { wasm_v128_store(p, v); }
VC_INLINE vec v_load8(const int8_t *p) { return wasm_i16x8_load8x8(p); }
VC_INLINE vec v_splat8(int32_t x) { return wasm_i8x16_splat((int8_t)x); }
VC_INLINE vec v_splat16(int32_t x) { return wasm_i16x8_splat((int16_t)x); }
VC_INLINE vec v_splat32(int32_t x) { return wasm_i32x4_splat(x); }
VC_INLINE vec v_add32(vec a, vec b) { return wasm_i32x4_add(a, b); }
VC_INLINE vec v_sub16(vec a, vec b) { return wasm_i16x8_sub(a, b); }
VC_INLINE vec v_and(vec a, vec b) { return wasm_v128_and(a, b); }
VC_INLINE vec v_sra31(vec a) { return wasm_i32x4_shr(a, 31); }
VC_INLINE vec v_shl4(vec a) { return wasm_i32x4_shl(a, 4); }
VC_INLINE vec v_madd16(vec a, vec b) { return wasm_i32x4_dot_i16x8(a, b); }
VC_INLINE vec v_unpack_lo16(vec a, vec b) { return wasm_i16x8_shuffle(a, b, 0, 8, 1, 9, 2, 10, 3, 11); }
VC_INLINE vec v_unpack_hi16(vec a, vec b) { return wasm_i16x8_shuffle(a, b, 4, 12, 5, 13, 6, 14, 7, 15); }
VC_INLINE vec v_pack32(vec a, vec b) { return wasm_i16x8_narrow_i32x4(a, b); }
VC_INLINE vec v_pack16(vec a, vec b) { return wasm_i8x16_narrow_i16x8(a, b); }
VC_INLINE vec v_adds16(vec a, vec b) { return wasm_i16x8_add_sat(a, b); }
VC_INLINE vec v_min8(vec a, vec b) { return wasm_i8x16_min(a, b); }
VC_INLINE vec v_max8(vec a, vec b) { return wasm_i8x16_max(a, b); }

typedef struct {
  v128_t m, add_low, add_high;
  int32_t count[4];
} params;

VC_INLINE params load_params(const uint8_t *p, int half) {
  params r = {v_load(p + 32 + 16 * half), v_load(p + 96 + 32 * half), v_load(p + 112 + 32 * half), {0, 0, 0, 0}};
  memcpy(r.count, p + 64 + 16 * half, sizeof r.count);
  return r;
}

VC_INLINE params scalar_params(int32_t multiplier, vc_normal n) {
  params r = {wasm_i32x4_splat(multiplier), wasm_i64x2_splat(n.add), wasm_i64x2_splat(n.add),
              {n.shift, n.shift, n.shift, n.shift}};
  return r;
}

VC_INLINE vec v_high(vec x, const params *p) {
  vec low = wasm_i64x2_add(wasm_i64x2_extmul_low_i32x4(x, p->m), p->add_low);
  vec high = wasm_i64x2_add(wasm_i64x2_extmul_high_i32x4(x, p->m), p->add_high);
  return wasm_i32x4_shuffle(low, high, 1, 3, 5, 7);
}

VC_INLINE vec v_shift(vec y, const params *p) {
  const int32_t *n = p->count;
  return wasm_i32x4_make(wasm_i32x4_extract_lane(y, 0) >> n[0], wasm_i32x4_extract_lane(y, 1) >> n[1],
                         wasm_i32x4_extract_lane(y, 2) >> n[2], wasm_i32x4_extract_lane(y, 3) >> n[3]);
}

#include "int8_128.h"

#else
typedef int vc_int8_simd128_is_absent; /* a translation unit is not empty */
#endif
