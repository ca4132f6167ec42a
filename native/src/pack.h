/* SPDX-License-Identifier: Apache-2.0 */
/* Packing constant columns into a kernel's layout, with the zero point folded into the bias. */
#ifndef VC_PACK_H
#define VC_PACK_H

#include "int8.h"

/* How one channel is requantised, as the graph has it. */
typedef struct {
  int32_t bias, multiplier, shift;
  int64_t bound; /* greatest |accumulator| */
  int64_t sum;   /* of the weights */
} vc_channel;

/* What the channels of an op have in common. */
typedef struct {
  int32_t rounding, zero_in, zero_out, low;
} vc_quant;

/* The form in which all these channels can be requantised. A channel whose result is always the zero point becomes
 * dead: multiplier 0; its weights and bias are then packed as 0. */
vc_form vc_choose_form(vc_channel *channels, size_t n, const vc_quant *quant);

static inline int vc_dead(const vc_channel *c, vc_form form) { return form != VC_FORM_RAW && c->multiplier == 0; }

/* The parameters of nr channels from channels[0], of which `n` exist; position p holds channel order[p], or p. */
void vc_pack_params(uint8_t *out, const vc_layout *layout, vc_form form, const vc_quant *quant, int32_t x_offset,
                    const vc_channel *channels, size_t n, const uint8_t *order);

/* For layouts that fold: take the cross terms w0 w2 + w1 w3 of every four consecutive elements of a packed panel's columns
 * off the biases in `params`. Elements past the last group are read as the zeros they are packed as. */
void vc_fold(uint8_t *params, const vc_layout *layout, const uint8_t *panel, size_t groups);

/* Panels of a product with columns filter[n][segments][depth]. */
typedef struct {
  size_t n, segments, depth;
} vc_product;

size_t vc_panel_bytes(const vc_layout *layout, const vc_product *p);
size_t vc_panels(const vc_layout *layout, const vc_product *p);

/* Weights of panel `panel`; element (column, segment, k) is filter[column * stride_n + segment * depth + k * stride_k]. */
void vc_pack_panel(uint8_t *out, const vc_layout *layout, const vc_product *p, size_t panel, const int8_t *filter,
                   size_t stride_n, size_t stride_k, const vc_channel *channels, vc_form form);

#endif
