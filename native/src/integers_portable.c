/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "vector_portable.h"

static inline vec biased8(const int8_t *p) { return (uint64_t)(*p + 128); }

#define VC_INTEGERS_NAME vc_integers_portable
#include "integers_loop.h"
