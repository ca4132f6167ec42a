/* SPDX-License-Identifier: Apache-2.0 */
/* The portable loops under AVX2. */
#if defined(VC_HAVE_AVX2)
#include <string.h>

#include "vector_avx2.h"

#define STREAM_BYTES 32
static inline void stream(void *to, const void *from) {
  _mm256_stream_si256((__m256i *)to, _mm256_loadu_si256((const __m256i *)from));
}

static inline vec biased8(const void *p) {
  int32_t word;
  memcpy(&word, p, sizeof word);
  return _mm256_add_epi64(_mm256_cvtepi8_epi64(_mm_cvtsi32_si128(word)), _mm256_set1_epi64x(128));
}
static inline vec wide32(const void *p) { return _mm256_cvtepu32_epi64(_mm_loadu_si128((const __m128i *)p)); }

#define VC_INTEGERS_NAME vc_integers_avx2
#include "integers_loop.h"
#else
typedef int vc_integers_avx2_not_built;
#endif
