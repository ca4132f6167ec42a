/* SPDX-License-Identifier: Apache-2.0 */
/* The operations of a program, the numbers of vcompute/proof/succinct/program/recorder.py. Operands, one word each:
 *
 *   n m z  counts
 *   d s    place of one element: result, operand
 *   D V    n elements: result, operand          W  m elements: operand
 *   X      n * m elements: result               Z  z elements: result       E  2^n elements: result
 *   P      n places of one element
 *   k      n base elements                      b  n bytes of the blob
 *   l      label in the blob                    g  n digests: result
 *   a      array given to the run               t  array of n * m integers of as many bytes as the next word says
 *   c      plain word
 *   o      the operands of an opening           q  a plain word up to 64
 */
#ifndef VC_PROGRAM_H
#define VC_PROGRAM_H

#include <stddef.h>
#include <stdint.h>

enum {
  OP_FEED = 1, OP_ABSORB_SLOT, OP_RECEIVE_BYTES, OP_RECEIVE_EXT, OP_RECEIVE_DIGESTS, OP_GRIND, OP_CHALLENGES,
  OP_ABSORB_EXT, OP_REQUIRE_EQUAL, OP_REQUIRE_NONZERO, OP_FINISH, OP_ADD, OP_SUB, OP_MUL, OP_INVERSE, OP_EQ, OP_MUL_EACH,
  OP_ADD_EACH, OP_SUB_EACH, OP_SCALE, OP_OUTER, OP_DOT, OP_SUM, OP_REPEAT, OP_COPY, OP_WINDOW, OP_MUL_BASE, OP_DOT_BASE,
  OP_PROJECT, OP_OPENING, OPS
};

enum { VC_MAX_TABLES = 8, VC_DIGEST = 27, VC_OPENING_HEAD = 6 };

/* Operands of each operation. */
extern const char *const vc_program_operands[OPS];

/* Words of the operation at p, itself included; it lies wholly inside the code. */
size_t vc_program_length(const uint32_t *p);

#endif
