/* SPDX-License-Identifier: Apache-2.0 */
#if defined(VC_HAVE_AVX512IFMA)
#include "vector_avx512.h"

#include "products_ifma.h"
#define VC_SUMS_NAME vc_sums_avx512ifma
#include "sums_loops.h"
#else
typedef int vc_sums_avx512ifma_not_built;
#endif
