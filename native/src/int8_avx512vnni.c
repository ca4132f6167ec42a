/* SPDX-License-Identifier: Apache-2.0 */
/* AVX-512 with VNNI: 16 columns a vector, four products a lane. VPDPBUSD multiplies unsigned by signed bytes, so x is
 * made unsigned by flipping its top bit, which adds 128; the packed bias takes 128 times the weights' sum off. */
#include "cpu.h"
#include "int8.h"

#if defined(VC_X86_64) && defined(VC_HAVE_AVX512VNNI)

#include <immintrin.h>

#include "int8_loop.h"

#define NR 16

/* Unpacking bytes and then words leaves position 16j + 4l + i of a block of 64 with channel 16l + 4j + i, and packing
 * the accumulators again restores the order. */
#define QUAD(n) n, n + 1, n + 2, n + 3
#define ORDER(j) QUAD(4 * j), QUAD(16 + 4 * j), QUAD(32 + 4 * j), QUAD(48 + 4 * j)

static const vc_layout LAYOUT = {.nr = NR, .kr = 4, .element = 1, .x_offset = 128, .interleave_add = 16,
                                 .dw_block = 64, .dw_group = 4, .dw_element = 1, .dw_x_offset = 128,
                                 .dw_order = {ORDER(0), ORDER(1), ORDER(2), ORDER(3)}};

typedef struct {
  __m512i even_m, odd_m, even_add, odd_add, shift;
} params;

VC_INLINE params load_params(const uint8_t *p) {
  params r;
  r.even_m = _mm512_load_si512(p + 4 * NR);
  r.odd_m = _mm512_srli_epi64(r.even_m, 32);
  r.shift = _mm512_load_si512(p + 8 * NR);
  r.even_add = _mm512_load_si512(p + 12 * NR);
  r.odd_add = _mm512_load_si512(p + 16 * NR);
  return r;
}

/* The high halves of the even and odd 64-bit lanes, side by side. */
VC_INLINE __m512i high_halves(__m512i even, __m512i odd) {
  return _mm512_mask_shuffle_epi32(odd, 0x5555, even, (_MM_PERM_ENUM)0xF5);
}

VC_INLINE __m512i requant_floor(__m512i x, const params *p) {
  __m512i even = _mm512_add_epi64(_mm512_mul_epi32(x, p->even_m), p->even_add);
  __m512i odd = _mm512_add_epi64(_mm512_mul_epi32(_mm512_srli_epi64(x, 32), p->odd_m), p->odd_add);
  return _mm512_srav_epi32(high_halves(even, odd), p->shift);
}

VC_INLINE __m512i requant_signed(__m512i x, const params *p, __m512i negative) {
  __m512i twice = _mm512_add_epi32(x, x);
  __m512i even = _mm512_add_epi64(_mm512_mul_epi32(twice, p->even_m), p->even_add);
  __m512i odd = _mm512_add_epi64(_mm512_mul_epi32(_mm512_srli_epi64(twice, 32), p->odd_m), p->odd_add);
  __m512i term = _mm512_and_si512(_mm512_srai_epi32(x, 31), negative);
  return _mm512_srav_epi32(_mm512_add_epi32(high_halves(even, odd), term), p->shift);
}

VC_INLINE __m512i requant(__m512i x, const params *p, vc_form form) {
  return form == VC_FORM_FLOOR ? requant_floor(x, p) : requant_signed(x, p, _mm512_set1_epi32(-1));
}

/* What follows a requantisation: the zero point and the clamp. */
typedef struct {
  int32_t zero, low, high;
} range;

/* Store the first n (1 to 16) lanes as bytes. */
VC_INLINE void store16(int8_t *out, __m512i y, size_t n, const range *r) {
  __m128i v = _mm512_cvtsepi32_epi8(_mm512_add_epi32(y, _mm512_set1_epi32(r->zero)));
  v = _mm_min_epi8(_mm_max_epi8(v, _mm_set1_epi8((char)r->low)), _mm_set1_epi8((char)r->high));
  if (n >= 16)
    _mm_storeu_si128((__m128i *)(void *)out, v);
  else
    _mm_mask_storeu_epi8(out, (__mmask16)((1u << n) - 1), v);
}

/* acc += the products of unsigned x and signed w, four a lane. Compilers that keep the accumulators of a loop in place
 * only when told to are told. */
VC_INLINE __m512i dot4(__m512i acc, __m512i x, __m512i w) {
#if defined(_MSC_VER)
  return _mm512_dpbusd_epi32(acc, x, w);
#else
  __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(x), "v"(w));
  return acc;
#endif
}

/* 64 lanes as bytes, in the order that packing leaves: four of each vector in turn, four times. */
VC_INLINE __m512i bytes64(const __m512i y[4], const range *r) {
  const __m512i zero = _mm512_set1_epi16((short)r->zero);
  __m512i even = _mm512_adds_epi16(_mm512_packs_epi32(y[0], y[1]), zero);
  __m512i odd = _mm512_adds_epi16(_mm512_packs_epi32(y[2], y[3]), zero);
  __m512i v = _mm512_max_epi8(_mm512_packs_epi16(even, odd), _mm512_set1_epi8((char)r->low));
  return _mm512_min_epi8(v, _mm512_set1_epi8((char)r->high));
}

VC_INLINE __m512i unsigned_dword(const uint8_t *p) {
  int32_t v;
  memcpy(&v, p, 4);
  return _mm512_xor_si512(_mm512_set1_epi32(v), _mm512_set1_epi8(-128));
}

/* Where a tile goes. */
typedef struct {
  uint8_t *out; /* its first element */
  size_t stride; /* elements */
  size_t left;  /* columns from the tile's first one to the last */
  const uint8_t *params;
  const vc_columns *b;
} target;

/* Any tile, from memory: acc[i * np + j]. Edge tiles go this way, to keep one copy of this code. */
static VC_NOINLINE void store_any(const __m512i *acc, int mr, int np, const target *t) {
  const vc_columns *b = t->b;
  const range r = {b->zero, b->low, b->high};
  for (int j = 0; j < np; j++) {
    const size_t first = (size_t)j * NR, n = t->left - first;
    if (b->form == VC_FORM_RAW) {
      const __mmask16 mask = n >= NR ? 0xffff : (__mmask16)((1u << n) - 1);
      int32_t *o = (int32_t *)(void *)t->out + first;
      for (int i = 0; i < mr; i++, o += t->stride) _mm512_mask_storeu_epi32(o, mask, acc[i * np + j]);
      continue;
    }
    const params p = load_params(t->params + (size_t)j * vc_params_bytes(NR));
    int8_t *o = (int8_t *)t->out + first;
    for (int i = 0; i < mr; i++, o += t->stride) store16(o, requant(acc[i * np + j], &p, b->form), n, &r);
  }
}

/* A whole tile, from registers. */
VC_INLINE void store_whole(int mr, int np, __m512i acc[][4], const target *t) {
  if (t->b->form == VC_FORM_RAW) {
    VC_UNROLL for (int i = 0; i < mr; i++) {
      int32_t *o = (int32_t *)(void *)t->out + (size_t)i * t->stride;
      VC_UNROLL for (int j = 0; j < np; j++) _mm512_storeu_si512(o + j * NR, acc[i][j]);
    }
    return;
  }
  VC_UNROLL for (int j = 0; j < np; j++) {
    const params p = load_params(t->params + (size_t)j * vc_params_bytes(NR));
    if (t->b->form == VC_FORM_FLOOR) {
      VC_UNROLL for (int i = 0; i < mr; i++) acc[i][j] = requant_floor(acc[i][j], &p);
    } else {
      VC_UNROLL for (int i = 0; i < mr; i++) acc[i][j] = requant_signed(acc[i][j], &p, _mm512_set1_epi32(-1));
    }
  }
  const range r = {t->b->zero, t->b->low, t->b->high};
  int8_t *o = (int8_t *)t->out;
  if (np == 4) { /* 64 bytes a row */
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    VC_UNROLL for (int i = 0; i < mr; i++)
        _mm512_storeu_si512(o + (size_t)i * t->stride, _mm512_permutexvar_epi32(order, bytes64(acc[i], &r)));
    return;
  }
  VC_UNROLL for (int j = 0; j < np; j++) {
    VC_UNROLL for (int i = 0; i < mr; i++) store16(o + (size_t)i * t->stride + j * NR, acc[i][j], NR, &r);
  }
}

/* Rows of a tile of np panels: as many accumulators as leave registers for the operands. */
#define ROWS(np) ((np) == 4 ? 6 : (np) == 3 ? 8 : 12)

VC_INLINE void tile(int mr, int np, TILE_ARGS) {
  __m512i acc[12][4];
  const uint8_t *w = b->weights + panel * b->panel_bytes, *x[12];
  const size_t panel_bytes = b->panel_bytes;
  VC_UNROLL for (int j = 0; j < np; j++) {
    __m512i bias = _mm512_load_si512(b->params + (panel + (size_t)j) * vc_params_bytes(NR));
    VC_UNROLL for (int i = 0; i < mr; i++) acc[i][j] = bias;
  }
  VC_UNROLL for (int i = 0; i < mr; i++) x[i] = (const uint8_t *)a->rows[row + (size_t)i];
  for (size_t s = a->segments; s > 0; s--) {
    for (size_t g = 0; g < 4 * a->groups; g += 4) {
      __m512i column[4];
      VC_UNROLL for (int j = 0; j < np; j++) column[j] = _mm512_load_si512(w + (size_t)j * panel_bytes);
      VC_UNROLL for (int i = 0; i < mr; i++) {
        __m512i v = unsigned_dword(x[i] + g);
        VC_UNROLL for (int j = 0; j < np; j++) acc[i][j] = dot4(acc[i][j], v, column[j]);
      }
      w += 64;
    }
    VC_UNROLL for (int i = 0; i < mr; i++) x[i] += a->stride;
  }
  const size_t column = panel * NR, element = b->form == VC_FORM_RAW ? 4 : 1;
  const target t = {(uint8_t *)out + (row * out_stride + column) * element, out_stride, b->n - column,
                    b->params + panel * vc_params_bytes(NR), b};
  if (mr == ROWS(np) && t.left >= (size_t)np * NR) {
    store_whole(mr, np, acc, &t);
  } else {
    __m512i flat[24];
    VC_UNROLL for (int i = 0; i < mr; i++) {
      VC_UNROLL for (int j = 0; j < np; j++) flat[i * np + j] = acc[i][j];
    }
    store_any(flat, mr, np, &t);
  }
}

#define CASES_6(np) TILE_CASE(1, np) TILE_CASE(2, np) TILE_CASE(3, np) TILE_CASE(4, np) TILE_CASE(5, np) TILE_CASE(6, np)
#define CASES_8(np) CASES_6(np) TILE_CASE(7, np) TILE_CASE(8, np)
#define CASES_12(np) CASES_8(np) TILE_CASE(9, np) TILE_CASE(10, np) TILE_CASE(11, np) TILE_CASE(12, np)

TILE_STRIP(4, 6, CASES_6(4))
TILE_STRIP(3, 8, CASES_8(3))
TILE_STRIP(2, 12, CASES_12(2))
TILE_STRIP(1, 12, CASES_12(1))

static void gemm(void *out, size_t out_stride, const vc_rows *a, const vc_columns *b) {
  size_t panels = (b->n + NR - 1) / NR, panel = 0;
  for (; panels - panel >= 4; panel += 4) strip_4(out, out_stride, a, b, panel);
  if (panels - panel == 3) strip_3(out, out_stride, a, b, panel);
  if (panels - panel == 2) strip_2(out, out_stride, a, b, panel);
  if (panels - panel == 1) strip_1(out, out_stride, a, b, panel);
}

/* One block of 64 channels, bytes that may lie past the run's end included: they are readable and not stored. */
VC_INLINE void depthwise_block(void *out, size_t at, size_t n, const int8_t *const *taps, const uint8_t *w,
                               const vc_depthwise *op) {
  const uint8_t *p = w + op->n_groups * 256;
  const __m512i flip = _mm512_set1_epi8(-128);
  __m512i acc[4];
  VC_UNROLL for (int j = 0; j < 4; j++) acc[j] = _mm512_load_si512(p + (size_t)j * vc_params_bytes(NR));
  for (size_t g = 0; g < op->n_groups; g++, taps += 4, w += 256) {
    __m512i t[4], u[4];
    VC_UNROLL for (int k = 0; k < 4; k++) t[k] = _mm512_xor_si512(_mm512_loadu_si512(taps[k] + at), flip);
    u[0] = _mm512_unpacklo_epi8(t[0], t[1]);
    u[1] = _mm512_unpackhi_epi8(t[0], t[1]);
    u[2] = _mm512_unpacklo_epi8(t[2], t[3]);
    u[3] = _mm512_unpackhi_epi8(t[2], t[3]);
    t[0] = _mm512_unpacklo_epi16(u[0], u[2]);
    t[1] = _mm512_unpackhi_epi16(u[0], u[2]);
    t[2] = _mm512_unpacklo_epi16(u[1], u[3]);
    t[3] = _mm512_unpackhi_epi16(u[1], u[3]);
    VC_UNROLL for (int j = 0; j < 4; j++)
        acc[j] = _mm512_dpbusd_epi32(acc[j], t[j], _mm512_load_si512(w + (size_t)j * 64));
  }
  if (op->form == VC_FORM_RAW) { /* back to channel order: 16l + 4j + i from lane 4l + i of vector j */
    int32_t *o = (int32_t *)out + at;
    VC_UNROLL for (size_t j = 0; j < 4; j++) {
      int32_t lanes[16];
      _mm512_storeu_si512(lanes, acc[j]);
      for (size_t k = 0; k < 16; k++) {
        size_t channel = 16 * (k / 4) + 4 * j + k % 4;
        if (channel < n) o[channel] = lanes[k];
      }
    }
    return;
  }
  VC_UNROLL for (int j = 0; j < 4; j++) {
    params q = load_params(p + (size_t)j * vc_params_bytes(NR));
    acc[j] = requant(acc[j], &q, op->form);
  }
  const range r = {op->zero, op->low, op->high};
  __m512i v = bytes64(acc, &r);
  if (n >= 64)
    _mm512_storeu_si512((int8_t *)out + at, v);
  else
    _mm512_mask_storeu_epi8((int8_t *)out + at, ((__mmask64)1 << n) - 1, v);
}

static void depthwise(void *out, const vc_depthwise *op) {
  size_t block = 0;
  for (size_t at = 0; at < op->count; at += 64) {
    depthwise_block(out, at, op->count - at, op->taps, op->weights + block * op->block_bytes, op);
    block = block + 1 == op->period ? 0 : block + 1;
  }
}

static params scalar_params(int32_t multiplier, vc_normal normal) {
  params p = {_mm512_set1_epi32(multiplier), _mm512_set1_epi32(multiplier), _mm512_set1_epi64(normal.add),
              _mm512_set1_epi64(normal.add), _mm512_set1_epi32(normal.shift)};
  return p;
}

static void add_any(int8_t *out, const int8_t *a, const int8_t *b, size_t n, const vc_add *op) {
  params p[3];
  __m512i negative[3];
  for (int k = 0; k < 3; k++) {
    p[k] = scalar_params(op->multiplier[k], op->normal[k]);
    negative[k] = _mm512_set1_epi32(op->normal[k].negative);
  }
  const __m512i zero_a = _mm512_set1_epi32(op->zero_a), zero_b = _mm512_set1_epi32(op->zero_b);
  const range r = {op->zero, op->low, op->high};
  for (size_t i = 0; i < n; i += 16) {
    __mmask16 mask = n - i >= 16 ? 0xffff : (__mmask16)((1u << (n - i)) - 1);
    __m512i x = _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(mask, a + i));
    __m512i y = _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(mask, b + i));
    x = requant_signed(_mm512_slli_epi32(_mm512_sub_epi32(x, zero_a), 20), &p[0], negative[0]);
    y = requant_signed(_mm512_slli_epi32(_mm512_sub_epi32(y, zero_b), 20), &p[1], negative[1]);
    store16(out + i, requant_signed(_mm512_add_epi32(x, y), &p[2], negative[2]), n - i, &r);
  }
}

/* The signed form of d * 2^20, |d| < 256, in products of 16 bits: with the multiplier h 2^16 + l and the addend c 2^21,
 * (2 d 2^20 (h 2^16 + l) + c 2^21) >> 32 = d h 2^5 + ((d l + c) >> 11). */
typedef struct {
  __m512i zero, high, low, add, negative;
  __m128i shift;
} operand;

static operand operand_of(int32_t zero, int32_t multiplier, vc_normal normal) {
  const int32_t high = (multiplier + 0x8000) >> 16, low = multiplier - high * 0x10000;
  operand o = {_mm512_set1_epi32(zero), _mm512_set1_epi32(high), _mm512_set1_epi32(low & 0xffff),
               _mm512_set1_epi32((int32_t)(normal.add >> 21)), _mm512_set1_epi32(normal.negative),
               _mm_cvtsi32_si128(normal.shift)};
  return o;
}

/* Whether an operand's requantisation fits that form. */
static int is_small(int32_t multiplier, vc_normal normal) { return multiplier < 0x7fff8000 && normal.shift <= 16; }

VC_INLINE __m512i difference(const int8_t *x, __m512i zero) {
  return _mm512_sub_epi32(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)x)), zero);
}

VC_INLINE __m512i scaled(__m512i d, const operand *o) {
  const __m512i low = _mm512_srai_epi32(_mm512_add_epi32(_mm512_madd_epi16(d, o->low), o->add), 11);
  const __m512i t = _mm512_add_epi32(_mm512_slli_epi32(_mm512_madd_epi16(d, o->high), 5), low);
  return _mm512_sra_epi32(_mm512_add_epi32(t, _mm512_and_si512(_mm512_srai_epi32(d, 31), o->negative)), o->shift);
}

/* 64 sums at a time; `halved`: the first operand's factor is one half, so that its result is d * 2^19. */
VC_INLINE size_t add_blocks(int halved, int8_t *out, const int8_t *a, const int8_t *b, size_t n, const operand *x,
                            const operand *y, const vc_add *op) {
  const params p = scalar_params(op->multiplier[2], op->normal[2]);
  const __m512i negative = _mm512_set1_epi32(op->normal[2].negative);
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const range r = {op->zero, op->low, op->high};
  size_t i = 0;
  for (; i + 64 <= n; i += 64) {
    __m512i sum[4];
    VC_UNROLL for (int k = 0; k < 4; k++) {
      const __m512i d = difference(a + i + 16 * k, x->zero), e = difference(b + i + 16 * k, y->zero);
      sum[k] = _mm512_add_epi32(halved ? _mm512_slli_epi32(d, 19) : scaled(d, x), scaled(e, y));
      sum[k] = requant_signed(sum[k], &p, negative);
    }
    _mm512_storeu_si512(out + i, _mm512_permutexvar_epi32(order, bytes64(sum, &r)));
  }
  return i;
}

/* TensorFlow Lite scales both operands by twice the larger scale, so that one factor is one half. */
static int is_half(int32_t multiplier, vc_normal normal) { return multiplier == 1 << 30 && normal.shift == 0; }

static void add(int8_t *out, const int8_t *a, const int8_t *b, size_t n, const vc_add *op) {
  size_t done = 0;
  if (is_small(op->multiplier[0], op->normal[0]) && is_small(op->multiplier[1], op->normal[1])) {
    const operand x = operand_of(op->zero_a, op->multiplier[0], op->normal[0]);
    const operand y = operand_of(op->zero_b, op->multiplier[1], op->normal[1]);
    if (is_half(op->multiplier[0], op->normal[0]))
      done = add_blocks(1, out, a, b, n, &x, &y, op);
    else if (is_half(op->multiplier[1], op->normal[1]))
      done = add_blocks(1, out, b, a, n, &y, &x, op);
    else
      done = add_blocks(0, out, a, b, n, &x, &y, op);
  }
  if (done < n) add_any(out + done, a + done, b + done, n - done, op);
}

static void lookup(int8_t *out, const uint8_t *x, size_t n, const int8_t *table) { vc_int8_portable.lookup(out, x, n, table); }

/* A lane of 32 bits takes four columns of one row, then four rows of one column; the biases lose 128 times the sums. */
static void pack(uint8_t *out, int32_t *bias, const int8_t *b, size_t stride, size_t quads) {
  const __m512i gather = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __m512i turn = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
  __m512i sums = _mm512_setzero_si512();
  for (const uint8_t *end = out + quads * 64; out != end; out += 64, b += 4 * stride) {
    __m512i v = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)(const void *)b));
    v = _mm512_inserti32x4(v, _mm_loadu_si128((const __m128i *)(const void *)(b + stride)), 1);
    v = _mm512_inserti32x4(v, _mm_loadu_si128((const __m128i *)(const void *)(b + 2 * stride)), 2);
    v = _mm512_inserti32x4(v, _mm_loadu_si128((const __m128i *)(const void *)(b + 3 * stride)), 3);
    v = _mm512_shuffle_epi8(_mm512_permutexvar_epi32(gather, v), turn);
    _mm512_storeu_si512(out, v);
    sums = _mm512_dpbusd_epi32(sums, _mm512_set1_epi8(-128), v);
  }
  _mm512_storeu_si512(bias, _mm512_sub_epi32(_mm512_loadu_si512(bias), sums));
}

/* Sixteen chains of VPDPBUSD, 64 products each a round: more than the instruction's latency needs. */
static uint64_t peak(uint64_t rounds) {
  __m512i acc[16], x = _mm512_set1_epi8(3), w = _mm512_set1_epi8(5);
  VC_UNROLL for (int i = 0; i < 16; i++) acc[i] = _mm512_set1_epi32(i);
  for (uint64_t r = 0; r < rounds; r++) {
    VC_UNROLL for (int i = 0; i < 16; i++) acc[i] = dot4(acc[i], x, w);
  }
  VC_UNROLL for (int i = 1; i < 16; i++) acc[0] = _mm512_add_epi32(acc[0], acc[i]);
  volatile int32_t used = _mm_cvtsi128_si32(_mm512_castsi512_si128(acc[0]));
  (void)used;
  return rounds * 16 * 64;
}

const vc_int8_kernels vc_int8_avx512vnni = {"avx512vnni", VC_NEEDS_AVX512VNNI, &LAYOUT, gemm, depthwise, add, lookup, NULL, peak, pack};

#else
typedef int vc_int8_avx512vnni_is_absent; /* a translation unit is not empty */
#endif
