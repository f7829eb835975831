/*
 * Gradient descent on many problems of one geometry, each with a vector of its own: items whose vectors are read by the
 * same frozen network. Their gradients, scaled to the same length, share a second moment C, far from a multiple of the
 * identity; every problem takes its steps where C is one:
 *
 *     C   = mean of d u u^T,  u = g / |g|          over problems and, decaying, over steps
 *     P   = (C + ridge)^(-1/2)
 *     m_i = mean of g_i,  s_i = mean of |P g_i|^2 / d      decaying by momentum
 *     v_i = v_i - rate |v_i| P m_i / sqrt(d s_i)
 *
 * The rate is relative to the vector's length, as the networks meant begin with a norm: what counts is by what angle a
 * vector turns.
 *
 * Adam with a full matrix instead of a diagonal one (Duchi et al., JMLR 2011, 1.2), which all problems pay for together.
 */
#ifndef RECPIPE_WHITEN_H
#define RECPIPE_WHITEN_H

#include <stdint.h>

struct whitening_options {
	double momentum;  /* decay of m and s */
	double memory;    /* decay of C */
	double ridge;     /* of C, whose mean eigenvalue is 1 */
};
#define WHITENING_DEFAULTS { .momentum = .9, .memory = .98, .ridge = .03 }

/* Steps of a set of problems; the state of a training is moment, root and taken. */
struct whitening {
	struct whitening_options options;
	int64_t width;
	double *moment;   /* width x width: C, not yet corrected for its start at 0 */
	float *root;      /* width x width: P, as of a recent step */
	int64_t taken;    /* steps that C has seen; set it when resuming */
	float *rows;      /* room: 2 x n x width in, and as much out */
	int64_t room;
};

struct whitening whitening_new(int64_t width, const struct whitening_options *options);
void whitening_free(struct whitening *whitening);

/* A problem's own part of a step. */
struct whitened_row {
	const float *gradient;
	float *momentum;  /* m, width */
	float *scale;     /* s */
	float *vector;    /* v, width */
	int64_t step;     /* of this problem, from 1 */
	double rate;      /* of the vector's length, in a step */
};
/* One step of n problems. Returns -1, or a row whose gradient, or vector afterwards, is not finite. */
int64_t whitening_step(struct whitening *whitening, const struct whitened_row row[], int64_t n);

#endif
