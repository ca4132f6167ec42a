/* SPDX-License-Identifier: Apache-2.0 */
/* SOFTMAX in fixed point. A number Qi.f has i integer bits and f = 31 - i fraction bits. The exponential and the
 * reciprocal are those of the fixed-point library that TensorFlow Lite's reference kernel defines int8 SOFTMAX by; the
 * exponential has a domain of 256 differences of bytes and is tabulated at pack time. */
#include "plan.h"

/* Product of two Q0.31 numbers, rounded: (2 a b + 2^31) >> 32, saturating. */
static int32_t mul_q31(int32_t a, int32_t b) {
  if (a == INT32_MIN && b == INT32_MIN) return INT32_MAX;
  return (int32_t)vc_sra64((int64_t)a * b + ((int64_t)1 << 30), 31);
}

/* x / 2^e, ties away from zero. */
static int32_t divide_pot(int32_t x, int e) {
  if (e > 31) return 0;
  int32_t mask = (int32_t)(((int64_t)1 << e) - 1);
  return vc_sra32(x, e) + ((x & mask) > (mask >> 1) + (x < 0));
}

static int32_t shift_left_saturating(int32_t x, int e) {
  int64_t v = (int64_t)x * ((int64_t)1 << e);
  return v > INT32_MAX ? INT32_MAX : v < INT32_MIN ? INT32_MIN : (int32_t)v;
}

/* exp(a) for a in [-1/4, 0), Q0.31: the Taylor polynomial of degree 4 around -1/8. */
static int32_t exp_quarter(int32_t a) {
  const int32_t exp_eighth = 1895147668 /* exp(-1/8) */, third = 715827883 /* 1/3 */;
  int32_t x = a + (1 << 28), x2 = mul_q31(x, x), x3 = mul_q31(x2, x), x4 = mul_q31(x2, x2);
  int32_t tail = divide_pot(mul_q31(divide_pot(x4, 2) + x3, third) + x2, 1);
  return exp_eighth + mul_q31(exp_eighth, x + tail);
}

/* exp(a) for a <= 0 in Q(bits).(31 - bits), bits at most 5; Q0.31. */
static int32_t exp_negative(int32_t a, int bits) {
  static const int32_t factors[] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
  /* exp(-2^k) for k = -2 .. 4 */
  if (a == 0) return INT32_MAX;
  const int fraction = 31 - bits;
  const int32_t quarter = (int32_t)1 << (fraction - 2);
  const int32_t less = (a & (quarter - 1)) - quarter, rest = less - a;
  int32_t result = exp_quarter(shift_left_saturating(less, bits));
  for (int k = -2; k < bits; k++)
    if (rest & ((int32_t)1 << (fraction + k))) result = mul_q31(result, factors[k + 2]);
  return result;
}

/* 1 / (1 + x) for x in [0, 1], Q0.31: three steps of Newton's method from 48/17 - 32/17 d, in Q2.29. */
static int32_t reciprocal_one_plus(int32_t x) {
  const int32_t c48 = 1515870810, c32 = -1010580540, one = 1 << 29;
  int64_t sum = (int64_t)x + INT32_MAX;
  int32_t half = (int32_t)((sum + 1) / 2); /* (1 + x) / 2, rounded; sum is not negative */
  int32_t y = c48 + mul_q31(half, c32);
  for (int i = 0; i < 3; i++) y += shift_left_saturating(mul_q31(y, one - mul_q31(half, y)), 2);
  return shift_left_saturating(y, 1);
}

/* The greatest |x| whose rescaled value fits in `bits` integer bits. */
static int64_t input_radius(int bits, int64_t shift) {
  return ((((int64_t)1 << bits) - 1) * ((int64_t)1 << (31 - bits))) >> shift;
}

static int32_t rescale(int64_t x, const vc_op *op) {
  return mul_q31((int32_t)(x * ((int64_t)1 << op->shift[0])), (int32_t)op->multiplier[0]);
}

/* Entry d: exp of a difference of -d, Q0.31; -1 from where it is out of range. */
void vc_softmax_pack(uint8_t *out, const vc_op *op) {
  int32_t *table = (int32_t *)(void *)out;
  for (int32_t d = 0; d < 256; d++)
    table[d] = d > input_radius(5, op->shift[0]) ? -1 : exp_negative(rescale(-d, op), 5);
}

static int leading_zeros(uint32_t x) {
  int n = 0;
  while (n < 32 && !(x >> (31 - n))) n++;
  return n;
}

void vc_run_softmax(const vc_step *step) {
  const vc_op *op = step->op;
  const int32_t *table = (const int32_t *)(const void *)step->constants;
  const size_t length = (size_t)op->dim[0], rows = (size_t)op->a_size / length * step->samples;
  for (size_t row = 0; row < rows; row++) {
    const int8_t *x = step->a + row * length;
    int8_t *out = step->out + row * length;
    int8_t top = -128;
    for (size_t i = 0; i < length; i++) top = x[i] > top ? x[i] : top;
    uint32_t sum = 0; /* Q12.19 */
    for (size_t i = 0; i < length; i++)
      if (table[top - x[i]] >= 0) sum += (uint32_t)divide_pot(table[top - x[i]], 12);
    const int headroom = leading_zeros(sum);
    const int32_t scale = reciprocal_one_plus((int32_t)((sum << headroom) - ((uint32_t)1 << 31)));
    const int shift = 12 - headroom + 31 - 8;
    for (size_t i = 0; i < length; i++) {
      int32_t e = table[top - x[i]];
      out[i] = (int8_t)vc_clamp((e < 0 ? 0 : divide_pot(mul_q31(scale, e), shift)) - 128, -128, 127);
    }
  }
}
