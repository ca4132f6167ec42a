/* SPDX-License-Identifier: Apache-2.0 */
/* The native core of vcompute: leaf kernels behind plain C signatures.
 *
 * Conventions: caller-owned memory; out-parameters first; a function that can fail returns 0 or a VC_E* code;
 * no global state but the dispatch table; every function is thread-safe. cffi reads the parts between the
 * markers, so they hold plain declarations only.
 */
#ifndef VCOMPUTE_H
#define VCOMPUTE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* cffi: begin */

/* The version of this C interface: the Python side refuses a core of another version. */
int32_t vc_abi_version(void);

/* The processor's features by index from 0: the name, or NULL past the last one. */
const char *vc_cpu_feature_name(int32_t index);

/* 0: the processor lacks it; 1: it is there but VCOMPUTE_ISA leaves it out; 2: in use. */
int32_t vc_cpu_feature_state(int32_t index);

/* 0 if VCOMPUTE_ISA holds a name that is no feature's. */
int32_t vc_cpu_override_ok(void);

/* An arena of memory for large arrays that come and go (see arena.c): vc_arena_handler gives numpy's PyDataMem_Handler of it.
 * What is given back stays with an arena in state 2 (in use); in state 1 (idle) it stays but for what the system is short of,
 * where systems know of such a thing; in state 0 (at first) the system has every stretch that holds no block. Arenas live as
 * long as the process: numpy may hold a handler for ever, and one costs a few hundred bytes. NULL where there is no memory.
 * figures[0]: bytes given out at least once and still held; figures[1]: blocks in use. */
typedef struct vc_arena vc_arena;
vc_arena *vc_arena_new(size_t least_stretch);
void *vc_arena_handler(vc_arena *arena);
void vc_arena_set(vc_arena *arena, int32_t state);
void vc_arena_figures(vc_arena *arena, size_t *figures);

/* Products of a row-major matrix with a vector over F_p^2, p = 2^64 - 2^32 + 1; elements are pairs of canonical words.
 * out (rows pairs) = matrix * vector (cols pairs); transposed: out (cols pairs) = transpose(matrix) * vector (rows pairs).
 * `scratch` has as many words as the function of the same name says. An int32 matrix is little-endian. */
size_t vc_freivalds_scratch_i8(size_t cols);
size_t vc_freivalds_scratch_i32(size_t cols);
size_t vc_freivalds_scratch_i8_transposed(size_t rows);
void vc_freivalds_project_i8(uint64_t *out, const int8_t *matrix, size_t rows, size_t cols, const uint64_t *vector,
                             uint64_t *scratch);
void vc_freivalds_project_i32(uint64_t *out, const int32_t *matrix, size_t rows, size_t cols, const uint64_t *vector,
                              uint64_t *scratch);
void vc_freivalds_project_i8_transposed(uint64_t *out, const int8_t *matrix, size_t rows, size_t cols,
                                        const uint64_t *vector, uint64_t *scratch);

/* Arithmetic over F_p and F_p^2 = F_p[x]/(x^2 - 7), p = 2^64 - 2^32 + 1. Words are canonical (below p), extension elements
 * pairs of words; n counts elements. `out` may be an input where both start at the same word. The readable twin is
 * vcompute/field/portable.py. */
void vc_gl_add_n(uint64_t *out, const uint64_t *a, const uint64_t *b, size_t n);
void vc_gl_sub_n(uint64_t *out, const uint64_t *a, const uint64_t *b, size_t n);
void vc_gl_mul_n(uint64_t *out, const uint64_t *a, const uint64_t *b, size_t n);
void vc_gl_inverse_n(uint64_t *out, const uint64_t *a, size_t n); /* out is not a; 0 gives 0 */
void vc_ext_mul_n(uint64_t *out, const uint64_t *a, const uint64_t *b, size_t n);
void vc_ext_mul_base_n(uint64_t *out, const uint64_t *a, const uint64_t *b, size_t n);
void vc_ext_scale_n(uint64_t *out, const uint64_t *a, const uint64_t *r, size_t n);
void vc_base_scale_n(uint64_t *out, const uint64_t *a, const uint64_t *r, size_t n); /* a holds words; out pairs */
void vc_ext_inverse_n(uint64_t *out, const uint64_t *a, size_t n, uint64_t *scratch); /* 2 n words of scratch */
void vc_ext_dot_base(uint64_t *sum, const uint64_t *a, const uint64_t *b, size_t n);
void vc_ext_dot(uint64_t *sum, const uint64_t *a, const uint64_t *b, size_t n);

/* Multilinear tables: bind variable 0 (the halves low and high of n elements) to r; the sums of f0 w0 and of
 * (f1 - f0) (w1 - w0) over n elements; scale * eq(point, .), 2^variables elements. */
void vc_fold_base(uint64_t *out, const uint64_t *low, const uint64_t *high, const uint64_t *r, size_t n);
void vc_fold_ext(uint64_t *out, const uint64_t *low, const uint64_t *high, const uint64_t *r, size_t n);
void vc_round_base(uint64_t *sums, const uint64_t *f0, const uint64_t *f1, const uint64_t *w0, const uint64_t *w1,
                   size_t n);
void vc_round_ext(uint64_t *sums, const uint64_t *f0, const uint64_t *f1, const uint64_t *w0, const uint64_t *w1,
                  size_t n);
void vc_eq_tensor(uint64_t *out, const uint64_t *point, size_t variables, const uint64_t *scale);

/* Fractions: n/d = n0/d0 + n1/d1, count elements; and one round of their sumcheck, tables a, b, c, d in low and high
 * halves of n elements: sums of weights (a b + c d) of the low halves, and of the same for high - low. */
void vc_fractions(uint64_t *n, uint64_t *d, const uint64_t *n0, const uint64_t *d0, const uint64_t *n1,
                  const uint64_t *d1, size_t count);
void vc_fraction_round(uint64_t *sums, const uint64_t *const *low, const uint64_t *const *high, const uint64_t *weights,
                       size_t n);

/* table[i * n + j] += outer[i] * inner[j], i < m, j < n. */
void vc_ext_add_outer(uint64_t *table, const uint64_t *outer, size_t m, const uint64_t *inner, size_t n);

/* Reed-Solomon code of `count` lanes of 2^log_lane elements of `words` (1 or 2) words each, one lane after another: out has
 * 2^(log_lane + rate_bits) rows of width = count * words words, in bit-reversed order of the domain's points. First a table
 * of twiddles; then vc_rs_begin for all of vc_rs_rows, in any parts, each with scratch of its own; then vc_rs_finish for all
 * of vc_rs_blocks, in any parts. Parts of a step may run at the same time. */
size_t vc_rs_twiddles_size(uint32_t log_lane, uint32_t rate_bits);
void vc_rs_twiddles(uint64_t *table, uint32_t log_lane, uint32_t rate_bits);
size_t vc_rs_rows(uint32_t log_lane);
size_t vc_rs_scratch(uint32_t log_lane, size_t width);
void vc_rs_begin(uint64_t *out, const uint64_t *lanes, size_t count, uint32_t log_lane, uint32_t words, uint32_t rate_bits,
                 const uint64_t *table, size_t first, size_t rows, uint64_t *scratch);
size_t vc_rs_blocks(uint32_t log_lane, uint32_t rate_bits);
void vc_rs_finish(uint64_t *out, size_t width, uint32_t log_lane, const uint64_t *table, size_t first, size_t blocks);

/* table[b] += the sum of scales[i] * x_i^b, b < 2^log_table, x_i the point at positions[i] (sorted, distinct) of the
 * domain of size 2^log_domain; log_domain >= log_table. */
size_t vc_add_powers_scratch(uint32_t log_table, uint32_t log_domain);
void vc_add_powers(uint64_t *table, uint32_t log_table, uint32_t log_domain, const uint64_t *positions,
                   const uint64_t *scales, size_t count, uint64_t *scratch);

/* The points at positions of the domain of size 2^log_domain; a polynomial's values (n pairs of words) at base points; the
 * multilinear extension of the weights x^b, b < 2^variables, at r, for each base point x. */
void vc_domain_points(uint64_t *out, uint32_t log_domain, const uint64_t *positions, size_t count);
void vc_evaluate_at(uint64_t *out, const uint64_t *coefficients, size_t n, const uint64_t *points, size_t count);
void vc_powers_extension(uint64_t *out, const uint64_t *r, size_t variables, const uint64_t *points, size_t count);

/* SHA-256 truncated to 27 bytes: of each row of `width` words; of the byte 1 and two digests. */
void vc_hash_rows(uint8_t *out, const uint64_t *rows, size_t count, size_t width);
void vc_hash_pairs(uint8_t *out, const uint8_t *nodes, size_t pairs);
/* Behind `count` digests, a power of two, the levels above them in order. */
void vc_hash_levels(uint8_t *nodes, size_t count);

/* The siblings that an opening of a Merkle tree carries, of `count` sorted distinct positions below 2^height, which are used up:
 * the first `leaves` places are rows', the others those of nodes that stand level behind level, from the rows' parents on. How
 * many there are, at most count * height. */
size_t vc_missing_siblings(uint64_t *places, size_t *leaves, uint64_t *positions, size_t count, size_t height);

/* Verify the opening of committed tables, all but the weights of the claims. `plan`: the number of rounds, then for each
 * round tables, fold, next_variables, last, fold_grinding, query_grinding and for each of its tables lane_variables, lanes,
 * log_domain, queries, offset; `roots`: 27 bytes for each table of the first round; `claimed`: the batched claim; `seed`:
 * the transcript's last squeeze, replaced. On 0: end = value of the final table, running claim, batched weights of the
 * queries (pairs); point = all challenges of the sumcheck, pairs; consumed = bytes of the proof. Else a registered code.
 */
size_t vc_check_opening_scratch(const uint32_t *plan);
int32_t vc_check_opening(uint64_t *end, uint64_t *point, size_t *consumed, uint8_t *seed, const uint8_t *proof,
                         size_t length, const uint64_t *claimed, const uint32_t *plan, const uint8_t *roots,
                         uint64_t *scratch);

/* A verifier's checks as a program: words of code over a memory of extension elements (see program.c). The program is the
 * caller's own, recorded from the readable verifier; the proof is the peer's.
 */
typedef struct {
  const uint32_t *code;
  const uint8_t *blob;     /* labels, fixed bytes */
  const uint64_t *base;    /* known base elements */
  const uint64_t *places;  /* memory[places[i]] = values[i], extension elements, before the first operation */
  const uint64_t *values;
  const uint64_t *slot_bytes; /* of each array that a run is given; 0: any size */
  size_t code_words, blob_bytes, base_words, known, slots, memory, digests;
} vc_program;

typedef struct {
  const void *data;
  size_t bytes;
} vc_array;

/* Whether every operation stays inside the program's own arrays: 0, or VC_EINVAL. Sets the words of scratch of a run. */
int32_t vc_program_check(const vc_program *program, size_t *scratch_words);

/* Run a checked program: 0 where the proof fulfils every check, a registered code where not, VC_EINVAL for arrays of other
 * sizes. `memory` has program->memory elements, `digests` 27 bytes for each of program->digests. `at` is the word behind
 * the last operation. */
int32_t vc_program_run(const vc_program *program, const vc_array *slots, const uint8_t *proof, size_t length,
                       uint64_t *memory, uint8_t *digests, uint64_t *scratch, size_t *at);

/* The least nonce for which SHA-256(seed (32 bytes), nonce as 8 bytes, little-endian) begins with `bits` <= 64 zeros. */
uint64_t vc_grind(const uint8_t *seed, uint32_t bits);

/* ---- int8 execution: a plan is an array of vc_op over one arena -------------------------------------------------
 *
 * Make each vc_op, call vc_op_prepare (checks it and sets constants_size and scratch_size), lay out the arena and the
 * constants, call vc_op_pack, then vc_plan_check once and vc_plan_run as often as wanted. A run allocates nothing,
 * and plans and packed constants are only read, so threads may share them, each with an arena of its own.
 */

#define VC_OK 0
#define VC_EINVAL 1  /* an op whose attributes contradict each other */
#define VC_EBOUNDS 2 /* an op that would reach outside the arena, the constants or an operand */
#define VC_STOPPED 3 /* the caller asked a run to end */

#define VC_KIND_CONV 1       /* also FULLY_CONNECTED and MATMUL: an image of one row, a kernel of one tap */
#define VC_KIND_DEPTHWISE 2  /* depth multiplier 1 */
#define VC_KIND_BATCH_MATMUL 3
#define VC_KIND_ADD 4
#define VC_KIND_MUL 5
#define VC_KIND_AVERAGE_POOL 6
#define VC_KIND_MAX_POOL 7
#define VC_KIND_MEAN 8
#define VC_KIND_COPY 9       /* strided copy: TRANSPOSE, PAD's inside, a part of CONCATENATION */
#define VC_KIND_FILL 10      /* the byte zero_out everywhere */
#define VC_KIND_SOFTMAX 11
#define VC_KIND_LOOKUP 12    /* LOGISTIC, QUANTIZE: a table of 256 */
#define VC_KIND_CONSTANT 13

#define VC_MAX_RANK 6

/* One operation on a block of samples. Every field is 64 bits wide; those that a kind does not use are 0. Sizes and
 * offsets are bytes, of one sample and from the start of the arena; strides are elements. */
typedef struct {
  int64_t kind;
  int64_t a, b, out;                /* where operands and result stand: sample i at a + i * a_size */
  int64_t a_size, b_size, out_size;
  int64_t constants, constants_size; /* in the packed constants */
  int64_t scratch, scratch_size;
  int64_t zero_a, zero_b, zero_out, low, high;
  int64_t rounding;                 /* 1 double, 2 single; 0 (CONV, DEPTHWISE): int32 accumulators */
  int64_t multiplier[3], shift[3];  /* scalar requantisations */
  int64_t h, w, c, out_h, out_w, out_c, kernel_h, kernel_w; /* BATCH_MATMUL: h rows, c depth, out_c columns */
  int64_t stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
  int64_t rank, dim[6];             /* loops: over the output, or for MEAN over what stays */
  int64_t a_stride[6], b_stride[6], out_stride[6];
  int64_t a_base, out_base;         /* COPY: first element */
  int64_t reduce_rank, reduce_dim[6], reduce_stride[6]; /* MEAN */
} vc_op;

/* Check an op and set what it needs: constants_size, scratch_size for `block` samples at a time. */
int32_t vc_op_prepare(vc_op *op, int64_t block);

/* Pack constants to `constants_size` bytes, 64-byte aligned. CONV: filter [out_c][kernel_h][kernel_w][c], DEPTHWISE:
 * [kernel_h][kernel_w][c], both with bias, multiplier and shift by channel (NULL for int32 accumulators); CONSTANT: the
 * value in `filter`; LOOKUP: in `filter` the output byte of each operand byte, or NULL for QUANTIZE's own rule. */
int32_t vc_op_pack(uint8_t *constants, const vc_op *op, const int8_t *filter, const int32_t *bias,
                   const int32_t *multiplier, const int8_t *shift);

/* Whether every op stays inside an arena of arena_size and constants of constants_size bytes, writes neither its operands
 * nor its scratch with its result, and has its constants after those of the ops before. A plan that passes is safe to
 * run whatever it holds, once vc_op_pack has written its constants. */
int32_t vc_plan_check(const vc_op *ops, int64_t count, int64_t block, int64_t arena_size, int64_t constants_size);

/* One input or output of a run. */
typedef struct {
  uint8_t *data;   /* samples one after the other; outputs are written */
  int64_t offset;  /* in the arena */
  int64_t size;    /* bytes of one sample */
} vc_port;

/* Run a checked plan on `samples` samples, `block` at a time. The arena is 64-byte aligned. */
void vc_plan_run(const vc_op *ops, int64_t count, const uint8_t *constants, uint8_t *arena, int64_t block,
                 int64_t samples, const vc_port *inputs, int64_t n_inputs, const vc_port *outputs, int64_t n_outputs);

/* The same, ended early once *stop is not 0, which is looked at before every op: VC_OK, or VC_STOPPED with the outputs of
 * the blocks done so far. Another thread may set it. */
int32_t vc_plan_run_until(const int32_t *stop, const vc_op *ops, int64_t count, const uint8_t *constants, uint8_t *arena,
                          int64_t block, int64_t samples, const vc_port *inputs, int64_t n_inputs,
                          const vc_port *outputs, int64_t n_outputs);

/* The raw product out (m x n) = a (m x k) b (k x n), int8 into int32, row-major, k at most 2^17 - 1: pack b, then any
 * number of rows. `packed` and `scratch` are 64-byte aligned. */
size_t vc_matmul_packed_bytes(size_t k, size_t n);
size_t vc_matmul_scratch_bytes(size_t k, size_t n);
void vc_matmul_pack(uint8_t *packed, const int8_t *b, size_t k, size_t n);
void vc_matmul_rows(int32_t *out, const int8_t *a, const uint8_t *packed, size_t m, size_t k, size_t n,
                    uint8_t *scratch);

/* The name of the int8 kernels in use. */
const char *vc_int8_name(void);

/* out[i, j] = the requantisation of products[i, j] + bias[j] by multiplier[j], shift[j] (rounding 1 double, 2 single),
 * plus the zero point, clamped. Sums fit int32, and stay so under a left shift. */
void vc_requantize_rows(int8_t *out, const int32_t *products, size_t rows, size_t cols, const int32_t *bias,
                        const int32_t *multiplier, const int8_t *shift, int32_t rounding, int32_t zero_point,
                        int32_t low, int32_t high);

/* For benchmarks: multiply in registers alone for so many rounds; how many products that was, 0 where not written. */
uint64_t vc_int8_peak(uint64_t rounds);

/* The weights of an opening on one committed table: a piece is an aligned block of 2^bits elements an axis, the sum of its
 * `terms` (from number `first` on), each a scale times the product of a vector for each axis from `start` on; from `valid` on an
 * axis is zero. Pieces stand in order and share no element. */
typedef struct {
  uint64_t offset, axes, first, terms;
  uint64_t bits[16], start[16], valid[16];
} vc_weight_piece;
typedef struct {
  uint64_t scale[2];
  const uint64_t *vectors[16];
} vc_weight_term;

/* A committed table and its weights, in `lanes` lanes of `length` (a power of two from 16 on) elements, which `variables`
 * variables tell apart. Extension elements stand in *blocks* of eight: eight first words, then eight second words. The table f:
 * words (base) or blocks; the weights w: blocks, or where w is NULL `count` pieces. vc_lanes_bind binds the first `bound` <= 2
 * variables: f_out and w_out (blocks) are lanes in groups weighed by 2^bound pairs, which add up to one unless f is base; then no
 * group lacks a lane. */
typedef struct {
  uint64_t length, lanes, variables, base, count, bound;
  const uint64_t *f, *w;
  const vc_weight_piece *pieces;
  const vc_weight_term *terms;
  const uint64_t *factors;
  uint64_t *f_out, *w_out;
} vc_lanes;

/* sums (16 pairs) of products. vc_lanes_products, of a base table and pieces: sum 4 j + i is that of f_i * w_j, the groups of
 * lanes that the first `ahead` <= 2 variables tell apart. vc_lanes_bind, of what it leaves: with X the first variable and Y the
 * second, f * w at XY = 00, 01, 10, then with leading coefficients for values in X (at Y = 0, 1), in Y (at X = 0, 1) and in both;
 * with one variable, at 0 and that of leading coefficients. In parts: `parts` of them from `first` on add up; each call has a
 * scratch of so many words. */
size_t vc_lanes_products_parts(const vc_lanes *t, size_t ahead);
size_t vc_lanes_products_scratch(const vc_lanes *t);
void vc_lanes_products(uint64_t *sums, const vc_lanes *t, size_t ahead, size_t first, size_t parts, uint64_t *scratch);
size_t vc_lanes_bind_parts(const vc_lanes *t, size_t ahead);
size_t vc_lanes_bind_scratch(const vc_lanes *t);
void vc_lanes_bind(uint64_t *sums, const vc_lanes *t, size_t ahead, size_t first, size_t parts, uint64_t *scratch);
void vc_blocks_to_pairs(uint64_t *pairs, const uint64_t *blocks, size_t n);

/* A row-major tensor of signed integers of `width` bytes (1, 4, 8), or of canonical words (width 0). */
typedef struct {
  const void *data;
  uint64_t width;
} vc_column;

/* A block of 2^bits words an axis in a table, from a column: from element `start` on, `valid` of each axis at steps of `stride`
 * elements (the last axis: 1). */
typedef struct {
  uint64_t column, offset, axes;
  int64_t start;
  uint64_t bits[16], valid[16];
  int64_t stride[16];
} vc_block;

/* Fill the blocks of a table with the elements of F_p that the integers stand for, and zeros. `streamed`: the table is too
 * large to stay in a cache. */
void vc_fill_blocks(uint64_t *table, const vc_column *columns, const vc_block *blocks, size_t count, int32_t streamed);

/* How often each row of a table is looked up: low[row] + 256 * high[row]; keys are counted in VC_KEY_COUNTS tables `low`, one
 * behind the other, that share `high`. */
#define VC_KEY_COUNTS 4
typedef struct {
  uint8_t *low;
  uint32_t *high;
} vc_counts;

/* The columns of a requantised node (see witness.c): T is floored at 2^unit, or a divided node's at its channel's divisor, at
 * most 2^unit; two-sided after its step where it is negative;
 * `value` is the quotient (one-sided plus the zero point; two-sided halved and plus the zero point) clamped. `key` less
 * `first` is a row of a table of `rows` rows. Counts are added to. Of a linear node T = product * slope + offset (modulo 2^64)
 * with constants by channel, written out again and again to `period` elements. */
typedef struct {
  int32_t unit, width, n_limbs, two_sided, zero_point, low, high;
  int32_t streamed; /* keys and limbs are too many to stay in a cache */
  int64_t first;
  uint64_t rows;
  int32_t *key;
  int8_t *value, *sign; /* sign: two-sided alone */
  int32_t *limbs[8];
  int32_t *raised; /* divided alone: the highest limb plus the gap */
  vc_counts keys, range;
  uint64_t period;
  const int64_t *slope, *offset, *step;
  const int64_t *divisor; /* NULL where the unit is 2^unit; |T| <= 2^50 */
  const double *inverse;  /* 1 / divisor, correctly rounded */
  const int32_t *gap;
} vc_floor;

/* A linear op without requantisation (rounding 0) whose operand has c channels and stands row-major in memory of its size:
 * `lines` rows of its output from number `first` on, samples one after the other, in int32. Scratch is 64-byte aligned. */
size_t vc_linear_scratch(const vc_op *op);
void vc_linear_lines(int32_t *out, const vc_op *op, const uint8_t *constants, const int8_t *x, size_t samples, size_t first,
                     size_t lines, uint8_t *scratch);

/* The columns of a linear node's lines; of elements from number `first` on with T given; of a sum of two values, with
 * T = a * slopes[0] + b * slopes[1] + offset. The latter two have one step. 0 where a key is not in the table. */
size_t vc_floor_scratch(const vc_op *op);
int32_t vc_floor_linear(const vc_floor *p, const vc_op *op, const uint8_t *constants, const int8_t *x, size_t samples,
                        size_t first, size_t lines, uint8_t *scratch);
int32_t vc_floor_values(const vc_floor *p, const int64_t *values, int64_t step, size_t first, size_t count);
int32_t vc_floor_sums(const vc_floor *p, const int8_t *a, const int8_t *b, const int64_t *slopes, int64_t offset,
                      int64_t step, size_t first, size_t count);

/* The search for constants of affine floors (see floor_search.c). Lines have lower and upper points, in sets: set 2 l of a
 * channel holds what its line l must reach, set 2 l + 1 what it must stay below; `ends` are the sets' ends in `at` and
 * `twice`, channel after channel. */
typedef struct {
  uint64_t channels, sets; /* sets of a channel: 2 one-sided, 4 two-sided */
  const uint64_t *ends;
  const int64_t *at, *twice; /* an accumulator less the least one, twice the value there */
} vc_floor_lines;

/* The points of step functions (row-major thresholds, one row a channel, of the values from `first_level` on); those that can
 * never bind are left out, but of channels to keep. `at` and `twice` have 2 levels + 4 words a channel. */
void vc_floor_points(uint64_t *ends, int64_t *at, int64_t *twice, const int64_t *thresholds, size_t channels,
                     size_t levels, int64_t first_level, const int64_t *low, const int64_t *high, const uint8_t *keep,
                     int32_t two_sided);

/* For each channel the slope of most room at K = bits, between low and high. */
void vc_floor_slopes(int64_t *slope, const vc_floor_lines *lines, const int64_t *bits, const int64_t *low,
                     const int64_t *high);

/* For each channel whether intercepts exist at a slope, where T rises by 2 half from a value to the next: T at the least
 * accumulator, and S. */
void vc_floor_intercepts(uint8_t *possible, int64_t *intercept, int64_t *step, const vc_floor_lines *lines,
                         const int64_t *slope, const int64_t *half);

/* For each channel (a, b, c, d): the slopes that its points admit, in half values an accumulator, are those between a/b and
 * c/d; 0/1 and 1/0 where they bound nothing. */
void vc_floor_slope_ranges(int64_t *ranges, const vc_floor_lines *lines);

/* For each (a, b, c, d) the fraction of the least denominator strictly between a/b and c/d, where 0 <= a/b < c/d. */
void vc_simplest_fractions(int64_t *numerators, int64_t *denominators, const int64_t *ranges, size_t count);

/* For each value of a table (rows x columns, values from `first` on) the places (a, b) among which every D1 a + D2 b,
 * D2 >= 0, is least (greatest) over the places of that value; one value's end in `ends` after the other's. `a` and `b` have
 * values * rows words, as many as `scratch`. */
void vc_pair_corners(uint64_t *ends, int64_t *a, int64_t *b, const int64_t *table, size_t rows, size_t columns,
                     int64_t first, size_t values, int32_t greatest, int32_t *scratch);

/* A tree of fractions over a stack of boxes, and the rounds of a layer of it (see gkr.h). `groups` describes a level:
 * VC_GKR_ROW words for each run of boxes of one shape. Extension elements throughout. */
#define VC_GKR_ROW 24
#define VC_MOST_BOUND 3
#define VC_GRID_WORDS 54

/* Leaves of numerator 1 and denominator c0 + c1 key + c2 value + c3 sign, keys below `below`, at most 2^27; value and sign may be null. */
typedef struct {
  const uint32_t *key;
  const uint8_t *value, *sign;
  uint64_t valid, below; /* how many there are */
} vc_gkr_leaf;

/* Numerators and denominators of a level: its boxes, then what is left of boxes that are one value. */
typedef struct {
  uint64_t *n, *d, *tail_n, *tail_d;
  uint64_t tail_count;
} vc_gkr_level;

/* Where a group's first box has its tables, words from box to box, and what each box's place weighs: a pair. */
typedef struct {
  uint64_t *table[4];
  uint64_t stride;
  uint64_t *weights;
} vc_gkr_place;

/* The tables of a layer. Tails have room for one element more than there are boxes. In the lowest layer, for each group: `lazy`,
 * how many variables are bound before a unit group has tables, of `unit_sizes` elements then (padding included); for each unit
 * box its leaves, and 16 words of constants for tables a and b, which differ by a factor but for the first of them. `grids`: see
 * vc_gkr_moments. `bound` and `weights` are the rounds' own. */
typedef struct {
  vc_gkr_place *places;
  uint64_t *rows[2]; /* of group i from i * row_stride words on */
  uint64_t row_stride;
  uint64_t *tail[4];
  uint64_t tail_count;
  const vc_gkr_leaf *leaves;
  const uint64_t *constants, *lazy, *unit_sizes, *scale;
  uint64_t *grids, bound, weights[16];
} vc_gkr_tables;

/* The rows of a table: minus their counts, and denominators by 8 words of constants; behind them 0 / 1, `size` fractions in all. */
void vc_gkr_rows(uint64_t *n, uint64_t *d, size_t size, const vc_gkr_leaf *leaf, const uint64_t *constants,
                 const int64_t *counts);

/* The next level, or one of some parts of it, which may run at the same time. `leaves` and their constants (8 words each) belong to
 * unit boxes, which `in` does not hold if it is that of the leaves; nor nodes that are made of integers, of groups where `lazy`. */
void vc_gkr_add(vc_gkr_level *out, const vc_gkr_level *in, const uint64_t *groups, size_t n_groups,
                const vc_gkr_leaf *leaves, const uint64_t *constants, const uint64_t *lazy, size_t part, size_t parts);

/* The tables of the layer that adds this level in pairs, in the level's own place, which is used up: but for unit groups, two
 * tables of each box in `unit`, and groups that get padding, four in `extra`. `inverse` (of lambda) in the lowest layer, else null.
 * Defaults: what each of the four tables is off the boxes. `box_weights`: a pair for each box; `point`: the claim's. */
void vc_gkr_begin(vc_gkr_tables *t, const vc_gkr_level *in, const uint64_t *groups, size_t n_groups, uint64_t *unit,
                  uint64_t *extra, uint64_t *box_weights, const uint64_t *point, size_t variables, const uint64_t *lambda,
                  const uint64_t *inverse, const uint64_t *defaults);

/* What a round of a layer goes over: the groups of its level, and half the place of the tail's first value. */
typedef struct {
  const uint64_t *groups;
  uint64_t count, tail_place;
} vc_gkr_step;

/* The first rounds of unit groups in the two lowest layers: VC_GRID_WORDS for each group, which add up over the parts. Steps from the
 * layer's first round on; scratch: that of the rounds behind vc_gkr_moments_scratch() words. */
size_t vc_gkr_moments_scratch(void);
void vc_gkr_moments(uint64_t *grids, const vc_gkr_tables *t, const vc_gkr_step *steps, const uint64_t *point,
                    const uint64_t *defaults, size_t part, size_t parts, uint64_t *scratch);

/* sums[0..1] = the sum of weight * (a b + c d - lambda) with the next variable at 0, sums[2..3] = of weight * (a b + c d)
 * of the differences; weights are eq of the place and `point`, the coordinates of the variables after it. Of one of some parts,
 * each with scratch of its own: all parts' sums add up. */
size_t vc_gkr_scratch(const uint64_t *groups, size_t n_groups);
void vc_gkr_tree_round(uint64_t *sums, const vc_gkr_tables *t, const uint64_t *groups, size_t n_groups,
                       uint64_t tail_place, const uint64_t *point, size_t variables, const uint64_t *lambda, size_t part,
                       size_t parts, uint64_t *scratch);

/* Bind the next variable to r, in place: first the boxes, in parts that may run at the same time, then, when all have ended, the
 * rest. Scratch: 8 words for each value of the tail. */
void vc_gkr_bind_boxes(const vc_gkr_tables *t, const uint64_t *groups, size_t n_groups, const uint64_t *r,
                       const uint64_t *defaults, size_t part, size_t parts);
void vc_gkr_bind_rest(vc_gkr_tables *t, const uint64_t *groups, size_t n_groups, const uint64_t *r,
                      const uint64_t *defaults, uint64_t *scratch);

/* out (left x count x right, zeros) += for each of `count` vectors of `size` elements the sum over k of vector[k] times the
 * part k of a table (left x size x right). */
void vc_ext_contract(uint64_t *out, const uint64_t *table, size_t left, size_t size, size_t right,
                     const uint64_t *vectors, size_t count);

/* A round of a sum of products of two tables of one level of a stack (see stack.py): `groups` holds for each run of boxes how many
 * they are and how many variables each still has, `tail` is the number of single values behind them. sums = h(0), then the
 * coefficient of X^2; a fold binds the variable to r, in place where `out` is the table. */
void vc_stack_round(uint64_t *sums, const uint64_t *a, const uint64_t *b, const uint64_t *groups, size_t n_groups, size_t tail);
void vc_stack_fold(uint64_t *out, const uint64_t *table, const uint64_t *groups, size_t n_groups, size_t tail,
                   const uint64_t *r);

/* A level as rounds go over it. */
typedef struct {
  const uint64_t *groups;
  uint64_t count, tail;
} vc_stack_level;

/* `count` rounds over both tables in place, one level each: a round's message (two elements in `messages`) is absorbed and its
 * challenge (an element in `challenges`) drawn, under labels of their own, and bound. `seed` (32 bytes) is that of the
 * transcript's last squeeze, replaced. */
void vc_stack_rounds(uint64_t *messages, uint64_t *challenges, uint8_t *seed, uint64_t *a, uint64_t *b,
                     const vc_stack_level *levels, size_t count, const char *message, const char *challenge);

/* The outer product of m and n extension elements, row-major. */
void vc_ext_outer(uint64_t *out, const uint64_t *outer, size_t m, const uint64_t *inner, size_t n);

/* The sum of n extension elements. */
void vc_ext_sum(uint64_t *sum, const uint64_t *vector, size_t n);

/* The weight of each of `size` input places: the sum over taps k and positions p with stride * p + dilation * k - before at it
 * of taps[k] * positions[p], extension elements. */
void vc_window_axis(uint64_t *out, size_t size, const uint64_t *positions, size_t n_positions, const uint64_t *taps,
                    size_t n_taps, int64_t stride, int64_t dilation, int64_t before);

/* out[j, c] = the sum over r of vectors[j, r] * (matrix[r, c] - zero_point); a zero point from -128 to 127. */
void vc_project(uint64_t *out, const int8_t *matrix, size_t rows, size_t columns, int32_t zero_point, const uint64_t *vectors,
                size_t count);

/* The sum over rows of vector[r] * x[r][c], x the sum of 2^(width i) limbs[i], entries from 0 to 2^20. */
void vc_project_limbs(uint64_t *out, int32_t *const *limbs, size_t count, int32_t width, size_t rows, size_t columns,
                      const uint64_t *vector);

/* Every round of a layer, one step each: its message (two elements in `messages`) is absorbed as "fraction sumcheck", its
 * challenge (an element in `challenges`) drawn and bound. `point` is the claim's, `variables` elements; `seed` (32 bytes) is
 * that of the transcript's last squeeze, replaced. */
void vc_gkr_layer(uint64_t *messages, uint64_t *challenges, uint8_t *seed, vc_gkr_tables *t, const vc_gkr_step *steps,
                  const uint64_t *point, size_t variables, const uint64_t *lambda, const uint64_t *defaults,
                  uint64_t *scratch);

/* Levels 1 .. count from level 0, none of which has unit boxes; steps from level 0 on. */
void vc_gkr_add_levels(vc_gkr_level *levels, const vc_gkr_step *steps, size_t count);

/* The layers of levels count - 1 .. 0, none of which has unit boxes, each with its messages and after them its two fractions;
 * steps from level 0 on. `point`: the claim's, `variables` elements, stand behind `count` others, all replaced by the point of the
 * claim at level 0. Extra, box weights and tables as vc_gkr_begin takes them, each large enough for every layer. */
void vc_gkr_layers(uint64_t *messages, uint64_t *point, uint8_t *seed, vc_gkr_tables *t, const vc_gkr_level *levels,
                   const vc_gkr_step *steps, size_t count, size_t variables, uint64_t *extra, uint64_t *box_weights,
                   uint64_t *scratch);

/* sums[0..1] = the sum over i < bound of eq(point, i), sums[2..3] = of eq(point, i) * (i >> shift); the point has at most 62
 * coordinates, most significant bit first. */
void vc_prefix_sums(uint64_t *sums, uint64_t bound, const uint64_t *point, size_t bits, uint32_t shift);

/* out[i] = eq of the number first + i and a point of extension elements, least significant bit first. */
void vc_gkr_places(uint64_t *out, uint64_t first, size_t count, const uint64_t *point, size_t variables);

/* cffi: end */

#ifdef __cplusplus
}
#endif
#endif
