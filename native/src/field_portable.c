/* SPDX-License-Identifier: Apache-2.0 */
#include "vector_portable.h"

#include "products_wide.h"
#define VC_FIELD_NAME vc_field_portable
#include "field_loops.h"
