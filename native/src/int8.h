/* SPDX-License-Identifier: Apache-2.0 */
/* The int8 micro-kernels: one table for each instruction set, all with these signatures and the same results. */
#ifndef VC_INT8_H
#define VC_INT8_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "requant.h"

#if defined(_MSC_VER)
#define VC_INLINE static __forceinline
#define VC_NOINLINE __declspec(noinline)
#define VC_UNROLL
#elif defined(__clang__)
#define VC_NOINLINE __attribute__((noinline))
#define VC_INLINE static inline __attribute__((always_inline))
#define VC_UNROLL _Pragma("unroll")
#else
#define VC_NOINLINE __attribute__((noinline))
#define VC_INLINE static inline __attribute__((always_inline))
#define VC_UNROLL _Pragma("GCC unroll 16")
#endif

#define VC_ALIGN 64        /* of arenas and packed constants */
#define VC_MAX_NR 16       /* widest panel */
#define VC_MAX_DW_BLOCK 64 /* widest depthwise block */
#define VC_ROWS 64         /* rows of one gemm call at most: how many row pointers a caller keeps */
#define VC_OVERREAD 64     /* bytes that kernels may read past the end of an operand */

static inline size_t vc_round_up(size_t n, size_t multiple) { return (n + multiple - 1) / multiple * multiple; }

/* How a kernel wants constant operands packed (pack.c). A panel is `nr` columns; within it, for each group of `kr`
 * consecutive k: nr x kr elements of `element` bytes. Depthwise blocks are `dw_block` channels, a multiple of nr; for
 * each group of `dw_group` taps: dw_block x dw_group elements, position p holding channel dw_order(p). */
typedef struct {
  uint8_t nr, kr, element;
  uint8_t x_offset;  /* 128 where the kernel adds 128 to x to make it unsigned: the bias takes it off again */
  uint8_t folded;    /* Winograd's inner product: the bias carries the columns' cross terms (vc_fold) */
  uint8_t interleave_add; /* the 64-bit addends of a vector's even lanes first, then the odd ones'; lanes a vector */
  uint8_t dw_block, dw_group, dw_element, dw_x_offset;
  uint8_t dw_order[VC_MAX_DW_BLOCK];
} vc_layout;

/* Parameters of one panel, nr entries each: int32 bias, multiplier, shift, then int64 add. */
static inline size_t vc_params_bytes(size_t nr) { return nr * 20; }

/* Constant columns of a product, packed. */
typedef struct {
  const uint8_t *weights; /* panels of `panel_bytes` */
  const uint8_t *params;  /* panels of vc_params_bytes(nr) */
  size_t panel_bytes;
  size_t n;     /* columns */
  vc_form form; /* RAW: int32 output; FLOOR, SIGNED: int8 output, zero added, within low..high */
  int32_t zero, low, high;
} vc_columns;

/* Left-hand rows of int8: row i is `segments` pieces of `groups` k-groups, from rows[i] on, `stride` bytes apart. Where the
 * table has `arrange`, its gemm reads only rows that went through that. */
typedef struct {
  const void **rows;
  size_t m; /* at most VC_ROWS */
  size_t segments, stride, groups;
} vc_rows;

/* Bytes that `arrange` needs for rows of n elements, all k-groups counted. */
static inline size_t vc_row_scratch(const vc_layout *layout, size_t n) {
  return layout->element == 1 ? 0 : vc_round_up((VC_ROWS + 4) * (2 * vc_round_up(n, 16) + 64) + VC_OVERREAD, VC_ALIGN);
}

/* `arrange` of kernels that read rows of 16 bits one after the other. */
static inline void vc_widen_rows(vc_rows *a, size_t kr, uint8_t *scratch, void (*widen)(int16_t *, const int8_t *, size_t)) {
  const size_t n = a->groups * kr, row_bytes = vc_round_up(2 * n * a->segments, 16);
  for (size_t i = 0; i < a->m; i++) {
    int16_t *row = (int16_t *)(void *)(scratch + i * row_bytes);
    for (size_t s = 0; s < a->segments; s++) widen(row + s * n, (const int8_t *)a->rows[i] + s * a->stride, n);
    a->rows[i] = row;
  }
  a->groups *= a->segments;
  a->segments = 1;
}

/* A run of depthwise outputs: for i < count, output i from taps[t][i], t < n_taps, channel (i mod period_channels). The
 * packed weights repeat after `period` blocks. */
typedef struct {
  const int8_t *const *taps; /* n_taps rounded up to a multiple of dw_group; the extra ones are readable, weigh 0 */
  size_t n_groups;
  size_t count;
  size_t period;
  const uint8_t *weights; /* block b of `block_bytes`, followed by its parameters */
  size_t block_bytes;
  vc_form form;
  int32_t zero, low, high;
} vc_depthwise;

/* y = requant(requant(a << 20) + requant(b << 20)) with operands less their zero points; forms are SIGNED. */
typedef struct {
  int32_t zero_a, zero_b, zero, low, high;
  int32_t multiplier[3];
  vc_normal normal[3];
} vc_add;

typedef struct {
  const char *name;
  uint32_t needs; /* features, all of them */
  const vc_layout *layout;
  void (*gemm)(void *out, size_t out_stride, const vc_rows *a, const vc_columns *b);
  void (*depthwise)(void *out, const vc_depthwise *op); /* int8, or int32 for VC_FORM_RAW */
  void (*add)(int8_t *out, const int8_t *a, const int8_t *b, size_t n, const vc_add *op);
  void (*lookup)(int8_t *out, const uint8_t *x, size_t n, const int8_t *table); /* table of 256 */
  /* Turn rows of int8 into what gemm reads, in vc_row_scratch bytes; NULL: gemm reads them as they are. */
  void (*arrange)(vc_rows *a, uint8_t *scratch);
  uint64_t (*peak)(uint64_t rounds); /* products in registers alone, for benchmarks: how many were done; or NULL */
  /* Pack a panel of a raw product's columns: nr columns of 4 `quads` rows of b, `stride` bytes apart, and take off their
   * biases what the layout folds into them. NULL: the general way (pack.c). */
  void (*pack)(uint8_t *out, int32_t *bias, const int8_t *b, size_t stride, size_t quads);
} vc_int8_kernels;

extern const vc_int8_kernels vc_int8_portable;
#if defined(VC_HAVE_SSE41)
extern const vc_int8_kernels vc_int8_sse41;
#endif
#if defined(VC_HAVE_AVX2)
extern const vc_int8_kernels vc_int8_avx2;
#endif
#if defined(VC_HAVE_AVXVNNI)
extern const vc_int8_kernels vc_int8_avxvnni;
#endif
#if defined(VC_HAVE_AVX512VNNI)
extern const vc_int8_kernels vc_int8_avx512vnni;
#endif
#if defined(VC_HAVE_NEON)
extern const vc_int8_kernels vc_int8_neon;
#endif
#if defined(VC_HAVE_DOTPROD)
extern const vc_int8_kernels vc_int8_dotprod;
#endif
#if defined(VC_HAVE_I8MM)
extern const vc_int8_kernels vc_int8_i8mm;
#endif
#if defined(VC_HAVE_SIMD128)
extern const vc_int8_kernels vc_int8_simd128;
#endif

/* The best table for the features in use. */
const vc_int8_kernels *vc_int8(void);

/* Every table of this build, best first, whether or not the processor has its features: index from 0, else NULL. */
const vc_int8_kernels *vc_int8_table(size_t index);

#endif
