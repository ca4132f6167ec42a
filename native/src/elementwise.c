/* SPDX-License-Identifier: Apache-2.0 */
/* ADD and MUL with broadcasting, and the operators that are a table of 256: LOGISTIC, QUANTIZE. */
#include "plan.h"

/* Visits the rows of a broadcast: the innermost axis is one row, whose operands are contiguous or one element. */
typedef struct {
  const vc_op *op;
  size_t rows, length;
} rows;

static rows rows_of(const vc_op *op) {
  rows r = {op, 1, (size_t)op->dim[op->rank - 1]};
  for (int64_t d = 0; d < op->rank - 1; d++) r.rows *= (size_t)op->dim[d];
  return r;
}

static void row_at(const rows *r, size_t row, size_t *a, size_t *b) {
  *a = *b = 0;
  for (int64_t d = r->op->rank - 2; d >= 0; d--) {
    size_t size = (size_t)r->op->dim[d], index = row % size;
    *a += index * (size_t)r->op->a_stride[d];
    *b += index * (size_t)r->op->b_stride[d];
    row /= size;
  }
}

/* The operand's row, spread over scratch where it is one element. */
static const int8_t *spread(const int8_t *x, int64_t stride, size_t length, uint8_t *scratch) {
  if (stride == 1 || length == 1) return x;
  memset(scratch, *(const uint8_t *)x, length);
  return (const int8_t *)scratch;
}

typedef void (*row_function)(const vc_step *step, const void *context, int8_t *out, const int8_t *a, const int8_t *b,
                             size_t n);

static void each_row(const vc_step *step, row_function f, const void *context) {
  const vc_op *op = step->op;
  const rows r = rows_of(op);
  const int64_t inner = op->rank - 1;
  if (r.rows == 1 && op->a_stride[inner] == 1 && op->b_stride[inner] == 1) { /* nothing is broadcast */
    f(step, context, step->out, step->a, step->b, r.length * step->samples);
    return;
  }
  for (size_t i = 0; i < step->samples; i++) {
    for (size_t row = 0; row < r.rows; row++) {
      size_t at_a, at_b;
      row_at(&r, row, &at_a, &at_b);
      const int8_t *a = spread(step->a + i * (size_t)op->a_size + at_a, op->a_stride[inner], r.length, step->scratch);
      const int8_t *b = spread(step->b + i * (size_t)op->b_size + at_b, op->b_stride[inner], r.length,
                               step->scratch + vc_round_up(r.length, VC_ALIGN));
      f(step, context, step->out + i * (size_t)op->out_size + row * r.length, a, b, r.length);
    }
  }
}

static void add_row(const vc_step *step, const void *context, int8_t *out, const int8_t *a, const int8_t *b, size_t n) {
  step->kernels->add(out, a, b, n, (const vc_add *)context);
}

void vc_run_add(const vc_step *step) {
  const vc_op *op = step->op;
  vc_add add = {(int32_t)op->zero_a, (int32_t)op->zero_b, (int32_t)op->zero_out, (int32_t)op->low, (int32_t)op->high,
                {0, 0, 0}, {{0, 0, 0}}};
  for (int k = 0; k < 3; k++) {
    add.multiplier[k] = (int32_t)op->multiplier[k];
    add.normal[k] = vc_normal_form(VC_FORM_SIGNED, (int32_t)op->shift[k], VC_ROUND_DOUBLE);
  }
  each_row(step, add_row, &add);
}

static void mul_row(const vc_step *step, const void *context, int8_t *out, const int8_t *a, const int8_t *b, size_t n) {
  const vc_op *op = step->op;
  const int32_t m = (int32_t)op->multiplier[0], s = (int32_t)op->shift[0], rounding = (int32_t)op->rounding;
  (void)context;
  for (size_t i = 0; i < n; i++) {
    int32_t x = (a[i] - (int32_t)op->zero_a) * (b[i] - (int32_t)op->zero_b);
    int64_t v = vc_requantize(x, m, s, rounding) + op->zero_out;
    out[i] = (int8_t)(v < op->low ? op->low : v > op->high ? op->high : v);
  }
}

void vc_run_mul(const vc_step *step) { each_row(step, mul_row, NULL); }

void vc_lookup_pack(uint8_t *out, const vc_op *op) {
  for (int32_t byte = 0; byte < 256; byte++) {
    int64_t v = vc_requantize((int8_t)byte - (int32_t)op->zero_a, (int32_t)op->multiplier[0], (int32_t)op->shift[0],
                              (int32_t)op->rounding) +
                op->zero_out;
    ((int8_t *)out)[byte] = (int8_t)(v < op->low ? op->low : v > op->high ? op->high : v);
  }
}

void vc_run_lookup(const vc_step *step) {
  step->kernels->lookup(step->out, (const uint8_t *)step->a, (size_t)step->op->a_size * step->samples,
                        (const int8_t *)step->constants);
}
