/* SPDX-License-Identifier: Apache-2.0 */
#if defined(VC_HAVE_AVX512IFMA)
#include "vector_avx512.h"

#include "products_ifma.h"
#define VC_MOMENTS_NAME vc_moments_avx512ifma
#include "moments_loops.h"
#else
typedef int vc_moments_avx512ifma_not_built;
#endif
