/* SPDX-License-Identifier: Apache-2.0 */
#if defined(VC_HAVE_AVX2)
#include "vector_avx2.h"

#include "products_wide.h"
#define VC_SUMS_NAME vc_sums_avx2
#include "sums_loops.h"
#else
typedef int vc_sums_avx2_not_built;
#endif
