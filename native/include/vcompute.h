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

/* cffi: end */

#ifdef __cplusplus
}
#endif
#endif
