/* SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution, direct: one pointer a tap; a tap outside the image points at zero points. With unit stride
 * the pixels of a row whose windows are inside run as one flat sequence of channels, so that few channels still fill
 * the vectors: the packed weights then repeat with period lcm(channels, block). */
#include "pack.h"
#include "plan.h"

#define MAX_PERIOD 16 /* longer than this, rows go pixel by pixel */

typedef struct {
  size_t channels, taps, groups, block, period;
  int flat;
  size_t weight_bytes, block_bytes; /* of one block: weights, then weights and parameters */
  size_t rule_at, bytes;            /* constants: the form, blocks, multipliers and shifts for the rule */
  size_t zeros, accumulators, scratch_bytes; /* scratch: tap pointers, zero points, accumulators */
} shape;

static size_t gcd(size_t a, size_t b) { return b ? gcd(b, a % b) : a; }

static shape shape_of(const vc_op *op, const vc_layout *layout) {
  shape s;
  s.channels = (size_t)op->c;
  s.taps = (size_t)(op->kernel_h * op->kernel_w);
  s.groups = (s.taps + layout->dw_group - 1) / layout->dw_group;
  s.block = layout->dw_block;
  s.period = s.channels / gcd(s.channels, s.block);
  s.flat = op->stride_w == 1 && s.period <= MAX_PERIOD;
  if (!s.flat) s.period = (s.channels + s.block - 1) / s.block;
  s.weight_bytes = vc_round_up(s.groups * layout->dw_group * s.block * layout->dw_element, VC_ALIGN);
  s.block_bytes = s.weight_bytes + vc_round_up(s.block / layout->nr * vc_params_bytes(layout->nr), VC_ALIGN);
  s.rule_at = VC_ALIGN + s.period * s.block_bytes;
  s.bytes = vc_round_up(s.rule_at + s.channels * 8, VC_ALIGN);
  size_t count = s.flat ? (size_t)op->out_w * s.channels : s.channels;
  s.zeros = vc_round_up(s.groups * layout->dw_group * sizeof(void *), VC_ALIGN);
  s.accumulators = vc_round_up(s.zeros + count + 2 * VC_OVERREAD, VC_ALIGN);
  s.scratch_bytes = vc_round_up(s.accumulators + count * sizeof(int32_t), VC_ALIGN);
  return s;
}

size_t vc_depthwise_constants(const vc_op *op, const vc_layout *layout) { return shape_of(op, layout).bytes; }

size_t vc_depthwise_scratch(const vc_op *op, const vc_layout *layout) { return shape_of(op, layout).scratch_bytes; }

static vc_channel channel_at(const vc_op *op, const shape *s, const vc_channels *from, size_t i) {
  vc_channel c = {from->bias ? from->bias[i] : 0, from->multiplier ? from->multiplier[i] : 1,
                  from->shift ? from->shift[i] : -1, 0, 0};
  int64_t low = op->zero_a + 128, high = 127 - op->zero_a, magnitude = 0;
  for (size_t t = 0; t < s->taps; t++) {
    int64_t w = from->filter[t * s->channels + i];
    c.sum += w;
    magnitude += w < 0 ? -w : w;
  }
  c.bound = magnitude * (low > high ? low : high) + (c.bias < 0 ? -(int64_t)c.bias : c.bias);
  return c;
}

static void pack_weights(uint8_t *out, const vc_layout *layout, const shape *s, const vc_channels *from,
                         const size_t *channel, const vc_channel *channels, vc_form form) {
  for (size_t t = 0; t < s->taps; t++) {
    for (size_t p = 0; p < s->block; p++) {
      size_t q = layout->dw_order[p], at = (t / layout->dw_group * s->block + p) * layout->dw_group + t % layout->dw_group;
      if (channel[q] >= s->channels || vc_dead(&channels[q], form)) continue;
      int8_t v = from->filter[t * s->channels + channel[q]];
      if (layout->dw_element == 1)
        ((int8_t *)out)[at] = v;
      else
        ((int16_t *)(void *)out)[at] = v;
    }
  }
}

void vc_depthwise_pack(uint8_t *out, const vc_op *op, const vc_layout *layout, const vc_channels *from) {
  const shape s = shape_of(op, layout);
  const vc_quant quant = {(int32_t)op->rounding, (int32_t)op->zero_a, (int32_t)op->zero_out, (int32_t)op->low};
  memset(out, 0, s.bytes);
  vc_form form = quant.rounding == VC_ROUND_SINGLE || quant.low >= quant.zero_out ? VC_FORM_FLOOR : VC_FORM_SIGNED;
  if (!op->rounding) form = VC_FORM_RAW;
  int32_t *rule = (int32_t *)(void *)(out + s.rule_at);
  for (size_t i = 0; i < s.channels; i++) {
    vc_channel c = channel_at(op, &s, from, i);
    if (op->rounding && vc_choose_form(&c, 1, &quant) == VC_FORM_RULE) form = VC_FORM_RULE;
    rule[i] = c.multiplier;
    rule[s.channels + i] = c.shift;
  }
  memcpy(out, &form, sizeof form);
  for (size_t b = 0; b < s.period; b++) {
    size_t channel[VC_MAX_DW_BLOCK];
    vc_channel channels[VC_MAX_DW_BLOCK];
    size_t n = 0; /* how many of the block exist: all, or without wrapping round those before the last channel */
    for (size_t q = 0; q < s.block; q++) {
      channel[q] = b * s.block + q;
      if (s.flat) channel[q] %= s.channels;
      if (channel[q] >= s.channels) continue;
      channels[q] = channel_at(op, &s, from, channel[q]);
      if (op->rounding) vc_choose_form(&channels[q], 1, &quant);
      n = q + 1;
    }
    uint8_t *to = out + VC_ALIGN + b * s.block_bytes;
    pack_weights(to, layout, &s, from, channel, channels, form);
    for (size_t j = 0; j < s.block / layout->nr; j++)
      vc_pack_params(to + s.weight_bytes + j * vc_params_bytes(layout->nr), layout, form, &quant, layout->dw_x_offset,
                     channels, n, layout->dw_order + j * layout->nr);
  }
}

/* One sample's run: what its rows share. */
typedef struct {
  const vc_step *step;
  const shape *s;
  const int8_t *image, **taps, *zeros;
  vc_depthwise kernel;
} run;

/* Point every tap of output (y, x) into the image, or at the zero points. */
static void point_taps(run *r, int64_t y, int64_t x) {
  const vc_op *op = r->step->op;
  size_t t = 0;
  for (int64_t i = 0; i < op->kernel_h; i++) {
    int64_t row = y * op->stride_h + i * op->dilation_h - op->pad_top;
    for (int64_t j = 0; j < op->kernel_w; j++, t++) {
      int64_t column = x * op->stride_w + j * op->dilation_w - op->pad_left;
      int inside = row >= 0 && row < op->h && column >= 0 && column < op->w;
      r->taps[t] = inside ? r->image + (size_t)((row * op->w + column) * op->c) : r->zeros;
    }
  }
}

static void run_pixels(run *r, int8_t *out, size_t pixels) {
  const size_t c = r->s->channels;
  const vc_op *op = r->step->op;
  r->kernel.count = pixels * c;
  if (r->kernel.form != VC_FORM_RAW || !op->rounding) {
    r->step->kernels->depthwise(out, &r->kernel);
    return;
  }
  int32_t *acc = (int32_t *)(void *)(r->step->scratch + r->s->accumulators);
  const int32_t *rule = (const int32_t *)(const void *)(r->step->constants + r->s->rule_at);
  r->step->kernels->depthwise(acc, &r->kernel);
  for (size_t i = 0; i < r->kernel.count; i++) {
    int64_t v = vc_requantize(acc[i], rule[i % c], rule[c + i % c], (int32_t)op->rounding) + op->zero_out;
    out[i] = (int8_t)(v < op->low ? op->low : v > op->high ? op->high : v);
  }
}

static void run_row(run *r, int64_t y, int8_t *out) {
  const vc_op *op = r->step->op;
  /* outputs first..last have all their columns inside */
  int64_t first = (op->pad_left + op->stride_w - 1) / op->stride_w;
  int64_t reach = op->w - 1 + op->pad_left - (op->kernel_w - 1) * op->dilation_w;
  int64_t last = reach < 0 ? -1 : reach / op->stride_w;
  for (int64_t x = 0; x < op->out_w;) {
    int64_t pixels = 1;
    if (r->s->flat && x >= first && x <= last) pixels = (last < op->out_w - 1 ? last : op->out_w - 1) - x + 1;
    point_taps(r, y, x);
    run_pixels(r, out + (size_t)(x * op->c) * (op->rounding ? 1 : sizeof(int32_t)), (size_t)pixels);
    x += pixels;
  }
}

void vc_run_depthwise(const vc_step *step) {
  const vc_op *op = step->op;
  const vc_layout *layout = step->kernels->layout;
  const shape s = shape_of(op, layout);
  vc_form form;
  memcpy(&form, step->constants, sizeof form);
  run r = {step, &s, NULL, (const int8_t **)(void *)step->scratch, (const int8_t *)step->scratch + s.zeros,
           {(const int8_t *const *)(void *)step->scratch, s.groups, 0, s.period, step->constants + VC_ALIGN, s.block_bytes,
            form == VC_FORM_RULE ? VC_FORM_RAW : form, (int32_t)op->zero_out, (int32_t)op->low, (int32_t)op->high}};
  memset(step->scratch + s.zeros, (int)op->zero_a, s.accumulators - s.zeros);
  for (size_t t = s.taps; t < s.groups * layout->dw_group; t++) r.taps[t] = r.zeros;
  const size_t row_bytes = (size_t)(op->out_w * op->c) * (op->rounding ? 1 : sizeof(int32_t));
  for (size_t i = 0; i < step->samples; i++) {
    r.image = step->a + i * (size_t)op->a_size;
    for (int64_t y = 0; y < op->out_h; y++)
      run_row(&r, y, step->out + i * (size_t)op->out_size + (size_t)y * row_bytes);
  }
}
