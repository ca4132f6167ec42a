/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 of many messages of one length (FIPS 180-4), one table for each instruction set. */
#ifndef VC_SHA256_H
#define VC_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define VC_SHA256_MAX_LANES 16

extern const uint32_t vc_sha256_k[64];
extern const uint32_t vc_sha256_initial[8];

typedef struct {
  size_t lanes;
  /* Compress `count` blocks of 64 bytes of each lane: state[i * lanes + l] is word i of lane l, data[l] lane l's blocks. */
  void (*compress)(uint32_t *state, const uint8_t *const *data, size_t count);
  /* The digest of each lane's `count` blocks and `tail` more, 32 bytes each. Null: by `compress` (see sha256.c). */
  void (*digests)(uint8_t *out, const uint8_t *const *whole, size_t count, const uint8_t *const *tails, size_t tail);
} vc_sha256_kernel;

/* Kernels that lay blocks out by themselves. */
typedef struct {
  /* out (`digest` bytes each, at most 32) = the truncated digests of `count` messages of one length, one after another in
   * memory, each after an optional prefix byte (-1: none). */
  void (*many)(uint8_t *out, size_t digest, const uint8_t *messages, size_t length, int prefix, size_t count);
  /* As vc_grind. */
  uint64_t (*grind)(const uint8_t *seed, uint32_t bits);
} vc_sha256_whole;

#if defined(VC_HAVE_SHANI512)
extern const vc_sha256_whole vc_sha256_shani512;
#endif

extern const vc_sha256_kernel vc_sha256_portable;
#if defined(VC_HAVE_AVX2)
extern const vc_sha256_kernel vc_sha256_avx2;
#endif
#if defined(VC_HAVE_AVX512)
extern const vc_sha256_kernel vc_sha256_avx512;
#endif
#if defined(VC_HAVE_SHANI)
extern const vc_sha256_kernel vc_sha256_shani;
#endif
#if defined(VC_HAVE_ARMSHA2)
extern const vc_sha256_kernel vc_sha256_armv8;
#endif

/* The fastest kernel for many messages at once. */
const vc_sha256_kernel *vc_sha256(void);

static inline uint32_t vc_load_be32(const uint8_t *p) {
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | (uint32_t)p[3];
}

#endif
