/* SPDX-License-Identifier: Apache-2.0 */
/* The portable kernel of `freivalds`, compiled once for each instruction set whose compiler vectorises it: balanced
 * digits of 16 bits, dot products of int16 pairs. Define VC_FREIVALDS_NAME first.
 */
#include <string.h>

#include "freivalds.h"

#define DIGITS 4
#define BLOCK VC_FREIVALDS_BLOCK /* 256 products of at most 2^7 * 2^15 stay below 2^31 */

/* Digit-major within blocks of BLOCK elements: packed[block][2 * DIGITS][BLOCK]. */
static void pack(void *packed, const uint64_t *vector, size_t count) {
  int16_t *out = packed;
  for (size_t base = 0; base < count; base += BLOCK, out += 2 * DIGITS * BLOCK) {
    size_t n = count - base < BLOCK ? count - base : BLOCK;
    for (int c = 0; c < 2; c++)
      for (size_t k = 0; k < n; k++) {
        /* The representative in [-0x8000800080008000, 0x7fff7fff7fff7fff], then every digit plus 2^15. */
        uint64_t x = vector[2 * (base + k) + (size_t)c];
        if (x > UINT64_C(0x7fff7fff7fff7fff)) x -= VC_FREIVALDS_P;
        x += UINT64_C(0x8000800080008000);
        for (int l = 0; l < DIGITS; l++)
          out[(size_t)(DIGITS * c + l) * BLOCK + k] = (int16_t)((int32_t)((x >> (16 * l)) & 0xffff) - 0x8000);
      }
  }
}

static void load(int16_t *row, const uint8_t *bytes, size_t n, uint32_t flip) {
  uint8_t flipped[BLOCK];
  if (flip) {
    for (size_t k = 0; k < n; k += 4) {
      uint32_t word; /* byte order does not matter: the flip is the same as four bytes */
      const uint8_t mask[4] = {(uint8_t)flip, (uint8_t)(flip >> 8), (uint8_t)(flip >> 16), (uint8_t)(flip >> 24)};
      uint32_t m;
      memcpy(&word, bytes + k, 4);
      memcpy(&m, mask, 4);
      word ^= m;
      memcpy(flipped + k, &word, 4);
    }
    bytes = flipped;
  }
  for (size_t k = 0; k < n; k++) row[k] = (int8_t)bytes[k];
}

static void rows(int64_t *acc, const uint8_t *matrix, size_t count, size_t bytes, size_t stride, uint32_t flip,
                 const void *packed) {
  memset(acc, 0, count * 2 * DIGITS * sizeof *acc);
  for (size_t i = 0; i < count; i++, matrix += stride, acc += 2 * DIGITS) {
    const int16_t *digit = packed;
    for (size_t base = 0; base < bytes; base += BLOCK, digit += 2 * DIGITS * BLOCK) {
      size_t n = bytes - base < BLOCK ? bytes - base : BLOCK;
      int16_t row[BLOCK];
      load(row, matrix + base, n, flip);
      for (size_t l = 0; l < 2 * DIGITS; l++) {
        int32_t sum = 0;
        if (n == BLOCK)
          for (size_t k = 0; k < BLOCK; k++) sum += (int32_t)row[k] * digit[l * BLOCK + k];
        else
          for (size_t k = 0; k < n; k++) sum += (int32_t)row[k] * digit[l * BLOCK + k];
        acc[l] += sum;
      }
    }
  }
}

const vc_freivalds_kernel VC_FREIVALDS_NAME = {DIGITS, 16, 2 * DIGITS * sizeof(int16_t), pack, rows};
