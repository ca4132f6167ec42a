/* SPDX-License-Identifier: Apache-2.0 */
/* The verifier's transcript, twin of VerifierTranscript in vcompute/transcript.py. It is opened anew, or begins right after
 * a squeeze, where the seed is the whole state.
 */
#ifndef VC_TRANSCRIPT_H
#define VC_TRANSCRIPT_H

#include <stddef.h>
#include <stdint.h>

/* Registered codes (spec/registry/errors.toml). */
enum { VC_NONCANONICAL = 210, VC_TRUNCATED = 211, VC_TRAILING = 212, VC_GRINDING = 213, VC_MERKLE = 214, VC_QUERY = 215 };

typedef struct {
  uint32_t state[8];
  uint64_t length;
  uint8_t block[64];
} vc_hash;

void vc_hash_begin(vc_hash *h);
void vc_hash_update(vc_hash *h, const void *data, size_t length);
void vc_hash_finish(vc_hash *h, uint8_t digest[32]);

typedef struct {
  vc_hash state;
  uint8_t seed[32]; /* of the last squeeze */
  const uint8_t *proof;
  size_t length, position;
} vc_transcript;

void vc_store_le64(uint8_t out[8], uint64_t x);

/* A new transcript; the caller feeds the domain tag and the absorbs it knows, as bytes. */
void vc_transcript_open(vc_transcript *t, const uint8_t *proof, size_t length);
void vc_transcript_feed(vc_transcript *t, const void *data, size_t length);
void vc_transcript_absorb_bytes(vc_transcript *t, const char *label, const void *data, size_t length);
void vc_transcript_absorb_ext(vc_transcript *t, const char *label, const uint8_t *data, size_t count);
void vc_transcript_begin(vc_transcript *t, const uint8_t seed[32], const uint8_t *proof, size_t length);
void vc_transcript_squeeze(vc_transcript *t, const char *label);
void vc_transcript_challenge(vc_transcript *t, const char *label, uint64_t out[2]);
void vc_transcript_challenges(vc_transcript *t, const char *label, uint64_t *out, size_t count);
void vc_transcript_positions(vc_transcript *t, const char *label, uint64_t *out, size_t count, uint32_t log_size);

/* Each returns 0 or a registered code. */
int32_t vc_transcript_bytes(vc_transcript *t, const char *label, size_t length);
int32_t vc_transcript_base(vc_transcript *t, const char *label, uint64_t *out, size_t count);
int32_t vc_transcript_ext(vc_transcript *t, const char *label, uint64_t *out, size_t count);
int32_t vc_transcript_digests(vc_transcript *t, const char *label, uint8_t *out, size_t count);
int32_t vc_transcript_grind(vc_transcript *t, const char *label, uint32_t bits);

#endif
