/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the plan runner share. */
#ifndef VC_PLAN_H
#define VC_PLAN_H

#include "int8.h"
#include "vcompute.h"

/* A run's view of one op: `samples` at most the plan's block. */
typedef struct {
  const vc_op *op;
  const vc_int8_kernels *kernels;
  const uint8_t *constants; /* of this op */
  uint8_t *scratch;
  const int8_t *a, *b;
  int8_t *out;
  size_t samples;
} vc_step;

/* linear.c, depthwise.c, elementwise.c, pooling.c, layout.c, exponential.c */
void vc_run_conv(const vc_step *step);
void vc_run_depthwise(const vc_step *step);
void vc_run_batch_matmul(const vc_step *step);
void vc_run_add(const vc_step *step);
void vc_run_mul(const vc_step *step);
void vc_run_average_pool(const vc_step *step);
void vc_run_max_pool(const vc_step *step);
void vc_run_mean(const vc_step *step);
void vc_run_copy(const vc_step *step);
void vc_run_fill(const vc_step *step);
void vc_run_softmax(const vc_step *step);
void vc_run_lookup(const vc_step *step);
void vc_run_constant(const vc_step *step);

/* Bytes of packed constants and of scratch; the op's attributes have been checked. */
size_t vc_conv_constants(const vc_op *op, const vc_layout *layout);
size_t vc_conv_scratch(const vc_op *op, const vc_layout *layout);
size_t vc_depthwise_constants(const vc_op *op, const vc_layout *layout);
size_t vc_depthwise_scratch(const vc_op *op, const vc_layout *layout);
size_t vc_batch_matmul_scratch(const vc_op *op, const vc_layout *layout);

/* Per-channel constants as the caller has them, before packing. */
typedef struct {
  const int8_t *filter;
  const int32_t *bias, *multiplier; /* NULL: no bias; no requantisation */
  const int8_t *shift;
} vc_channels;

void vc_conv_pack(uint8_t *out, const vc_op *op, const vc_layout *layout, const vc_channels *channels);
void vc_depthwise_pack(uint8_t *out, const vc_op *op, const vc_layout *layout, const vc_channels *channels);
void vc_softmax_pack(uint8_t *out, const vc_op *op);
void vc_lookup_pack(uint8_t *out, const vc_op *op);

#endif
