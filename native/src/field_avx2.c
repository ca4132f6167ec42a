/* SPDX-License-Identifier: Apache-2.0 */
#if defined(VC_HAVE_AVX2)
#include "vector_avx2.h"

#include "products_wide.h"
#define VC_FIELD_NAME vc_field_avx2
#include "field_loops.h"
#else
typedef int vc_field_avx2_not_built;
#endif
