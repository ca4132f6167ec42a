/* SPDX-License-Identifier: Apache-2.0 */
/* The native core of vcompute: leaf kernels behind plain C signatures.
 *
 * Conventions: caller-owned memory; out-parameters first; a function that can fail returns 0 or a VC_E* code;
 * no global state but the dispatch table; every function is thread-safe. cffi reads the parts between the
 * markers, so they hold plain declarations only.
 */
#ifndef VCOMPUTE_H
#define VCOMPUTE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* cffi: begin */

/* The version of this C interface: the Python side refuses a core of another version. */
int32_t vc_abi_version(void);

/* The processor's features by index from 0: the name, or NULL past the last one. */
const char *vc_cpu_feature_name(int32_t index);

/* 0: the processor lacks it; 1: it is there but VCOMPUTE_ISA leaves it out; 2: in use. */
int32_t vc_cpu_feature_state(int32_t index);

/* 0 if VCOMPUTE_ISA holds a name that is no feature's. */
int32_t vc_cpu_override_ok(void);

/* Products of a row-major matrix with a vector over F_p^2, p = 2^64 - 2^32 + 1; elements are pairs of canonical words.
 * out (rows pairs) = matrix * vector (cols pairs); transposed: out (cols pairs) = transpose(matrix) * vector (rows pairs).
 * `scratch` has as many words as the function of the same name says. An int32 matrix is little-endian. */
size_t vc_freivalds_scratch_i8(size_t cols);
size_t vc_freivalds_scratch_i32(size_t cols);
size_t vc_freivalds_scratch_i8_transposed(size_t rows);
void vc_freivalds_project_i8(uint64_t *out, const int8_t *matrix, size_t rows, size_t cols, const uint64_t *vector,
                             uint64_t *scratch);
void vc_freivalds_project_i32(uint64_t *out, const int32_t *matrix, size_t rows, size_t cols, const uint64_t *vector,
                              uint64_t *scratch);
void vc_freivalds_project_i8_transposed(uint64_t *out, const int8_t *matrix, size_t rows, size_t cols,
                                        const uint64_t *vector, uint64_t *scratch);

/* Arithmetic over F_p and F_p^2 = F_p[x]/(x^2 - 7), p = 2^64 - 2^32 + 1. Words are canonical (below p), extension elements
 * pairs of words; n counts elements. `out` may be an input where both start at the same word. The readable twin is
 * vcompute/field/portable.py. */
void vc_gl_add_n(uint64_t *out, const uint64_t *a, const uint64_t *b, size_t n);
void vc_gl_sub_n(uint64_t *out, const uint64_t *a, const uint64_t *b, size_t n);
void vc_gl_mul_n(uint64_t *out, const uint64_t *a, const uint64_t *b, size_t n);
void vc_gl_inverse_n(uint64_t *out, const uint64_t *a, size_t n); /* out is not a; 0 gives 0 */
void vc_ext_mul_n(uint64_t *out, const uint64_t *a, const uint64_t *b, size_t n);
void vc_ext_mul_base_n(uint64_t *out, const uint64_t *a, const uint64_t *b, size_t n);
void vc_ext_scale_n(uint64_t *out, const uint64_t *a, const uint64_t *r, size_t n);
void vc_ext_inverse_n(uint64_t *out, const uint64_t *a, size_t n, uint64_t *scratch); /* 2 n words of scratch */
void vc_ext_dot_base(uint64_t *sum, const uint64_t *a, const uint64_t *b, size_t n);
void vc_ext_dot(uint64_t *sum, const uint64_t *a, const uint64_t *b, size_t n);

/* Multilinear tables: bind variable 0 (the halves low and high of n elements) to r; the sums of f0 w0 and of
 * (f1 - f0) (w1 - w0) over n elements; scale * eq(point, .), 2^variables elements. */
void vc_fold_base(uint64_t *out, const uint64_t *low, const uint64_t *high, const uint64_t *r, size_t n);
void vc_fold_ext(uint64_t *out, const uint64_t *low, const uint64_t *high, const uint64_t *r, size_t n);
void vc_round_base(uint64_t *sums, const uint64_t *f0, const uint64_t *f1, const uint64_t *w0, const uint64_t *w1,
                   size_t n);
void vc_round_ext(uint64_t *sums, const uint64_t *f0, const uint64_t *f1, const uint64_t *w0, const uint64_t *w1,
                  size_t n);
void vc_eq_tensor(uint64_t *out, const uint64_t *point, size_t variables, const uint64_t *scale);

/* Reed-Solomon code of `count` lanes of 2^log_lane elements of `words` (1 or 2) words each, one lane after another:
 * out has 2^(log_lane + rate_bits) rows of count * words words, in bit-reversed order of the domain's points. */
size_t vc_rs_scratch(uint32_t log_lane, uint32_t rate_bits);
void vc_rs_encode(uint64_t *out, const uint64_t *lanes, size_t count, uint32_t log_lane, uint32_t words,
                  uint32_t rate_bits, uint64_t *scratch);

/* table[b] += the sum of scales[i] * x_i^b, b < 2^log_table, x_i the point at positions[i] (sorted, distinct) of the
 * domain of size 2^log_domain; log_domain >= log_table. */
size_t vc_add_powers_scratch(uint32_t log_table, uint32_t log_domain);
void vc_add_powers(uint64_t *table, uint32_t log_table, uint32_t log_domain, const uint64_t *positions,
                   const uint64_t *scales, size_t count, uint64_t *scratch);

/* SHA-256 truncated to 27 bytes: of each row of `width` words; of the byte 1 and two digests. */
void vc_hash_rows(uint8_t *out, const uint64_t *rows, size_t count, size_t width);
void vc_hash_pairs(uint8_t *out, const uint8_t *nodes, size_t pairs);

/* The least nonce for which SHA-256(seed (32 bytes), nonce as 8 bytes, little-endian) begins with `bits` <= 64 zeros. */
uint64_t vc_grind(const uint8_t *seed, uint32_t bits);

/* cffi: end */

#ifdef __cplusplus
}
#endif
#endif
