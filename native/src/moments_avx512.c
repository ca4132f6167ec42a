/* SPDX-License-Identifier: Apache-2.0 */
#if defined(VC_HAVE_AVX512)
#include "vector_avx512.h"

#include "products_wide.h"
#define VC_MOMENTS_NAME vc_moments_avx512
#include "moments_loops.h"
#else
typedef int vc_moments_avx512_not_built;
#endif
