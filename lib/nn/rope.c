#include "nn/ops.h"

#include <math.h>

#include "nn/vec.h"

struct rope_angles {
	int64_t width, turned;
	enum rope_pairing pairing;
	const int64_t *indptr;
	int64_t sequences;
	float *cosine, *sine; /* by position, turned / 2 each */
};

struct rotation {
	struct operation operation;
	struct array *x;
	const struct rope_angles *angles;
};

const struct rope_angles *rope_angles(struct tape *tape, const struct rope *rope, const int64_t *indptr,
	int64_t sequences)
{
	int64_t longest = 0, turned = rope->turned ? rope->turned : rope->width, pairs = turned / 2;
	double scale = rope->scale > 0 ? (double)rope->scale : 1;
	for (int64_t s = 0; s < sequences; s++)
		if (indptr[s + 1] - indptr[s] > longest)
			longest = indptr[s + 1] - indptr[s];
	struct rope_angles *angles = arena_take(&tape->arena, 1, 1, sizeof *angles);
	*angles = (struct rope_angles){rope->width, turned, rope->pairing, indptr, sequences,
		arena_take(&tape->arena, longest, pairs, sizeof(float)),
		arena_take(&tape->arena, longest, pairs, sizeof(float))};
	for (int64_t t = 0; t < longest; t++)
		for (int64_t m = 0; m < pairs; m++) {
			float angle = (float)t * rope->frequency[m]; /* in floats, as models were trained */
			angles->cosine[t * pairs + m] = (float)(scale * cos((double)angle));
			angles->sine[t * pairs + m] = (float)(scale * sin((double)angle));
		}
	return angles;
}

/* direction -1: back; a scale stays as it is, both ways */
static void turn(const struct rope_angles *angles, const struct array *x, float *rows, float direction)
{
	int64_t width = angles->width, pairs = angles->turned / 2;
	bool half = angles->pairing == ROPE_HALF;
	for (int64_t s = 0; s < angles->sequences; s++) {
		int64_t first = angles->indptr[s] - angles->indptr[0], length = angles->indptr[s + 1] - angles->indptr[s];
		for (int64_t t = 0; t < length; t++)
			for (int64_t column = 0; column < x->columns; column += width)
				vec_rotate(rows + (first + t) * x->stride + column, pairs, half ? 1 : 2, half ? pairs : 1,
					angles->cosine + t * pairs, angles->sine + t * pairs, direction);
	}
}

static void rotate_backward(struct tape *tape, struct operation *operation)
{
	struct rotation *r = (struct rotation *)operation;
	turn(r->angles, r->x, tape_gradient(tape, r->x), -1);
}

void rotate(struct tape *tape, struct array *x, const struct rope_angles *angles)
{
	turn(angles, x, x->value, 1);
	if (x->wanted)
		RECORD(tape, struct rotation, rotate_backward, .x = x, .angles = angles);
}
