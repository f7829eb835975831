/* The frequencies of rotary positions, as a model's configuration has them. */
#ifndef RECPIPE_ROTARY_H
#define RECPIPE_ROTARY_H

#include "nn/ops.h"
#include "stream/json.h"

/*
 * Of heads of `width`, the first `turned` columns (an even number) turned; base ("rope_theta"). scaling: a
 * "rope_scaling" as data/family.h says, or NULL: types linear, llama3 (LLaMA 3.1), yarn (Peng et al. 2023), factors,
 * and dynamic, which is none within the length that the model was made for. Its frequencies are to be freed by
 * rotary_free(). Dies with `where`.
 */
struct rope rotary_of(int64_t width, int64_t turned, enum rope_pairing pairing, double base, const json_t *scaling,
	const char *where);
void rotary_free(struct rope *rope);

#endif
