/*
 * Many smooth problems of one geometry, each with a vector of its own that is to minimise its objective: items whose
 * vectors are read by the same frozen network. No noise, and a value with each gradient: every problem takes
 * quasi-Newton steps (L-BFGS, Nocedal & Wright 2006, algorithm 7.4) within a radius of its own, and takes back those
 * that lead up:
 *
 *     f, g           value and gradient at v + s, where s is the step on trial
 *     keep (s, y)    y = g - (gradient at v), where it says something: s.y > 0
 *     f < before:    v = v + s; the radius grows if it cut s short
 *     else           v stays;   the radius is half of |s|, and where it gets too small all starts anew
 *     s = -H g       H from the latest pairs and, before them, a matrix that all problems share; cut to the radius
 *
 *     H0  = gamma P,  gamma = s.y / y.P y,  P = (C + ridge)^(-1/2)
 *     C   = mean of d u u^T, u = g / |g|, over problems and, decaying, over steps
 *
 * The radius is relative to the vector's length, as the networks meant
 * begin with a norm: what counts is by what angle a vector turns.
 */
#ifndef RECPIPE_DESCENT_H
#define RECPIPE_DESCENT_H

#include "nn/optimiser.h"

#define DESCENT_PAIRS 10

struct descent_options {
	double radius; /* of the first step, relative to the vector */
	double memory; /* decay of C */
	double ridge;  /* of C, whose mean eigenvalue is 1 */
};
#define DESCENT_DEFAULTS                                                                                               \
	{                                                                                                                  \
		.radius = .1, .memory = .98, .ridge = .03                                                                      \
	}

/* By problem, but for the last three. */
struct descent {
	struct optimiser optimiser;
	struct descent_options options;
	int64_t n, width;
	float *gradient; /* width: at the vector */
	float *step;     /* width: on trial; 0 at first */
	float *pairs;    /* DESCENT_PAIRS x 2 x width: s and y, round and round */
	int32_t *kept;   /* pairs; from DESCENT_PAIRS on, how far round modulo that many */
	double *value;   /* at the vector; infinite before the first visit */
	double *radius;
	double *moment; /* width x width: C, not yet corrected for its start at 0 */
	float *root;    /* width x width: P, as of a recent step */
	int64_t taken;  /* steps that C has seen */
};

struct descent *descent_new(int64_t problems, int64_t width, const struct descent_options *options);

/* What a visit of a problem saw at vector + step. */
struct visit {
	int64_t problem;
	double value;
	const float *gradient;
	float *vector;
	bool taken; /* out: the step led down, and vector has it now */
};
/*
 * A visit to n different problems: their vectors and steps move on.
 * A visit whose value or gradient is not finite is a step up.
 */
void descent_step(struct descent *descent, struct visit visit[], int64_t n);

#endif
