/* SPDX-License-Identifier: Apache-2.0 */
/* The portable loops under AVX-512. */
#if defined(VC_HAVE_AVX512)
#include <string.h>

#include "vector_avx512.h"

#define STREAM_BYTES 64
static inline void stream(void *to, const void *from) {
  _mm512_stream_si512((__m512i *)to, _mm512_loadu_si512(from));
}

static inline vec biased8(const void *p) {
  const __m128i bytes = _mm_loadl_epi64((const __m128i *)p);
  return _mm512_add_epi64(_mm512_cvtepi8_epi64(bytes), _mm512_set1_epi64(128));
}
static inline vec wide32(const void *p) { return _mm512_cvtepu32_epi64(_mm256_loadu_si256((const __m256i *)p)); }

#define VC_INTEGERS_NAME vc_integers_avx512
#include "integers_loop.h"
#else
typedef int vc_integers_avx512_not_built;
#endif
