/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "vector_portable.h"

static inline vec biased8(const void *p) { return (uint64_t)(*(const int8_t *)p + 128); }
static inline vec wide32(const void *p) {
  uint32_t entry;
  memcpy(&entry, p, sizeof entry);
  return entry;
}

#define VC_INTEGERS_NAME vc_integers_portable
#include "integers_loop.h"
