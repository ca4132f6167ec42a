/* SPDX-License-Identifier: Apache-2.0 */
#if defined(VC_HAVE_AVX2)
#include "vector_avx2.h"

#include "products_wide.h"
#define VC_MOMENTS_NAME vc_moments_avx2
#include "moments_loops.h"
#else
typedef int vc_moments_avx2_not_built;
#endif
