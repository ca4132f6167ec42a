/* SPDX-License-Identifier: Apache-2.0 */
/* Requantisation of a whole matrix of products by the rule: what a verifier does with products it did not compute. */
#include "requant.h"
#include "vcompute.h"

static void one_row(int8_t *out, const int32_t *products, size_t cols, const int32_t *bias, const int32_t *multiplier,
                    const int8_t *shift, int32_t rounding, int32_t zero_point, int32_t low, int32_t high) {
  for (size_t j = 0; j < cols; j++) {
    /* unsigned, so that a sum the caller should have refused is still defined */
    int32_t x = (int32_t)((uint32_t)products[j] + (uint32_t)bias[j]);
    /* clamped before the zero point is added: a scaled sum may be as large as int32 */
    out[j] = (int8_t)(vc_clamp(vc_requantize(x, multiplier[j], shift[j], rounding), low - zero_point, high - zero_point) +
                      zero_point);
  }
}

void vc_requantize_rows(int8_t *out, const int32_t *products, size_t rows, size_t cols, const int32_t *bias,
                        const int32_t *multiplier, const int8_t *shift, int32_t rounding, int32_t zero_point,
                        int32_t low, int32_t high) {
  for (size_t i = 0; i < rows; i++, out += cols, products += cols) {
    /* each call with a constant, so that the branch of the rule leaves the loop */
    if (rounding == VC_ROUND_SINGLE)
      one_row(out, products, cols, bias, multiplier, shift, VC_ROUND_SINGLE, zero_point, low, high);
    else
      one_row(out, products, cols, bias, multiplier, shift, VC_ROUND_DOUBLE, zero_point, low, high);
  }
}
