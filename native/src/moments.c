/* SPDX-License-Identifier: Apache-2.0 */
#include "moments.h"

#include "cpu.h"

const vc_moment_kernels *vc_moments(void) {
#if defined(VC_HAVE_AVX512IFMA)
  if (vc_cpu_has(VC_CPU_AVX512 | VC_CPU_AVX512IFMA)) return &vc_moments_avx512ifma;
#endif
#if defined(VC_HAVE_AVX512)
  if (vc_cpu_has(VC_CPU_AVX512)) return &vc_moments_avx512;
#endif
#if defined(VC_HAVE_AVX2)
  if (vc_cpu_has(VC_CPU_AVX2)) return &vc_moments_avx2;
#endif
  return &vc_moments_portable;
}
