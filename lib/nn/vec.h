/*
 * Loops over transcendental functions, in vec.c, the only file built with
 * -ffast-math; each is compiled for several x86-64 levels and chosen at run
 * time. Finite input only: the callers check what could be otherwise.
 */
#ifndef RECPIPE_VEC_H
#define RECPIPE_VEC_H

#include <stdint.h>

float vec_max(const float *x, int64_t n);
float vec_dot(const float *a, const float *b, int64_t n);
void vec_axpy(float alpha, const float *x, float *y, int64_t n); /* y += alpha x */
/* x = exp(x - shift), returns the sum */
float vec_exp_sum(float *x, float shift, int64_t n);
void vec_sigmoid(float *x, int64_t n);
void vec_tanh(float *x, int64_t n);
/* y = gelu(x), with erf; and dx = dy x gelu'(x) in place of dy */
void vec_gelu(const float *x, float *y, int64_t n);
void vec_gelu_backward(const float *x, float *dy, int64_t n);
/*
 * Inverted dropout with a mask that is a function of key and index alone: x[i] is multiplied by 0 or 1 / (1 - p).
 * `from` is the index of x[0] in the mask; the same call makes the forward and the backward pass.
 */
void vec_dropout(float *x, int64_t n, float p, uint64_t key, uint64_t from);

#endif
