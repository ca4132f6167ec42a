/* SPDX-License-Identifier: Apache-2.0 */
#if defined(VC_HAVE_AVX512)
#include "vector_avx512.h"

#include "products_wide.h"
#define VC_FIELD_NAME vc_field_avx512
#include "field_loops.h"
#else
typedef int vc_field_avx512_not_built;
#endif
