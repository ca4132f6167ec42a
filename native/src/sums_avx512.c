/* SPDX-License-Identifier: Apache-2.0 */
#if defined(VC_HAVE_AVX512)
#include "vector_avx512.h"

#include "products_wide.h"
#define VC_SUMS_NAME vc_sums_avx512
#include "sums_loops.h"
#else
typedef int vc_sums_avx512_not_built;
#endif
