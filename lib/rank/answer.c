#include "rank/answer.h"

#include <stdlib.h>

bool answer_find(struct answer *answer, const struct advisor *advisor, const struct question *question)
{
	const size_t k = (size_t)question->k;
	answer->item = xreallocarray(answer->item, k, sizeof *answer->item);
	answer->score = xreallocarray(answer->score, k, sizeof *answer->score);
	answer->why = xreallocarray(answer->why, k, sizeof *answer->why);
	int32_t found = advisor_answer(advisor, question, answer->item, answer->score,
		question->wants_why ? answer->why : NULL);
	answer->n = found < 0 ? 0 : found;
	return found >= 0;
}

json_t *answer_json(const struct answer *answer, const struct question *question, const struct listing *listing,
	const char *reason)
{
	json_t *json = json_object();
	if (*question->user.data)
		json_set(json, "user", json_any_text(question->user.data));
	if (reason)
		json_set(json, "error", json_any_text(reason));
	else
		json_set(json, "items",
			listing_json(listing, answer->item, answer->score, answer->n, question->wants_why ? answer->why : NULL));
	if (question->n_unknown)
		json_set(json, "unknown", json_integer(question->n_unknown));
	return json;
}

void answer_free(struct answer *answer)
{
	free(answer->item);
	free(answer->score);
	free(answer->why);
	*answer = (struct answer){0};
}
