/* SPDX-License-Identifier: Apache-2.0 */
/* Which table of int8 kernels is in use: the first one whose features are all there and allowed. */
#include "cpu.h"
#include "int8.h"
#include "vcompute.h"

static const vc_int8_kernels *const TABLES[] = {
#if defined(VC_HAVE_AVX512VNNI)
    &vc_int8_avx512vnni,
#endif
#if defined(VC_HAVE_AVXVNNI)
    &vc_int8_avxvnni,
#endif
#if defined(VC_HAVE_AVX2)
    &vc_int8_avx2,
#endif
#if defined(VC_HAVE_SSE41)
    &vc_int8_sse41,
#endif
#if defined(VC_HAVE_I8MM)
    &vc_int8_i8mm,
#endif
#if defined(VC_HAVE_DOTPROD)
    &vc_int8_dotprod,
#endif
#if defined(VC_HAVE_NEON)
    &vc_int8_neon,
#endif
#if defined(VC_HAVE_SIMD128)
    &vc_int8_simd128,
#endif
    &vc_int8_portable,
};

const vc_int8_kernels *vc_int8_table(size_t index) {
  return index < sizeof TABLES / sizeof TABLES[0] ? TABLES[index] : NULL;
}

const vc_int8_kernels *vc_int8(void) {
  size_t i = 0;
  while (!vc_cpu_has(TABLES[i]->needs)) i++; /* portable needs nothing */
  return TABLES[i];
}

const char *vc_int8_name(void) { return vc_int8()->name; }

uint64_t vc_int8_peak(uint64_t rounds) { return vc_int8()->peak ? vc_int8()->peak(rounds) : 0; }
