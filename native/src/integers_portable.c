/* SPDX-License-Identifier: Apache-2.0 */
#define VC_INTEGERS_NAME vc_integers_portable
#include "integers_loop.h"
