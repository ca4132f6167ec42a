/* SPDX-License-Identifier: Apache-2.0 */
#define VC_FREIVALDS_NAME vc_freivalds_portable
#include "freivalds_loop.h"
