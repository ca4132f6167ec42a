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

/* cffi: end */

#ifdef __cplusplus
}
#endif
#endif
