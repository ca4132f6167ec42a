/* SPDX-License-Identifier: Apache-2.0 */
/* The portable loops under -mavx2, where compilers turn them into vpmaddwd. */
#if defined(VC_HAVE_AVX2)
#define VC_FREIVALDS_NAME vc_freivalds_avx2
#include "freivalds_loop.h"
#else
typedef int vc_freivalds_avx2_not_built;
#endif
