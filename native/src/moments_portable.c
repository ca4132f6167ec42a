/* SPDX-License-Identifier: Apache-2.0 */
#include "vector_portable.h"

#include "products_wide.h"
#define VC_MOMENTS_NAME vc_moments_portable
#include "moments_loops.h"
