/* SPDX-License-Identifier: Apache-2.0 */
/* What this processor can do, and what it may use.
 *
 * `vc_cpu_features()` is the set of features that are detected (cpuid and xgetbv, getauxval, sysctl) and allowed by the
 * environment variable VCOMPUTE_ISA, read once in a process: unset allows all; otherwise a comma-separated list of
 * the names below, where "portable" names none of them. A kernel names every feature it needs (VC_NEEDS_*), so any
 * subset is a legal choice; the results never depend on it.
 */
#ifndef VC_CPU_H
#define VC_CPU_H

#include <stdint.h>

#if defined(__x86_64__) || defined(_M_X64)
#define VC_X86_64 1
#elif defined(__aarch64__) || defined(_M_ARM64)
#define VC_AARCH64 1
#elif defined(__wasm__)
#define VC_WASM 1
#endif

/* X(bit, NAME, "name"): one row a feature. Bits are private to a build; names are public. */
#define VC_CPU_FEATURES(X)             \
  X(0, SSE41, "sse41")                 \
  X(1, AVX2, "avx2")                   \
  X(2, AVXVNNI, "avxvnni")             \
  X(3, AVX512, "avx512")               \
  X(4, AVX512VNNI, "avx512vnni")       \
  X(5, AVX512VBMI, "avx512vbmi")       \
  X(6, AVX512IFMA, "avx512ifma")       \
  X(7, BMI2, "bmi2")                   \
  X(8, SHANI, "shani")                 \
  X(16, NEON, "neon")                  \
  X(17, DOTPROD, "dotprod")            \
  X(18, I8MM, "i8mm")                  \
  X(19, ARMSHA2, "armsha2")            \
  X(24, SIMD128, "simd128")

enum {
#define VC_CPU_ENUM(bit, name, text) VC_CPU_##name = (int)(1u << (bit)),
  VC_CPU_FEATURES(VC_CPU_ENUM)
#undef VC_CPU_ENUM
};

/* AVX512 stands for F, BW, DQ and VL together; SSE41 includes SSSE3. */
#define VC_NEEDS_AVX512VNNI ((uint32_t)(VC_CPU_AVX512 | VC_CPU_AVX512VNNI))

/* The features that are there and allowed: what a dispatcher selects by. */
uint32_t vc_cpu_features(void);

/* Whether every feature in `needed` may be used. */
static inline int vc_cpu_has(uint32_t needed) { return (vc_cpu_features() & needed) == needed; }

#endif
