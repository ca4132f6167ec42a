/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of products kept in memory between calls, over a vector header and its products. */
#ifndef VC_PSUM_STATE_H
#define VC_PSUM_STATE_H

#include <string.h>

enum { PSUM_VECS = sizeof(psum) / sizeof(vec) };

static inline psum load_sum(const uint64_t *state) {
  psum sum;
  vec v[PSUM_VECS];
  for (int k = 0; k < PSUM_VECS; k++) v[k] = v_load(state + k * VEC_LANES);
  memcpy(&sum, v, sizeof sum);
  return sum;
}
static inline void store_sum(uint64_t *state, const psum *sum) {
  vec v[PSUM_VECS];
  memcpy(v, sum, sizeof *sum);
  for (int k = 0; k < PSUM_VECS; k++) v_store(state + k * VEC_LANES, v[k]);
}

#endif
