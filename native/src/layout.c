/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that only move bytes: strided copies (TRANSPOSE, PAD, CONCATENATION), fills, constants. */
#include "plan.h"

void vc_run_copy(const vc_step *step) {
  const vc_op *op = step->op;
  const int64_t inner = op->rank - 1;
  const size_t length = (size_t)op->dim[inner];
  const size_t from_stride = (size_t)op->a_stride[inner], to_stride = (size_t)op->out_stride[inner];
  size_t rows = 1;
  for (int64_t d = 0; d < inner; d++) rows *= (size_t)op->dim[d];
  for (size_t i = 0; i < step->samples; i++) {
    const int8_t *a = step->a + i * (size_t)op->a_size + (size_t)op->a_base;
    int8_t *out = step->out + i * (size_t)op->out_size + (size_t)op->out_base;
    for (size_t row = 0; row < rows; row++) {
      size_t rest = row, from = 0, to = 0;
      for (int64_t d = inner - 1; d >= 0; d--) {
        size_t index = rest % (size_t)op->dim[d];
        from += index * (size_t)op->a_stride[d];
        to += index * (size_t)op->out_stride[d];
        rest /= (size_t)op->dim[d];
      }
      if (from_stride == 1 && to_stride == 1)
        memcpy(out + to, a + from, length);
      else
        for (size_t j = 0; j < length; j++) out[to + j * to_stride] = a[from + j * from_stride];
    }
  }
}

void vc_run_fill(const vc_step *step) {
  memset(step->out, (int)step->op->zero_out, (size_t)step->op->out_size * step->samples);
}

void vc_run_constant(const vc_step *step) {
  for (size_t i = 0; i < step->samples; i++)
    memcpy(step->out + i * (size_t)step->op->out_size, step->constants, (size_t)step->op->out_size);
}
