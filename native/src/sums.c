/* SPDX-License-Identifier: Apache-2.0 */
#include "sums.h"

#include "cpu.h"

const vc_sum_kernels *vc_sums(void) {
#if defined(VC_HAVE_AVX512IFMA)
  if (vc_cpu_has(VC_CPU_AVX512 | VC_CPU_AVX512IFMA)) return &vc_sums_avx512ifma;
#endif
#if defined(VC_HAVE_AVX512)
  if (vc_cpu_has(VC_CPU_AVX512)) return &vc_sums_avx512;
#endif
#if defined(VC_HAVE_AVX2)
  if (vc_cpu_has(VC_CPU_AVX2)) return &vc_sums_avx2;
#endif
  return &vc_sums_portable;
}
