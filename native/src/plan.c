/* SPDX-License-Identifier: Apache-2.0 */
/* A plan: every op checked when it is made, then run without checks. */
#include "plan.h"

#define MAX_DIMENSION ((int64_t)1 << 24)
/* Of one operand. Packed forms and scratch are at most 2^8 times as large, which has to stay within size_t. */
#define MAX_ELEMENTS ((int64_t)1 << (sizeof(size_t) < 8 ? 23 : 32))
#define MAX_SUMMANDS ((int64_t)1 << 23) /* bytes less a zero point, whose sum stays within int32 */
#define MAX_OPS ((int64_t)1 << 20)

static int within(int64_t v, int64_t low, int64_t high) { return v >= low && v <= high; }

/* The product of positive dimensions, or -1 where one is out of range or the product is absurd. */
static int64_t elements(const int64_t *dim, int64_t rank) {
  int64_t n = 1;
  for (int64_t d = 0; d < rank; d++) {
    if (!within(dim[d], 1, MAX_DIMENSION)) return -1;
    n *= dim[d];
    if (n > MAX_ELEMENTS) return -1;
  }
  return n;
}

/* Whether strided loops stay inside 0 .. size - 1. */
static int strides_inside(const int64_t *dim, const int64_t *stride, int64_t rank, int64_t base, int64_t size) {
  int64_t last = base;
  if (!within(base, 0, size - 1)) return 0;
  for (int64_t d = 0; d < rank; d++) {
    if (!within(stride[d], 0, MAX_ELEMENTS)) return 0;
    last += (dim[d] - 1) * stride[d];
    if (last >= size) return 0;
  }
  return 1;
}

static int scalar_requant(const vc_op *op, int k) {
  return within(op->multiplier[k], 0, INT32_MAX) && within(op->shift[k], -31, 30);
}

static int bytes_in_range(const vc_op *op) {
  return within(op->zero_a, -128, 127) && within(op->zero_b, -128, 127) && within(op->zero_out, -128, 127) &&
         within(op->low, -128, 127) && within(op->high, -128, 127);
}

static int window_ok(const vc_op *op) {
  const int64_t image[] = {op->h, op->w, op->c}, out[] = {op->out_h, op->out_w, op->out_c};
  const int64_t filter[] = {op->kernel_h, op->kernel_w, op->c};
  int64_t element = (op->kind == VC_KIND_CONV || op->kind == VC_KIND_DEPTHWISE) && !op->rounding ? 4 : 1;
  if (elements(image, 3) < 0 || elements(out, 3) < 0 || elements(filter, 3) < 0) return 0;
  if (op->a_size != elements(image, 3) || op->out_size != elements(out, 3) * element) return 0;
  const int64_t steps[] = {op->stride_h, op->stride_w, op->dilation_h, op->dilation_w};
  for (int k = 0; k < 4; k++)
    if (!within(steps[k], 1, 1 << 12)) return 0;
  if (!within(op->pad_top, 0, 1 << 24) || !within(op->pad_left, 0, 1 << 24)) return 0;
  /* every window holds a pixel, and none ends absurdly far outside */
  int64_t reach_h = (op->kernel_h - 1) * op->dilation_h, reach_w = (op->kernel_w - 1) * op->dilation_w;
  int64_t last_h = (op->out_h - 1) * op->stride_h - op->pad_top, last_w = (op->out_w - 1) * op->stride_w - op->pad_left;
  if (op->pad_top > reach_h || op->pad_left > reach_w || last_h >= op->h || last_w >= op->w) return 0;
  const int64_t framed[] = {last_h + op->pad_top + reach_h + 1, last_w + op->pad_left + reach_w + 1, op->c};
  return elements(framed, 3) >= 0;
}

static int32_t prepare_linear(vc_op *op, const vc_layout *layout) {
  if (!window_ok(op) || !within(op->rounding, 0, 2) ) return VC_EINVAL;
  if (op->kind == VC_KIND_DEPTHWISE) {
    if (op->out_c != op->c) return VC_EINVAL;
    op->constants_size = (int64_t)vc_depthwise_constants(op, layout);
    op->scratch_size = (int64_t)vc_depthwise_scratch(op, layout);
  } else {
    const int64_t filters[] = {op->out_c, op->kernel_h, op->kernel_w, op->c};
    if (elements(filters, 4) < 0) return VC_EINVAL;
    op->constants_size = (int64_t)vc_conv_constants(op, layout);
    op->scratch_size = (int64_t)vc_conv_scratch(op, layout);
  }
  return VC_OK;
}

static int32_t prepare_batch_matmul(vc_op *op, const vc_layout *layout) {
  const int64_t sizes[] = {op->h, op->c, op->out_c};
  int64_t leading = elements(op->dim, op->rank), r = op->rank;
  if (r > VC_MAX_RANK - 2 || leading < 0 || elements(sizes, 3) < 0) return VC_EINVAL;
  if (op->out_size / (op->h * op->out_c) != leading || op->out_size % (op->h * op->out_c)) return VC_EINVAL;
  int64_t a[VC_MAX_RANK], b[VC_MAX_RANK];
  for (int64_t d = 0; d < r; d++) a[d] = b[d] = op->dim[d];
  a[r] = op->h, a[r + 1] = b[r] = op->c, b[r + 1] = op->out_c;
  if (!strides_inside(a, op->a_stride, r + 2, 0, op->a_size)) return VC_EBOUNDS;
  if (!strides_inside(b, op->b_stride, r + 2, 0, op->b_size)) return VC_EBOUNDS;
  if (!within(op->rounding, 1, 2) || !scalar_requant(op, 0)) return VC_EINVAL;
  op->scratch_size = (int64_t)vc_batch_matmul_scratch(op, layout);
  return VC_OK;
}

static int32_t prepare_elementwise(vc_op *op) {
  if (!within(op->rank, 1, VC_MAX_RANK) || elements(op->dim, op->rank) != op->out_size) return VC_EINVAL;
  if (!strides_inside(op->dim, op->a_stride, op->rank, 0, op->a_size)) return VC_EBOUNDS;
  if (!strides_inside(op->dim, op->b_stride, op->rank, 0, op->b_size)) return VC_EBOUNDS;
  const int64_t inner = op->rank - 1;
  if (op->a_stride[inner] > 1 || op->b_stride[inner] > 1) return VC_EINVAL;
  if (op->kind == VC_KIND_MUL) {
    if (!within(op->rounding, 1, 2) || !scalar_requant(op, 0)) return VC_EINVAL;
  } else {
    for (int k = 0; k < 3; k++)
      if (!scalar_requant(op, k) || op->shift[k] > 0) return VC_EINVAL;
  }
  op->scratch_size = 2 * (int64_t)vc_round_up((size_t)op->dim[inner] + VC_OVERREAD, VC_ALIGN);
  return VC_OK;
}

static int32_t prepare_pool(vc_op *op) {
  if (!window_ok(op) || op->out_c != op->c || op->dilation_h != 1 || op->dilation_w != 1) return VC_EINVAL;
  if (op->kernel_h > op->h + 2 * MAX_DIMENSION || op->kernel_h * op->kernel_w > MAX_SUMMANDS) return VC_EINVAL;
  op->scratch_size = op->c * (int64_t)sizeof(int32_t);
  return VC_OK;
}

static int32_t prepare_mean(vc_op *op) {
  int64_t count = elements(op->reduce_dim, op->reduce_rank);
  if (!within(op->rank, 1, VC_MAX_RANK) || elements(op->dim, op->rank) != op->out_size) return VC_EINVAL;
  if (!within(op->reduce_rank, 0, VC_MAX_RANK) || !within(count, 1, MAX_SUMMANDS)) return VC_EINVAL;
  int64_t dim[2 * VC_MAX_RANK], stride[2 * VC_MAX_RANK], rank = 0;
  for (int64_t d = 0; d < op->rank; d++, rank++) dim[rank] = op->dim[d], stride[rank] = op->a_stride[d];
  for (int64_t d = 0; d < op->reduce_rank; d++, rank++) dim[rank] = op->reduce_dim[d], stride[rank] = op->reduce_stride[d];
  if (!strides_inside(dim, stride, rank, 0, op->a_size)) return VC_EBOUNDS;
  if (!within(op->rounding, 1, 2) || !scalar_requant(op, 0)) return VC_EINVAL;
  op->scratch_size = op->dim[op->rank - 1] * (int64_t)sizeof(int32_t);
  return VC_OK;
}

static int32_t prepare_copy(vc_op *op) {
  if (!within(op->rank, 1, VC_MAX_RANK) || elements(op->dim, op->rank) < 0) return VC_EINVAL;
  if (!strides_inside(op->dim, op->a_stride, op->rank, op->a_base, op->a_size)) return VC_EBOUNDS;
  if (!strides_inside(op->dim, op->out_stride, op->rank, op->out_base, op->out_size)) return VC_EBOUNDS;
  return VC_OK;
}

static int32_t prepare_softmax(vc_op *op) {
  if (!within(op->multiplier[0], 0, INT32_MAX) || !within(op->shift[0], 0, 31)) return VC_EINVAL;
  if (op->a_size != op->out_size || !within(op->dim[0], 1, 4095) || op->a_size % op->dim[0]) return VC_EINVAL;
  op->constants_size = 256 * (int64_t)sizeof(int32_t);
  return VC_OK;
}

static int32_t prepare_lookup(vc_op *op) {
  if (op->a_size != op->out_size || !within(op->rounding, 1, 2) || !scalar_requant(op, 0)) return VC_EINVAL;
  op->constants_size = 256;
  return VC_OK;
}

static int32_t prepare_kind(vc_op *op, const vc_layout *layout) {
  switch (op->kind) {
    case VC_KIND_CONV:
    case VC_KIND_DEPTHWISE:
      return prepare_linear(op, layout);
    case VC_KIND_BATCH_MATMUL:
      return prepare_batch_matmul(op, layout);
    case VC_KIND_ADD:
    case VC_KIND_MUL:
      return prepare_elementwise(op);
    case VC_KIND_AVERAGE_POOL:
    case VC_KIND_MAX_POOL:
      return prepare_pool(op);
    case VC_KIND_MEAN:
      return prepare_mean(op);
    case VC_KIND_COPY:
      return prepare_copy(op);
    case VC_KIND_FILL:
      return VC_OK;
    case VC_KIND_SOFTMAX:
      return prepare_softmax(op);
    case VC_KIND_LOOKUP:
      return prepare_lookup(op);
    case VC_KIND_CONSTANT:
      op->constants_size = op->out_size;
      return VC_OK;
    default:
      return VC_EINVAL;
  }
}

int32_t vc_op_prepare(vc_op *op, int64_t block) {
  if (!within(block, 1, MAX_DIMENSION) || !within(op->rank, 0, VC_MAX_RANK) || !bytes_in_range(op)) return VC_EINVAL;
  if (!within(op->a_size, 0, MAX_ELEMENTS) || !within(op->b_size, 0, MAX_ELEMENTS)) return VC_EINVAL;
  if (!within(op->out_size, 1, 4 * MAX_ELEMENTS)) return VC_EINVAL;
  op->constants_size = op->scratch_size = 0;
  int32_t status = prepare_kind(op, vc_int8()->layout);
  op->constants_size = (int64_t)vc_round_up((size_t)op->constants_size, VC_ALIGN);
  op->scratch_size = (int64_t)vc_round_up((size_t)op->scratch_size, VC_ALIGN);
  return status;
}

static int channels_ok(const vc_op *op, const int32_t *multiplier, const int8_t *shift) {
  for (int64_t i = 0; i < op->out_c; i++)
    if (multiplier[i] < 0 || !within(shift[i], -31, 30)) return 0;
  return 1;
}

int32_t vc_op_pack(uint8_t *constants, const vc_op *op, const int8_t *filter, const int32_t *bias,
                   const int32_t *multiplier, const int8_t *shift) {
  const vc_layout *layout = vc_int8()->layout;
  const vc_channels channels = {filter, bias, multiplier, shift};
  switch (op->kind) {
    case VC_KIND_CONV:
    case VC_KIND_DEPTHWISE:
      if (!filter || (op->rounding && (!bias || !multiplier || !shift))) return VC_EINVAL;
      if (op->rounding && !channels_ok(op, multiplier, shift)) return VC_EINVAL;
      if (op->kind == VC_KIND_CONV)
        vc_conv_pack(constants, op, layout, &channels);
      else
        vc_depthwise_pack(constants, op, layout, &channels);
      return VC_OK;
    case VC_KIND_SOFTMAX:
      vc_softmax_pack(constants, op);
      return VC_OK;
    case VC_KIND_LOOKUP:
      if (filter)
        memcpy(constants, filter, 256);
      else
        vc_lookup_pack(constants, op);
      return VC_OK;
    case VC_KIND_CONSTANT:
      if (!filter) return VC_EINVAL;
      memcpy(constants, filter, (size_t)op->out_size);
      return VC_OK;
    default:
      return VC_OK; /* needs no constants */
  }
}

/* Whether `block` samples of `size` bytes at `offset` stay inside `room`, aligned and with what kernels over-read. */
static int placed(int64_t offset, int64_t size, int64_t block, int64_t room) {
  return within(offset, 0, room) && offset % VC_ALIGN == 0 && size * block <= room - offset - VC_OVERREAD;
}

/* Whether no byte belongs to both. */
static int disjoint(int64_t a, int64_t a_size, int64_t b, int64_t b_size) { return a + a_size <= b || b + b_size <= a; }

/* Whether an op writes none of its operands while it reads them, nor its scratch with its result. */
static int separate(const vc_op *op, int64_t block) {
  const int64_t out_size = op->out_size * block, a_size = op->a_size * block, b_size = op->b_size * block;
  return disjoint(op->out, out_size, op->a, a_size) && disjoint(op->out, out_size, op->b, b_size) &&
         disjoint(op->scratch, op->scratch_size, op->out, out_size) &&
         disjoint(op->scratch, op->scratch_size, op->a, a_size) && disjoint(op->scratch, op->scratch_size, op->b, b_size);
}

int32_t vc_plan_check(const vc_op *ops, int64_t count, int64_t block, int64_t arena_size, int64_t constants_size) {
  int64_t constants_end = 0; /* of the ops before */
  if (!within(count, 0, MAX_OPS) || !within(block, 1, MAX_DIMENSION)) return VC_EINVAL;
  if (arena_size < 0 || constants_size < 0) return VC_EBOUNDS;
  for (int64_t i = 0; i < count; i++) {
    vc_op op = ops[i];
    int32_t status = vc_op_prepare(&op, block);
    if (status != VC_OK) return status;
    if (op.constants_size != ops[i].constants_size || op.scratch_size != ops[i].scratch_size) return VC_EINVAL;
    if (!placed(op.a, op.a_size, block, arena_size) || !placed(op.b, op.b_size, block, arena_size) ||
        !placed(op.out, op.out_size, block, arena_size) || !placed(op.scratch, op.scratch_size, 1, arena_size) ||
        !separate(&op, block))
      return VC_EBOUNDS;
    if (!op.constants_size) continue;
    if (!within(op.constants, constants_end, constants_size) || op.constants % VC_ALIGN ||
        op.constants_size > constants_size - op.constants)
      return VC_EBOUNDS;
    constants_end = op.constants + op.constants_size;
  }
  return VC_OK;
}

static void run_step(const vc_step *step) {
  switch (step->op->kind) {
    case VC_KIND_CONV:
      vc_run_conv(step);
      break;
    case VC_KIND_DEPTHWISE:
      vc_run_depthwise(step);
      break;
    case VC_KIND_BATCH_MATMUL:
      vc_run_batch_matmul(step);
      break;
    case VC_KIND_ADD:
      vc_run_add(step);
      break;
    case VC_KIND_MUL:
      vc_run_mul(step);
      break;
    case VC_KIND_AVERAGE_POOL:
      vc_run_average_pool(step);
      break;
    case VC_KIND_MAX_POOL:
      vc_run_max_pool(step);
      break;
    case VC_KIND_MEAN:
      vc_run_mean(step);
      break;
    case VC_KIND_COPY:
      vc_run_copy(step);
      break;
    case VC_KIND_FILL:
      vc_run_fill(step);
      break;
    case VC_KIND_SOFTMAX:
      vc_run_softmax(step);
      break;
    case VC_KIND_LOOKUP:
      vc_run_lookup(step);
      break;
    default:
      vc_run_constant(step);
      break;
  }
}

int32_t vc_plan_run_until(const int32_t *stop, const vc_op *ops, int64_t count, const uint8_t *constants, uint8_t *arena,
                          int64_t block, int64_t samples, const vc_port *inputs, int64_t n_inputs,
                          const vc_port *outputs, int64_t n_outputs) {
  const vc_int8_kernels *kernels = vc_int8();
  for (int64_t first = 0; first < samples; first += block) {
    const int64_t n = samples - first < block ? samples - first : block;
    for (int64_t i = 0; i < n_inputs; i++)
      memcpy(arena + inputs[i].offset, inputs[i].data + first * inputs[i].size, (size_t)(n * inputs[i].size));
    for (int64_t i = 0; i < count; i++) {
      const vc_op *op = &ops[i];
      const vc_step step = {op, kernels, constants + op->constants, arena + op->scratch, (const int8_t *)arena + op->a,
                            (const int8_t *)arena + op->b, (int8_t *)arena + op->out, (size_t)n};
      if (stop != NULL && *(const volatile int32_t *)stop != 0)
        return VC_STOPPED;
      run_step(&step);
    }
    for (int64_t i = 0; i < n_outputs; i++)
      memcpy(outputs[i].data + first * outputs[i].size, arena + outputs[i].offset, (size_t)(n * outputs[i].size));
  }
  return VC_OK;
}

void vc_plan_run(const vc_op *ops, int64_t count, const uint8_t *constants, uint8_t *arena, int64_t block,
                 int64_t samples, const vc_port *inputs, int64_t n_inputs, const vc_port *outputs, int64_t n_outputs) {
  (void)vc_plan_run_until(NULL, ops, count, constants, arena, block, samples, inputs, n_inputs, outputs, n_outputs);
}
