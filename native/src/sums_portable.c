/* SPDX-License-Identifier: Apache-2.0 */
#include "vector_portable.h"

#include "products_wide.h"
#define VC_SUMS_NAME vc_sums_portable
#include "sums_loops.h"
