/* SPDX-License-Identifier: Apache-2.0 */
/* Run the kernels of the field and of hashing on inputs drawn from a counter, and print what they give, one line each:
 * tests/cross compares it with the numpy twin, whatever processor it ran on.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "vcompute.h"

#define P UINT64_C(0xffffffff00000001)

static uint64_t counter;

/* splitmix64 of a counter, reduced; every eighth word is near an edge. */
static uint64_t draw(void) {
  uint64_t z = ++counter * UINT64_C(0x9e3779b97f4a7c15);
  if (counter % 8 == 0) return P - 1 - counter / 8 % 3;
  z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
  z ^= z >> 31;
  return z >= P ? z - P : z;
}

static void fill(uint64_t *words, size_t n) {
  for (size_t i = 0; i < n; i++) words[i] = draw();
}

static void print(const char *name, const void *data, size_t bytes) {
  printf("%s ", name);
  for (size_t i = 0; i < bytes; i++) printf("%02x", ((const uint8_t *)data)[i]);
  printf("\n");
}

static void encode(uint64_t *out, const uint64_t *lanes, size_t count, uint32_t log_lane, uint32_t words, uint32_t rate_bits) {
  static uint64_t table[1 << 8], scratch[1 << 12];
  vc_rs_twiddles(table, log_lane, rate_bits);
  vc_rs_begin(out, lanes, count, log_lane, words, rate_bits, table, 0, vc_rs_rows(log_lane), scratch);
  vc_rs_finish(out, count * words, log_lane, table, 0, vc_rs_blocks(log_lane, rate_bits));
}

#define N 77

int main(void) {
  static uint64_t a[2 * N], b[2 * N], out[1 << 12], lanes[2 * 5 << 4], scratch[1 << 12];
  uint8_t digests[64 * 27], nodes[32 * 27], seed[32];
  fill(a, 2 * N);
  fill(b, 2 * N);
  vc_gl_add_n(out, a, b, 2 * N), print("add", out, 16 * N);
  vc_gl_sub_n(out, a, b, 2 * N), print("sub", out, 16 * N);
  vc_gl_mul_n(out, a, b, 2 * N), print("mul", out, 16 * N);
  vc_ext_mul_n(out, a, b, N), print("ext_mul", out, 16 * N);
  vc_ext_inverse_n(out, a, N, scratch), print("ext_inverse", out, 16 * N);
  vc_ext_dot(out, a, b, N), print("dot_ext", out, 16);
  vc_ext_dot_base(out, a, b, N), print("dot_base", out, 16);
  vc_fold_base(out, a, a + N, b, N), print("fold_base", out, 16 * N);
  vc_fold_ext(out, a, a + N - 1, b, N / 2), print("fold_ext", out, 16 * (N / 2));
  vc_eq_tensor(out, a, 5, b), print("eq_tensor", out, 16 * 32);
  fill(lanes, 2 * 5 << 4);
  encode(out, lanes, 10, 4, 1, 2), print("encode_base", out, 8 * 10 << 6);
  encode(out, lanes, 5, 4, 2, 1), print("encode_ext", out, 8 * 10 << 5);
  vc_hash_rows(digests, out, 32, 10), print("hash_rows", digests, 32 * 27);
  vc_hash_pairs(nodes, digests, 16), print("hash_pairs", nodes, 16 * 27);
  memset(seed, 7, sizeof seed);
  printf("grind %" PRIu64 "\n", vc_grind(seed, 9));
  return 0;
}
