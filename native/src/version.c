/* SPDX-License-Identifier: Apache-2.0 */
#include "vcompute.h"

int32_t vc_abi_version(void) { return 1; }
