/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution as a product without copying columns: each kernel row of a window is one contiguous piece of the image,
 * so a window is `kernel_h` segments of kernel_w * c bytes. Where windows leave the image, the image is first copied
 * into a frame of zero points. Dilated columns are gathered instead. FULLY_CONNECTED is an image of one row. */
#include "pack.h"
#include "plan.h"

typedef struct {
  vc_form form;
  vc_product product;
  size_t groups;      /* k-groups of a segment */
  size_t panel_bytes; /* packed weights, then parameters, then multipliers and shifts for the rule */
  size_t params_at, rule_at, bytes;
} shape;

static shape shape_of(const vc_op *op, const vc_layout *layout) {
  shape s;
  int gathered = op->dilation_w != 1 && op->kernel_w != 1;
  s.form = op->rounding ? VC_FORM_FLOOR : VC_FORM_RAW;
  s.product.n = (size_t)op->out_c;
  s.product.segments = gathered ? 1 : (size_t)op->kernel_h;
  s.product.depth = (size_t)(op->kernel_w * op->c) * (gathered ? (size_t)op->kernel_h : 1);
  s.groups = (s.product.depth + layout->kr - 1) / layout->kr;
  s.panel_bytes = vc_panel_bytes(layout, &s.product);
  size_t panels = vc_panels(layout, &s.product);
  s.params_at = VC_ALIGN + panels * s.panel_bytes; /* the first bytes hold the form */
  s.rule_at = s.params_at + panels * vc_params_bytes(layout->nr);
  s.bytes = vc_round_up(s.rule_at + s.product.n * 8, VC_ALIGN);
  return s;
}

size_t vc_conv_constants(const vc_op *op, const vc_layout *layout) { return shape_of(op, layout).bytes; }

/* The image with its frame, as far as windows reach. */
typedef struct {
  size_t rows, columns, row_bytes;
  int copied;   /* windows leave the image */
  int gathered; /* dilated columns */
} frame;

static frame frame_of(const vc_op *op) {
  frame f;
  f.rows = (size_t)((op->out_h - 1) * op->stride_h + (op->kernel_h - 1) * op->dilation_h + 1);
  f.columns = (size_t)((op->out_w - 1) * op->stride_w + (op->kernel_w - 1) * op->dilation_w + 1);
  f.copied = op->pad_top > 0 || op->pad_left > 0 || (int64_t)f.rows > op->h || (int64_t)f.columns > op->w;
  f.gathered = op->dilation_w != 1 && op->kernel_w != 1;
  f.row_bytes = (size_t)((f.copied ? (int64_t)f.columns : op->w) * op->c);
  return f;
}

/* Scratch, one part after the other: the frame, gathered rows, arranged rows, accumulators for the rule. */
typedef struct {
  size_t gathered, arranged, accumulators, bytes;
  size_t gathered_row;
} scratch;

static scratch scratch_of(const vc_op *op, const vc_layout *layout, const frame *f, const shape *s) {
  scratch t;
  size_t at = f->copied ? vc_round_up(f->rows * f->row_bytes + VC_OVERREAD, VC_ALIGN) : 0;
  t.gathered = at;
  t.gathered_row = s->groups * layout->kr;
  if (f->gathered) at += vc_round_up(VC_ROWS * t.gathered_row + VC_OVERREAD, VC_ALIGN);
  t.arranged = at;
  at += vc_row_scratch(layout, s->product.segments * s->groups * layout->kr);
  t.accumulators = at;
  if (op->rounding) at += VC_ROWS * s->product.n * sizeof(int32_t); /* whether the rule is used is known later */
  t.bytes = vc_round_up(at, VC_ALIGN);
  return t;
}

size_t vc_conv_scratch(const vc_op *op, const vc_layout *layout) {
  frame f = frame_of(op);
  shape s = shape_of(op, layout);
  return scratch_of(op, layout, &f, &s).bytes;
}

/* Channel i of the caller's constants: bias, requantisation, sum and bound of its weights. */
static vc_channel channel_at(const vc_op *op, const vc_channels *from, size_t i, size_t depth) {
  vc_channel c = {from->bias ? from->bias[i] : 0, from->multiplier ? from->multiplier[i] : 1,
                  from->shift ? from->shift[i] : -1, 0, 0};
  int64_t low = op->zero_a + 128, high = 127 - op->zero_a, magnitude = 0;
  for (size_t k = 0; k < depth; k++) {
    int64_t w = from->filter[i * depth + k];
    c.sum += w;
    magnitude += w < 0 ? -w : w;
  }
  c.bound = magnitude * (low > high ? low : high) + (c.bias < 0 ? -(int64_t)c.bias : c.bias);
  return c;
}

void vc_conv_pack(uint8_t *out, const vc_op *op, const vc_layout *layout, const vc_channels *from) {
  shape s = shape_of(op, layout);
  size_t depth = s.product.segments * s.product.depth, nr = layout->nr;
  vc_quant quant = {(int32_t)op->rounding, (int32_t)op->zero_a, (int32_t)op->zero_out, (int32_t)op->low};
  memset(out, 0, s.bytes);
  vc_form form = VC_FORM_RAW;
  if (op->rounding) { /* the form holds for all channels, so look at all of them first */
    form = quant.rounding == VC_ROUND_SINGLE || quant.low >= quant.zero_out ? VC_FORM_FLOOR : VC_FORM_SIGNED;
    for (size_t i = 0; i < s.product.n; i++) {
      vc_channel c = channel_at(op, from, i, depth);
      if (vc_choose_form(&c, 1, &quant) == VC_FORM_RULE) form = VC_FORM_RULE;
    }
  }
  memcpy(out, &form, sizeof form);
  int32_t *rule = (int32_t *)(void *)(out + s.rule_at);
  for (size_t panel = 0; panel < vc_panels(layout, &s.product); panel++) {
    vc_channel channels[VC_MAX_NR];
    size_t first = panel * nr, n = s.product.n - first < nr ? s.product.n - first : nr;
    for (size_t j = 0; j < n; j++) {
      channels[j] = channel_at(op, from, first + j, depth);
      if (op->rounding) vc_choose_form(&channels[j], 1, &quant);
      rule[first + j] = channels[j].multiplier;
      rule[s.product.n + first + j] = channels[j].shift;
    }
    vc_product one = {n, s.product.segments, s.product.depth};
    vc_pack_panel(out + VC_ALIGN + panel * s.panel_bytes, layout, &one, 0, from->filter + first * depth, depth, 1,
                  channels, form);
    uint8_t *params = out + s.params_at + panel * vc_params_bytes(nr);
    vc_pack_params(params, layout, form, &quant, layout->x_offset, channels, n, NULL);
    vc_fold(params, layout, out + VC_ALIGN + panel * s.panel_bytes, s.product.segments * s.groups);
  }
}

/* Copy one sample into the frame; everything else there is the zero point. */
static void fill_frame(uint8_t *out, const vc_op *op, const frame *f, const int8_t *image) {
  const size_t c = (size_t)op->c, left = (size_t)op->pad_left * c;
  size_t take = (size_t)op->w * c;
  if (take > f->row_bytes - left) take = f->row_bytes - left;
  for (size_t y = 0; y < f->rows; y++, out += f->row_bytes) {
    int64_t from = (int64_t)y - op->pad_top;
    if (from < 0 || from >= op->h) {
      memset(out, (int)op->zero_a, f->row_bytes);
      continue;
    }
    memset(out, (int)op->zero_a, left);
    memcpy(out + left, image + (size_t)from * (size_t)op->w * c, take);
    memset(out + left + take, (int)op->zero_a, f->row_bytes - left - take);
  }
}

/* What a sample's rows are made from. */
typedef struct {
  const vc_step *step;
  const shape *s;
  const frame *f;
  const scratch *t;
  const uint8_t *image; /* framed */
} source;

static void gather_row(uint8_t *out, const source *from, const uint8_t *window) {
  const vc_op *op = from->step->op;
  size_t c = (size_t)op->c;
  for (int64_t y = 0; y < op->kernel_h; y++)
    for (int64_t x = 0; x < op->kernel_w; x++, out += c)
      memcpy(out, window + (size_t)(y * op->dilation_h) * from->f->row_bytes + (size_t)(x * op->dilation_w) * c, c);
}

/* The row pointers of outputs first .. first + m, gathered and arranged as the kernel needs. */
static void make_rows(const void **rows, vc_rows *a, const source *from, size_t first) {
  const vc_op *op = from->step->op;
  const size_t out_w = (size_t)op->out_w, pixel = (size_t)(op->stride_w * op->c);
  size_t y = first / out_w, x = first % out_w;
  const uint8_t *line = from->image + y * (size_t)op->stride_h * from->f->row_bytes;
  for (size_t i = 0; i < a->m; i++) {
    rows[i] = line + x * pixel;
    if (++x == out_w) {
      x = 0;
      line += (size_t)op->stride_h * from->f->row_bytes;
    }
  }
  a->segments = from->s->product.segments;
  a->groups = from->s->groups;
  a->stride = (size_t)op->dilation_h * from->f->row_bytes;
  if (from->f->gathered) {
    for (size_t i = 0; i < a->m; i++) {
      uint8_t *row = from->step->scratch + from->t->gathered + i * from->t->gathered_row;
      gather_row(row, from, rows[i]);
      rows[i] = row;
    }
  }
  if (from->step->kernels->arrange) from->step->kernels->arrange(a, from->step->scratch + from->t->arranged);
}

static void apply_rule(int8_t *out, const int32_t *acc, size_t m, const vc_op *op, const int32_t *rule) {
  size_t n = (size_t)op->out_c;
  for (size_t i = 0; i < m; i++)
    for (size_t j = 0; j < n; j++) {
      int64_t y = (int64_t)vc_requantize(acc[i * n + j], rule[j], rule[n + j], (int32_t)op->rounding) + op->zero_out;
      out[i * n + j] = (int8_t)(y < op->low ? op->low : y > op->high ? op->high : y);
    }
}

/* All rows of `count` outputs from one framed image. */
static void run_rows(const source *from, int8_t *out, size_t count) {
  const vc_op *op = from->step->op;
  const shape *s = from->s;
  const uint8_t *packed = from->step->constants;
  vc_form form;
  memcpy(&form, packed, sizeof form);
  const size_t n = s->product.n, element = op->rounding ? 1 : sizeof(int32_t);
  vc_columns columns = {packed + VC_ALIGN, packed + s->params_at, s->panel_bytes, n,
                        form == VC_FORM_RULE ? VC_FORM_RAW : form, (int32_t)op->zero_out,
                        (int32_t)op->low, (int32_t)op->high};
  const void *pointers[VC_ROWS];
  for (size_t first = 0; first < count; first += VC_ROWS) {
    vc_rows a = {pointers, count - first < VC_ROWS ? count - first : VC_ROWS, 0, 0, 0};
    make_rows(pointers, &a, from, first);
    int8_t *to = out + first * n * element;
    if (form == VC_FORM_RULE) {
      int32_t *acc = (int32_t *)(void *)(from->step->scratch + from->t->accumulators);
      from->step->kernels->gemm(acc, n, &a, &columns);
      apply_rule(to, acc, a.m, op, (const int32_t *)(const void *)(packed + s->rule_at));
    } else {
      from->step->kernels->gemm(to, n, &a, &columns);
    }
  }
}

void vc_run_conv(const vc_step *step) {
  const vc_op *op = step->op;
  const shape s = shape_of(op, step->kernels->layout);
  const frame f = frame_of(op);
  const scratch t = scratch_of(op, step->kernels->layout, &f, &s);
  const size_t pixels = (size_t)(op->out_h * op->out_w);
  source from = {step, &s, &f, &t, (const uint8_t *)step->a};
  if (!f.copied && op->kernel_h == 1 && op->kernel_w == 1 && op->stride_h == 1 && op->stride_w == 1) {
    /* every pixel of every sample is a row: one tall product */
    vc_op tall = *op;
    vc_step one = *step;
    tall.h = tall.out_h = 1;
    tall.w = tall.out_w = (int64_t)(pixels * step->samples);
    one.op = &tall;
    from.step = &one;
    run_rows(&from, step->out, pixels * step->samples);
    return;
  }
  for (size_t i = 0; i < step->samples; i++) {
    const int8_t *image = step->a + i * (size_t)op->a_size;
    from.image = (const uint8_t *)image;
    if (f.copied) {
      fill_frame(step->scratch, op, &f, image);
      from.image = step->scratch;
    }
    run_rows(&from, step->out + i * (size_t)op->out_size, pixels);
  }
}

/* Two activations: the columns are packed as they come, and since an operand less its zero point has nine bits, the
 * products with the zero points are added to raw accumulators. */
typedef struct {
  vc_product product;
  size_t panel_bytes, params_at, arranged, accumulators, rows_at, bytes;
} bmm;

static bmm bmm_of(const vc_op *op, const vc_layout *layout) {
  bmm t;
  t.product = (vc_product){(size_t)op->out_c, 1, (size_t)op->c};
  t.panel_bytes = vc_panel_bytes(layout, &t.product);
  size_t panels = vc_panels(layout, &t.product), padded = vc_round_up((size_t)op->c, layout->kr);
  t.params_at = panels * t.panel_bytes;
  t.rows_at = vc_round_up(t.params_at + panels * vc_params_bytes(layout->nr), VC_ALIGN);
  t.arranged = vc_round_up(t.rows_at + VC_ROWS * padded + VC_OVERREAD, VC_ALIGN);
  t.accumulators = t.arranged + vc_row_scratch(layout, padded);
  t.bytes = vc_round_up(t.accumulators + VC_ROWS * t.product.n * sizeof(int32_t), VC_ALIGN);
  return t;
}

size_t vc_batch_matmul_scratch(const vc_op *op, const vc_layout *layout) { return bmm_of(op, layout).bytes; }

/* Pack b's columns; the bias of each is what does not depend on the row. */
static void bmm_pack(const vc_step *step, const bmm *t, const int8_t *b, size_t stride_n, size_t stride_k) {
  const vc_op *op = step->op;
  const vc_layout *layout = step->kernels->layout;
  const vc_quant quant = {0, (int32_t)op->zero_a, 0, 0};
  for (size_t panel = 0; panel < vc_panels(layout, &t->product); panel++) {
    vc_channel channels[VC_MAX_NR];
    size_t first = panel * layout->nr, n = t->product.n - first < layout->nr ? t->product.n - first : layout->nr;
    for (size_t j = 0; j < n; j++) {
      int64_t sum = 0;
      for (size_t k = 0; k < t->product.depth; k++) sum += b[(first + j) * stride_n + k * stride_k];
      channels[j] = (vc_channel){(int32_t)(op->c * op->zero_a * op->zero_b), 1, -1, 0, sum};
    }
    vc_product one = {n, 1, t->product.depth};
    vc_pack_panel(step->scratch + panel * t->panel_bytes, layout, &one, 0, b + first * stride_n, stride_n, stride_k,
                  channels, VC_FORM_RAW);
    uint8_t *params = step->scratch + t->params_at + panel * vc_params_bytes(layout->nr);
    vc_pack_params(params, layout, VC_FORM_RAW, &quant, layout->x_offset, channels, n, NULL);
    vc_fold(params, layout, step->scratch + panel * t->panel_bytes, (t->product.depth + layout->kr - 1) / layout->kr);
  }
}

/* One product of m rows: a is row-major or, with strides swapped, stored by columns. */
static void bmm_rows(const vc_step *step, const bmm *t, const int8_t *a, size_t stride_m, size_t stride_k, int8_t *out) {
  const vc_op *op = step->op;
  const vc_layout *layout = step->kernels->layout;
  const size_t m = (size_t)op->h, depth = t->product.depth, n = t->product.n, padded = vc_round_up(depth, layout->kr);
  const vc_columns columns = {step->scratch, step->scratch + t->params_at, t->panel_bytes, n, VC_FORM_RAW, 0, 0, 0};
  int32_t *acc = (int32_t *)(void *)(step->scratch + t->accumulators), row_term[VC_ROWS];
  const void *rows[VC_ROWS];
  for (size_t first = 0; first < m; first += VC_ROWS) {
    vc_rows r = {rows, m - first < VC_ROWS ? m - first : VC_ROWS, 1, 0, padded / layout->kr};
    for (size_t i = 0; i < r.m; i++) {
      int8_t *row = (int8_t *)step->scratch + t->rows_at + i * padded;
      int64_t sum = 0;
      for (size_t k = 0; k < depth; k++) sum += row[k] = a[(first + i) * stride_m + k * stride_k];
      row_term[i] = (int32_t)(-op->zero_b * sum);
      memset(row + depth, 0, padded - depth);
      rows[i] = row;
    }
    if (step->kernels->arrange) step->kernels->arrange(&r, step->scratch + t->arranged);
    step->kernels->gemm(acc, n, &r, &columns);
    for (size_t i = 0; i < r.m; i++) {
      for (size_t j = 0; j < n; j++) {
        int32_t x = (int32_t)((uint32_t)acc[i * n + j] + (uint32_t)row_term[i]);
        int64_t y = vc_requantize(x, (int32_t)op->multiplier[0], (int32_t)op->shift[0], (int32_t)op->rounding);
        y += op->zero_out;
        out[(first + i) * n + j] = (int8_t)(y < op->low ? op->low : y > op->high ? op->high : y);
      }
    }
  }
}

/* Leading axes stand in dim; the strides of the last two, row then column, in a_stride[rank], [rank + 1], and b's. */
void vc_run_batch_matmul(const vc_step *step) {
  const vc_op *op = step->op;
  const bmm t = bmm_of(op, step->kernels->layout);
  const size_t rank = (size_t)op->rank, matrix = (size_t)(op->h * op->out_c);
  size_t matrices = 1;
  for (size_t d = 0; d < rank; d++) matrices *= (size_t)op->dim[d];
  for (size_t i = 0; i < step->samples; i++) {
    for (size_t at = 0; at < matrices; at++) {
      size_t rest = at, a = i * (size_t)op->a_size, b = i * (size_t)op->b_size;
      for (size_t d = rank; d-- > 0; rest /= (size_t)op->dim[d]) {
        a += rest % (size_t)op->dim[d] * (size_t)op->a_stride[d];
        b += rest % (size_t)op->dim[d] * (size_t)op->b_stride[d];
      }
      bmm_pack(step, &t, step->b + b, (size_t)op->b_stride[rank + 1], (size_t)op->b_stride[rank]);
      bmm_rows(step, &t, step->a + a, (size_t)op->a_stride[rank], (size_t)op->a_stride[rank + 1],
               step->out + i * (size_t)op->out_size + at * matrix);
    }
  }
}
