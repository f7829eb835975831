/*
 * Loops over elements that must be fast: in vec.c, the only file built with -ffast-math, on x86-64 once for each of
 * three levels (nn/cpu.h). What is called are pointers to those of the present level. Finite input only: callers check
 * what could be otherwise.
 */
#ifndef RECPIPE_VEC_H
#define RECPIPE_VEC_H

#include <float.h>
#include <stdint.h>

#include "nn/cpu.h"

/* Asks for n floats that are to be read. */
static inline void prefetch_floats(const float *x, int64_t n)
{
	enum { LINE = 64 / sizeof(float) };
	for (int64_t i = 0; i < n; i += LINE)
		__builtin_prefetch(x + i);
}

extern float (*vec_dot)(const float *a, const float *b, int64_t n);
extern double (*vec_sum_of_squares)(const float *x, int64_t n);
extern void (*vec_axpy)(float alpha, const float *x, float *y, int64_t n); /* y += alpha x */
/*
 * With rows id[0..n) of a table, `stride` floats apart, d of them: score[i] = x . row i, and y += the sum of
 * factor[i] x row i. `known` ids, at least n, are there to be fetched ahead.
 */
extern void (*vec_dot_rows)(const float *x, const float *table, int64_t stride, const int32_t *id, int64_t n,
	int64_t known, int64_t d, float *score);
extern void (*vec_sum_weighted)(const float *factor, const float *table, int64_t stride, const int32_t *id, int64_t n,
	int64_t d, float *y);
/* x becomes 1 / (1 + exp(-x)); returns the sum of log(1 + exp(x)) */
extern float (*vec_softplus_sum)(float *x, int64_t n);
/* y (rows x n, stride) += the same x for every row; and x += the sum of the rows of y */
extern void (*vec_add_rows)(float *y, int64_t rows, int64_t n, int64_t stride, const float *x);
extern void (*vec_sum_rows)(const float *y, int64_t rows, int64_t n, int64_t stride, float *x);

/* x = exp(x - max x), returns their sum; *max is the maximum */
extern float (*vec_exp_sum)(float *x, int64_t n, float *max);
/*
 * Softmax down columns as rows come in: x (n x lanes) becomes exp(x - max), where max (lanes) and sum (lanes) are so
 * far's and take in these rows; what was computed with the earlier max is to be multiplied with rescale (lanes).
 */
extern void (*vec_exp_lanes)(float *x, int64_t n, int64_t lanes, float *max, float *sum, float *rescale);
/* The same for max and sum alone; lanes is a multiple of 16. */
extern void (*vec_exp_lanes_sum)(const float *x, int64_t n, int64_t lanes, float *max, float *sum);
/* And again, once max is that of all rows: x becomes factor x exp(x - max). */
extern void (*vec_exp_lanes_of)(float *x, int64_t n, int64_t lanes, const float *max, const float *factor);
/* The same along rows (n x columns, as they lie in memory), with max, sum and rescale of each row. */
extern void (*vec_exp_rows)(float *x, int64_t n, int64_t columns, float *max, float *sum, float *rescale);
/* every row x factor, element by element */
extern void (*vec_scale_rows)(float *x, int64_t n, int64_t lanes, const float *factor);
/* y[r] = x[r] x factor[r] x exp(shift[r] - max[r]) for rows of n */
extern void (*vec_reweigh)(const float *x, float *y, int64_t rows, int64_t n, const float *factor, const float *shift,
	const float *max);
extern void (*vec_relu)(float *x, int64_t n);
extern void (*vec_relu_backward)(const float *y, float *dy, int64_t n); /* dy = 0 where y is not positive */
/* y = gelu(x) with erf; dy *= gelu'(x) */
extern void (*vec_gelu)(const float *x, float *y, int64_t n);
extern void (*vec_gelu_backward)(const float *x, float *dy, int64_t n);
/* the same with the approximation by tanh */
extern void (*vec_gelu_new)(const float *x, float *y, int64_t n);
extern void (*vec_gelu_new_backward)(const float *x, float *dy, int64_t n);
/* y = silu(gate) x up */
extern void (*vec_swiglu)(const float *gate, const float *up, float *y, int64_t n);
extern void (
	*vec_swiglu_backward)(const float *gate, const float *up, const float *dy, float *dgate, float *dup, int64_t n);
/* y = sigmoid(gate) x up */
extern void (*vec_glu)(const float *gate, const float *up, float *y, int64_t n);
extern void (
	*vec_glu_backward)(const float *gate, const float *up, const float *dy, float *dgate, float *dup, int64_t n);
/* x[i * step] and x[i * step + apart] turned by an angle each, for i < n; direction 1 or, back, -1 */
extern void (*vec_rotate)(float *x, int64_t n, int64_t step, int64_t apart, const float *cosine, const float *sine,
	float direction);

/*
 * Inverted dropout with a mask that is a function of key and index alone: y[i] = x[i] x (0 or 1 / (1 - p)); y may be x.
 * `from` is the index of x[0] in the mask; the same call serves the forward and the backward pass.
 */
extern void (*vec_dropout)(const float *x, float *y, int64_t n, float p, uint64_t key, uint64_t from);

/*
 * Row-wise softmax of scale x scores, where row r sees columns [first + r, end + r), as far as there are any; the rest
 * become 0. Backward: from probabilities and their gradients to the scores' gradients, in place of the latter.
 */
extern void (*vec_band_softmax)(float *scores, int64_t rows, int64_t columns, int64_t first, int64_t end, float scale);
extern void (
	*vec_softmax_backward)(const float *probability, float *gradient, int64_t rows, int64_t columns, float scale);
/* x = cap tanh(scale x / cap); and dx *= its derivative at x */
extern void (*vec_softcap)(float *x, int64_t n, float scale, float cap);
extern void (*vec_softcap_backward)(const float *x, float *dx, int64_t n, float scale, float cap);
/* Forward where row r sees column 0 and, of the others, those at most `reach` from its own, which is column own + r. */
extern void (
	*vec_window_softmax)(float *scores, int64_t rows, int64_t columns, int64_t own, int64_t reach, float scale);

/*
 * y = weight x normalised(s) + bias with s = x + update (NULL: x alone) of one row; s is stored where it is not NULL.
 * Keeps mean and 1 / deviation. Backward: dx = dy through the norm + dsum (may be NULL); dweight, dbias are added to.
 */
extern void (*vec_norm)(const float *x, const float *update, float *s, float *y, const float *weight, const float *bias,
	float epsilon, int64_t n, float moments[2]);
extern void (*vec_norm_backward)(const float *s, const float *dy, const float *weight, const float *dsum, float *dx,
	float *dweight, float *dbias, int64_t n, const float moments[2]);
/* The same of y = weight x s / root mean square of s; returns its inverse. */
extern float (*vec_rms_norm)(const float *x, const float *update, float *s, float *y, const float *weight,
	float epsilon, int64_t n);
extern void (*vec_rms_norm_backward)(const float *s, const float *dy, const float *weight, const float *dsum, float *dx,
	float *dweight, int64_t n, float inverse);

/*
 * One step of a gated recurrent unit, rows x h. gates (3h a row): input products in, r, z, n out. recurrent (3h):
 * products of the previous state, of which the third part is kept for backward. state may not be previous; previous
 * NULL: zeros.
 */
extern void (
	*vec_gru)(float *gates, const float *recurrent, const float *previous, float *state, int64_t rows, int64_t h);
/*
 * From dstate (rows x h) to the gradients of the input products (dinput, 3h) and of the recurrent ones (drecurrent,
 * 3h), and of the previous state, as far as it is direct (dprevious, in place of dstate).
 */
extern void (*vec_gru_backward)(const float *gates, const float *recurrent, const float *previous, float *dstate,
	float *dinput, float *drecurrent, int64_t rows, int64_t h);

/* Adam on n parameters: see adamw.c for the factors. Returns the sum of the new values' magnitudes. */
struct adam_factors {
	float gradient_scale, beta1, one_minus_beta1, beta2, one_minus_beta2, rate, root, epsilon, decay;
	float ahead; /* of what later steps without a gradient move; 0: they all do */
};
extern float (*vec_adam)(const struct adam_factors *factors, const float *gradient, float *first, float *second,
	float *value, int64_t n);
/* The same without a gradient, `steps` times. */
extern void (*vec_adam_idle)(const struct adam_factors *factors, int64_t steps, float *first, float *second,
	float *value, int64_t n);

/*
 * x[i] = deviation x normal_of(u[i], v[i]) to the last bit, whatever the vector library's logarithm and cosine are off
 * by; or VEC_NORMAL_UNSURE where they could decide how it is rounded.
 */
#define VEC_NORMAL_UNSURE FLT_MAX
extern void (*vec_normal)(const double *u, const double *v, double deviation, float *x, int64_t n);

/* All of the above; for vec.c and vec_levels.c. */
/* clang-format off */
#define VEC_FUNCTIONS(F) \
	F(vec_dot) F(vec_sum_of_squares) F(vec_axpy) F(vec_dot_rows) F(vec_sum_weighted) F(vec_softplus_sum) \
	F(vec_add_rows) F(vec_sum_rows) F(vec_exp_sum) \
	F(vec_exp_lanes) F(vec_exp_lanes_sum) F(vec_exp_lanes_of) F(vec_exp_rows) F(vec_scale_rows) F(vec_reweigh) \
	F(vec_relu) F(vec_relu_backward) \
	F(vec_gelu) F(vec_gelu_backward) F(vec_gelu_new) F(vec_gelu_new_backward) F(vec_swiglu) \
	F(vec_swiglu_backward) F(vec_glu) F(vec_glu_backward) \
	F(vec_rotate) F(vec_dropout) F(vec_band_softmax) F(vec_softmax_backward) \
	F(vec_softcap) F(vec_softcap_backward) \
	F(vec_window_softmax) F(vec_norm) F(vec_norm_backward) F(vec_rms_norm) F(vec_rms_norm_backward) F(vec_gru) \
	F(vec_gru_backward) F(vec_adam) F(vec_adam_idle) F(vec_normal)
/* clang-format on */

/* For cpu.c: the pointers to the functions of that level. */
void vec_use(enum cpu level);

#endif
