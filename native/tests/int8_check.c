/* SPDX-License-Identifier: Apache-2.0 */
/* Every table of int8 kernels that this build has and this processor can run, against the rule written out: random
 * shapes, odd and misaligned sizes, operands at the end of their memory. `int8_check [rounds]` prints what ran;
 * `int8_check list` the processor's features, the tables with the features they need, best first, and the one in use. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu.h"
#include "int8.h"
#include "pack.h"
#include "vcompute.h"

static uint64_t state = 0x9e3779b97f4a7c15u;
static long passed, failed;

static uint32_t rnd(uint32_t below) {
  state ^= state << 13, state ^= state >> 7, state ^= state << 17;
  return (uint32_t)((state >> 11) % below);
}

static int32_t between(int32_t low, int32_t high) { return low + (int32_t)rnd((uint32_t)high - (uint32_t)low + 1); }

static int8_t byte(void) { return (int8_t)(rnd(4) ? between(-128, 127) : rnd(2) ? -128 : 127); }

static void *fresh(size_t n) { /* aligned, and at the end of its block but for what kernels may over-read */
  void *p = aligned_alloc(VC_ALIGN, vc_round_up(n + VC_OVERREAD, VC_ALIGN));
  if (!p) exit(2);
  memset(p, 0x55, n + VC_OVERREAD);
  return p;
}

static int8_t *bytes(size_t n) {
  int8_t *p = fresh(n);
  for (size_t i = 0; i < n; i++) p[i] = byte();
  return p;
}

static void check(int ok, const char *table, const char *what, size_t a, size_t b, size_t c) {
  if (ok) {
    passed++;
    return;
  }
  failed++;
  if (failed < 20) printf("FAILED %s %s %zu %zu %zu\n", table, what, a, b, c);
}

/* Random channels that all fit one form. */
static vc_form channels(vc_channel *c, size_t n, size_t depth, const vc_quant *q) {
  for (size_t i = 0; i < n; i++) {
    c[i].bias = between(-100000, 100000);
    c[i].multiplier = rnd(8) ? between(1 << 30, INT32_MAX) : rnd(2) ? 1 << 30 : rnd(2) ? 0 : between(0, 1 << 20);
    c[i].shift = rnd(8) ? -between(3, 12) : -between(1, 31);
    c[i].bound = (int64_t)depth * 255 * 128 + 100000;
    c[i].sum = 0;
  }
  return vc_choose_form(c, n, q);
}

static int8_t requantized(int64_t acc, const vc_channel *c, const vc_quant *q, int32_t high) {
  if (c->multiplier == 0) acc = 0;
  int64_t y = vc_requantize((int32_t)acc, c->multiplier, c->shift, q->rounding) + q->zero_out;
  return (int8_t)(y < q->low ? q->low : y > high ? high : y);
}

static vc_quant random_quant(int32_t *high) {
  vc_quant q = {rnd(2) ? VC_ROUND_DOUBLE : VC_ROUND_SINGLE, between(-128, 127), between(-128, 127), 0};
  q.low = rnd(2) ? -128 : q.zero_out;
  *high = rnd(2) ? 127 : between(q.low, 127);
  return q;
}

static void gemm_once(const vc_int8_kernels *t) {
  const vc_layout *l = t->layout;
  const size_t m = 1 + rnd(rnd(4) ? 15 : VC_ROWS), n = 1 + rnd(rnd(2) ? 20 : 150), depth = 1 + rnd(rnd(2) ? 9 : 90);
  const size_t segments = 1 + rnd(3), groups = (depth + l->kr - 1) / l->kr, padded = groups * l->kr;
  const int raw = rnd(3) == 0;
  int32_t high;
  const vc_quant q = random_quant(&high);
  vc_channel *c = fresh(n * sizeof *c);
  int8_t *w = bytes(n * segments * depth);
  vc_form form = channels(c, n, segments * depth, &q);
  if (form == VC_FORM_RULE || raw) form = VC_FORM_RAW;
  for (size_t j = 0; j < n; j++)
    for (size_t k = 0; k < segments * depth; k++) c[j].sum += w[j * segments * depth + k];
  const vc_product p = {n, segments, depth};
  const size_t panels = vc_panels(l, &p), panel_bytes = vc_panel_bytes(l, &p);
  uint8_t *packed = fresh(panels * panel_bytes), *params = fresh(panels * vc_params_bytes(l->nr));
  for (size_t panel = 0; panel < panels; panel++) {
    const size_t first = panel * l->nr, width = n - first < l->nr ? n - first : l->nr;
    vc_pack_panel(packed + panel * panel_bytes, l, &p, panel, w, segments * depth, 1, c, form);
    uint8_t *at = params + panel * vc_params_bytes(l->nr);
    vc_pack_params(at, l, form, &q, l->x_offset, c + first, width, NULL);
    vc_fold(at, l, packed + panel * panel_bytes, segments * groups);
  }
  const size_t stride = padded + rnd(3); /* between segments; rows may overlap or not */
  const void *rows[VC_ROWS];
  int8_t *x[VC_ROWS], *row_bytes[VC_ROWS];
  for (size_t i = 0; i < m; i++) {
    const size_t skew = rnd(4);
    row_bytes[i] = bytes(skew + (segments - 1) * stride + depth);
    rows[i] = x[i] = row_bytes[i] + skew;
  }
  vc_rows a = {rows, m, segments, stride, groups};
  uint8_t *arranged = fresh(vc_row_scratch(l, segments * padded));
  if (t->arrange) t->arrange(&a, arranged);
  const vc_columns b = {packed, params, panel_bytes, n, form, q.zero_out, q.low, high};
  const size_t out_stride = n + rnd(5), element = form == VC_FORM_RAW ? 4 : 1;
  uint8_t *out = fresh(m * out_stride * element);
  t->gemm(out, out_stride, &a, &b);
  int ok = 1;
  for (size_t i = 0; i < m; i++) {
    for (size_t j = 0; j < out_stride; j++) {
      if (j >= n) { /* untouched */
        for (size_t e = 0; e < element; e++) ok &= out[(i * out_stride + j) * element + e] == 0x55;
        continue;
      }
      int64_t acc = c[j].bias;
      for (size_t s = 0; s < segments; s++)
        for (size_t k = 0; k < depth; k++)
          acc += (x[i][s * stride + k] - q.zero_in) * w[(j * segments + s) * depth + k];
      if (form == VC_FORM_RAW)
        ok &= ((int32_t *)(void *)out)[i * out_stride + j] == (int32_t)acc;
      else
        ok &= ((int8_t *)out)[i * out_stride + j] == requantized(acc, &c[j], &q, high);
    }
  }
  check(ok, t->name, form == VC_FORM_RAW ? "gemm raw" : form == VC_FORM_FLOOR ? "gemm floor" : "gemm signed", m, n, depth);
  for (size_t i = 0; i < m; i++) {
    free(row_bytes[i]);
  }
  free(out), free(packed), free(params), free(w), free(c), free(arranged);
}

/* A table's own packing against the general one, byte for byte. */
static void pack_once(const vc_int8_kernels *t) {
  if (!t->pack) return;
  const size_t nr = t->layout->nr, quads = 1 + rnd(40), stride = nr + rnd(90), skew = rnd(64);
  const vc_product p = {nr, 1, 4 * quads};
  const size_t panel_bytes = vc_panel_bytes(t->layout, &p), params_bytes = vc_params_bytes(nr);
  const vc_quant quant = {0, 0, 0, 0};
  int8_t *matrix = bytes(skew + (4 * quads - 1) * stride + nr), *b = matrix + skew;
  vc_channel c[VC_MAX_NR];
  int32_t bias[VC_MAX_NR];
  for (size_t j = 0; j < nr; j++) {
    c[j] = (vc_channel){bias[j] = between(-100000, 100000), 1, -1, 0, 0};
    for (size_t k = 0; k < 4 * quads; k++) c[j].sum += b[k * stride + j];
  }
  uint8_t *wanted = fresh(panel_bytes), *params = fresh(params_bytes), *got = fresh(panel_bytes);
  vc_pack_panel(wanted, t->layout, &p, 0, b, 1, stride, c, VC_FORM_RAW);
  vc_pack_params(params, t->layout, VC_FORM_RAW, &quant, t->layout->x_offset, c, nr, NULL);
  vc_fold(params, t->layout, wanted, 4 * quads / t->layout->kr);
  t->pack(got, bias, b, stride, quads);
  check(!memcmp(got, wanted, panel_bytes) && !memcmp(bias, params, nr * sizeof *bias), t->name, "pack", quads, stride, skew);
  free(matrix), free(wanted), free(params), free(got);
}

/* CONV and DEPTHWISE through a plan of one op, with the table in use. */
static void plan_once(const char *name) {
  vc_op op;
  memset(&op, 0, sizeof op);
  const int depthwise = rnd(2) == 0;
  int32_t high;
  const vc_quant q = random_quant(&high);
  op.kind = depthwise ? VC_KIND_DEPTHWISE : VC_KIND_CONV;
  op.rounding = q.rounding, op.zero_a = q.zero_in, op.zero_out = q.zero_out, op.low = q.low, op.high = high;
  op.kernel_h = 1 + rnd(4), op.kernel_w = 1 + rnd(4), op.stride_h = 1 + rnd(2), op.stride_w = 1 + rnd(2);
  op.dilation_h = 1 + (rnd(4) == 0), op.dilation_w = 1 + (rnd(4) == 0);
  op.pad_top = rnd((uint32_t)((op.kernel_h - 1) * op.dilation_h + 1));
  op.pad_left = rnd((uint32_t)((op.kernel_w - 1) * op.dilation_w + 1));
  op.out_h = 1 + rnd(6), op.out_w = 1 + rnd(9);
  op.h = (op.out_h - 1) * op.stride_h - op.pad_top + 1 + rnd((uint32_t)((op.kernel_h - 1) * op.dilation_h + 1));
  op.w = (op.out_w - 1) * op.stride_w - op.pad_left + 1 + rnd((uint32_t)((op.kernel_w - 1) * op.dilation_w + 1));
  if (op.h < 1 || op.w < 1) return;
  op.c = 1 + rnd(rnd(2) ? 70 : 9);
  op.out_c = depthwise ? op.c : 1 + rnd(70);
  op.a_size = op.h * op.w * op.c, op.out_size = op.out_h * op.out_w * op.out_c;
  const int64_t block = 2;
  if (vc_op_prepare(&op, block) != VC_OK) {
    check(0, name, "prepare", (size_t)op.kind, (size_t)op.h, (size_t)op.w);
    return;
  }
  const size_t taps = (size_t)(op.kernel_h * op.kernel_w), n = (size_t)op.out_c, c = (size_t)op.c;
  int8_t *filter = bytes(taps * c * (depthwise ? 1 : n)), *shift = fresh(n), *x = bytes((size_t)(block * op.a_size));
  int32_t *bias = fresh(4 * n), *multiplier = fresh(4 * n);
  vc_channel *ch = fresh(n * sizeof *ch);
  channels(ch, n, taps * (depthwise ? 1 : c), &q);
  for (size_t i = 0; i < n; i++) bias[i] = ch[i].bias, multiplier[i] = ch[i].multiplier, shift[i] = (int8_t)ch[i].shift;
  if (rnd(3) == 0) shift[rnd((uint32_t)n)] = 0; /* no vector form: the rule, one by one */
  const int64_t a_end = (int64_t)vc_round_up((size_t)(op.a_size * block) + VC_OVERREAD, VC_ALIGN);
  const int64_t out_end = a_end + (int64_t)vc_round_up((size_t)(op.out_size * block) + VC_OVERREAD, VC_ALIGN);
  op.out = a_end, op.scratch = out_end;
  const int64_t arena_size = out_end + op.scratch_size + VC_OVERREAD;
  uint8_t *constants = fresh((size_t)op.constants_size), *arena = fresh((size_t)arena_size);
  int8_t *out = fresh((size_t)(block * op.out_size));
  int ok = vc_op_pack(constants, &op, filter, bias, multiplier, shift) == VC_OK &&
           vc_plan_check(&op, 1, block, arena_size, op.constants_size) == VC_OK;
  vc_port in = {(uint8_t *)x, 0, op.a_size}, to = {(uint8_t *)out, op.out, op.out_size};
  vc_plan_run(&op, 1, constants, arena, block, block, &in, 1, &to, 1);
  for (int64_t s = 0; s < block; s++)
    for (int64_t oy = 0; oy < op.out_h; oy++)
      for (int64_t ox = 0; ox < op.out_w; ox++)
        for (size_t j = 0; j < n; j++) {
          int64_t acc = bias[j];
          for (size_t t = 0; t < taps; t++) {
            const int64_t y = oy * op.stride_h + (int64_t)t / op.kernel_w * op.dilation_h - op.pad_top;
            const int64_t px = ox * op.stride_w + (int64_t)t % op.kernel_w * op.dilation_w - op.pad_left;
            if (y < 0 || y >= op.h || px < 0 || px >= op.w) continue;
            const int8_t *pixel = x + s * op.a_size + (y * op.w + px) * op.c;
            if (depthwise)
              acc += (pixel[j] - q.zero_in) * filter[t * c + j];
            else
              for (size_t k = 0; k < c; k++) acc += (pixel[k] - q.zero_in) * filter[(j * taps + t) * c + k];
          }
          const vc_channel one = {0, multiplier[j], shift[j], 0, 0};
          ok &= out[s * op.out_size + (oy * op.out_w + ox) * op.out_c + (int64_t)j] == requantized(acc, &one, &q, high);
        }
  check(ok, name, depthwise ? "plan depthwise" : "plan conv", (size_t)op.c, n, taps);
  free(filter), free(shift), free(x), free(bias), free(multiplier), free(ch), free(constants), free(arena), free(out);
}

static void elementwise_once(const vc_int8_kernels *t) {
  const size_t n = rnd(200), skew = rnd(5);
  int8_t *a = bytes(n + skew), *b = bytes(n + skew), *out = fresh(n + 1), table[256];
  int32_t m[3], s[3];
  for (int k = 0; k < 3; k++) {
    m[k] = rnd(3) ? between(1 << 30, INT32_MAX) : rnd(3) ? 1 << 30 : INT32_MAX - (int32_t)rnd(1 << 16);
    s[k] = k == 2 ? -between(15, 31) : rnd(4) ? -between(0, 6) : rnd(2) ? 0 : -between(0, 31);
  }
  vc_add op = {between(-128, 127), between(-128, 127), between(-128, 127), -128, between(0, 127), {m[0], m[1], m[2]},
               {{0, 0, 0}}};
  for (int k = 0; k < 3; k++) op.normal[k] = vc_normal_form(VC_FORM_SIGNED, s[k], VC_ROUND_DOUBLE);
  t->add(out, a + skew, b + skew, n, &op);
  int ok = out[n] == 0x55;
  for (size_t i = 0; i < n; i++) {
    int32_t x = vc_requantize((a[i + skew] - op.zero_a) * (1 << 20), m[0], s[0], VC_ROUND_DOUBLE);
    int32_t y = vc_requantize((b[i + skew] - op.zero_b) * (1 << 20), m[1], s[1], VC_ROUND_DOUBLE);
    ok &= out[i] == vc_clamp(vc_requantize(x + y, m[2], s[2], VC_ROUND_DOUBLE) + op.zero, op.low, op.high);
  }
  check(ok, t->name, "add", n, skew, 0);
  for (int i = 0; i < 256; i++) table[i] = byte();
  t->lookup(out, (const uint8_t *)a + skew, n, table);
  ok = out[n] == 0x55;
  for (size_t i = 0; i < n; i++) ok &= out[i] == table[(uint8_t)a[i + skew]];
  check(ok, t->name, "lookup", n, skew, 0);
  free(a), free(b), free(out);
}

static void product_once(const char *name) {
  const int deep = rnd(8) == 0; /* more than one piece, mostly */
  const size_t m = 1 + rnd(deep ? 9 : 70), k = 1 + rnd(deep ? 9000 : 200), n = 1 + rnd(rnd(4) ? 70 : 300), skew = rnd(4);
  int8_t *left = bytes(m * k + skew), *right = bytes(k * n + skew), *a = left + skew, *b = right + skew;
  uint8_t *packed = fresh(vc_matmul_packed_bytes(k, n)), *scratch = fresh(vc_matmul_scratch_bytes(k, n));
  int32_t *out = fresh(4 * m * n);
  vc_matmul_pack(packed, b, k, n);
  vc_matmul_rows(out, a, packed, m, k, n, scratch);
  int ok = 1;
  for (size_t i = 0; i < m; i++)
    for (size_t j = 0; j < n; j++) {
      int32_t sum = 0;
      for (size_t l = 0; l < k; l++) sum += a[i * k + l] * b[l * n + j];
      ok &= out[i * n + j] == sum;
    }
  check(ok, name, "matmul", m, k, n);
  free(left), free(right), free(packed), free(scratch), free(out);
}

/* The normal forms against the rule, over values around every rounding boundary. */
static void forms(long rounds) {
  int ok = 1;
  for (long i = 0; i < rounds; i++) {
    const int32_t shift = -between(1, 31), m = rnd(4) ? between(1 << 30, INT32_MAX) : between(0, INT32_MAX);
    int32_t x = (int32_t)(rnd(1u << 31) >> rnd(30)) & ((1 << 30) - 1);
    if (rnd(2)) x = -x;
    for (int32_t rounding = 1; rounding <= 2; rounding++) {
      const int32_t y = vc_requantize(x, m, shift, rounding);
      const int32_t f = vc_requantize_normal(x, m, vc_normal_form(VC_FORM_FLOOR, shift, rounding), VC_FORM_FLOOR);
      ok &= rounding == VC_ROUND_SINGLE ? y == f : (y > 0 ? y : 0) == (f > 0 ? f : 0);
      if (rounding == VC_ROUND_DOUBLE)
        ok &= y == vc_requantize_normal(x, m, vc_normal_form(VC_FORM_SIGNED, shift, rounding), VC_FORM_SIGNED);
    }
  }
  check(ok, "forms", "equal the rule", 0, 0, 0);
}

static void list(void) {
  for (int32_t i = 0; vc_cpu_feature_name(i); i++)
    if (vc_cpu_feature_state(i)) printf("feature %s\n", vc_cpu_feature_name(i));
  for (size_t i = 0; vc_int8_table(i); i++) {
    printf("table %s", vc_int8_table(i)->name);
#define VC_CPU_ROW(bit, name, text) \
  if (vc_int8_table(i)->needs >> (bit) & 1) printf(" %s", text);
    VC_CPU_FEATURES(VC_CPU_ROW)
#undef VC_CPU_ROW
    printf("\n");
  }
  printf("plan %s\n", vc_int8_name());
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "list") == 0) {
    list();
    return 0;
  }
  const long rounds = argc > 1 ? atol(argv[1]) : 300;
  forms(rounds * 1000);
  for (size_t i = 0; vc_int8_table(i); i++) {
    const vc_int8_kernels *t = vc_int8_table(i);
    if (!vc_cpu_has(t->needs)) {
      printf("absent %s\n", t->name);
      continue;
    }
    printf("tested %s\n", t->name);
    for (long r = 0; r < rounds; r++) gemm_once(t), elementwise_once(t), pack_once(t);
  }
  printf("plan %s\n", vc_int8_name());
  for (long r = 0; r < rounds; r++) plan_once(vc_int8_name()), product_once(vc_int8_name());
  printf("%ld passed, %ld failed\n", passed, failed);
  return failed != 0;
}
