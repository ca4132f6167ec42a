/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VC_OPENING_H
#define VC_OPENING_H

#include "transcript.h"

/* As vc_check_opening, with a transcript that goes on. */
int32_t vc_opening_reduce(vc_transcript *transcript, uint64_t *end, uint64_t *point, const uint64_t *claimed,
                          const uint32_t *plan, const uint8_t *roots, uint64_t *scratch);

#endif
