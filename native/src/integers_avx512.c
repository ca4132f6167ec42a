/* SPDX-License-Identifier: Apache-2.0 */
/* The portable loops under AVX-512. */
#if defined(VC_HAVE_AVX512)
#include <immintrin.h>
#include <stdint.h>

#define STREAM_WORDS 16
static inline void stream(int32_t *to, const int32_t *from) {
  _mm512_stream_si512((__m512i *)(void *)to, _mm512_loadu_si512(from));
}

#define VC_INTEGERS_NAME vc_integers_avx512
#include "integers_loop.h"
#else
typedef int vc_integers_avx512_not_built;
#endif
