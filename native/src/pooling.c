/* SPDX-License-Identifier: Apache-2.0 */
/* AVERAGE_POOL_2D, MAX_POOL_2D and MEAN: channels are innermost, so sums run along them. */
#include "plan.h"

/* The pixels of an output's window that are inside the image. */
typedef struct {
  int64_t top, bottom, left, right; /* bottom and right are past the last one */
} window;

static window window_at(const vc_op *op, int64_t y, int64_t x) {
  window w = {y * op->stride_h - op->pad_top, 0, x * op->stride_w - op->pad_left, 0};
  w.bottom = w.top + op->kernel_h < op->h ? w.top + op->kernel_h : op->h;
  w.right = w.left + op->kernel_w < op->w ? w.left + op->kernel_w : op->w;
  if (w.top < 0) w.top = 0;
  if (w.left < 0) w.left = 0;
  return w;
}

static void sum_row(int32_t *restrict acc, const int8_t *restrict x, size_t n) {
  for (size_t i = 0; i < n; i++) acc[i] += x[i];
}

static void max_row(int8_t *restrict out, const int8_t *restrict x, size_t n) {
  for (size_t i = 0; i < n; i++) out[i] = out[i] > x[i] ? out[i] : x[i];
}

static void clamp_row(int8_t *out, size_t n, int8_t low, int8_t high) {
  for (size_t i = 0; i < n; i++) out[i] = out[i] < low ? low : out[i] > high ? high : out[i];
}

static void average_window(const vc_op *op, int8_t *out, const int8_t *image, const window *w, int32_t *acc) {
  const size_t c = (size_t)op->c;
  const int32_t count = (int32_t)((w->bottom - w->top) * (w->right - w->left)), half = count / 2;
  memset(acc, 0, c * sizeof *acc);
  for (int64_t y = w->top; y < w->bottom; y++)
    for (int64_t x = w->left; x < w->right; x++) sum_row(acc, image + (size_t)(y * op->w + x) * c, c);
  for (size_t i = 0; i < c; i++) {
    int32_t v = count ? (acc[i] > 0 ? acc[i] + half : acc[i] - half) / count : 0;
    out[i] = (int8_t)vc_clamp(v, (int32_t)op->low, (int32_t)op->high);
  }
}

static void max_window(const vc_op *op, int8_t *out, const int8_t *image, const window *w) {
  const size_t c = (size_t)op->c;
  memset(out, -128, c);
  for (int64_t y = w->top; y < w->bottom; y++)
    for (int64_t x = w->left; x < w->right; x++) max_row(out, image + (size_t)(y * op->w + x) * c, c);
  clamp_row(out, c, (int8_t)op->low, (int8_t)op->high);
}

static void run_pool(const vc_step *step, int average) {
  const vc_op *op = step->op;
  for (size_t i = 0; i < step->samples; i++) {
    const int8_t *image = step->a + i * (size_t)op->a_size;
    int8_t *out = step->out + i * (size_t)op->out_size;
    for (int64_t y = 0; y < op->out_h; y++) {
      for (int64_t x = 0; x < op->out_w; x++, out += op->c) {
        window w = window_at(op, y, x);
        if (average)
          average_window(op, out, image, &w, (int32_t *)(void *)step->scratch);
        else
          max_window(op, out, image, &w);
      }
    }
  }
}

void vc_run_average_pool(const vc_step *step) { run_pool(step, 1); }

void vc_run_max_pool(const vc_step *step) { run_pool(step, 0); }

/* Sums over the reduced axes of one row of outputs, whose elements stand `stride` apart. */
static void reduce_row(const vc_op *op, int32_t *acc, const int8_t *x, size_t n, size_t stride, size_t count) {
  memset(acc, 0, n * sizeof *acc);
  for (size_t at = 0; at < count; at++) {
    size_t rest = at, offset = 0;
    for (int64_t d = op->reduce_rank - 1; d >= 0; d--) {
      offset += rest % (size_t)op->reduce_dim[d] * (size_t)op->reduce_stride[d];
      rest /= (size_t)op->reduce_dim[d];
    }
    if (stride == 1)
      sum_row(acc, x + offset, n);
    else
      for (size_t i = 0; i < n; i++) acc[i] += x[offset + i * stride];
  }
}

void vc_run_mean(const vc_step *step) {
  const vc_op *op = step->op;
  const int64_t inner = op->rank - 1;
  const size_t length = (size_t)op->dim[inner];
  const int32_t m = (int32_t)op->multiplier[0], s = (int32_t)op->shift[0], rounding = (int32_t)op->rounding;
  size_t count = 1, rows = 1;
  for (int64_t d = 0; d < op->reduce_rank; d++) count *= (size_t)op->reduce_dim[d];
  for (int64_t d = 0; d < inner; d++) rows *= (size_t)op->dim[d];
  int32_t *acc = (int32_t *)(void *)step->scratch;
  const int32_t zeros = (int32_t)((int64_t)count * op->zero_a);
  for (size_t i = 0; i < step->samples; i++) {
    int8_t *out = step->out + i * (size_t)op->out_size;
    for (size_t row = 0; row < rows; row++, out += length) {
      size_t rest = row, offset = i * (size_t)op->a_size;
      for (int64_t d = inner - 1; d >= 0; d--) {
        offset += rest % (size_t)op->dim[d] * (size_t)op->a_stride[d];
        rest /= (size_t)op->dim[d];
      }
      reduce_row(op, acc, step->a + offset, length, (size_t)op->a_stride[inner], count);
      for (size_t j = 0; j < length; j++) {
        int64_t v = vc_requantize(acc[j] - zeros, m, s, rounding) + op->zero_out;
        out[j] = (int8_t)(v < op->low ? op->low : v > op->high ? op->high : v);
      }
    }
  }
}
