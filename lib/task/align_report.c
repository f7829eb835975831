/* What an LLM says from a projector's vectors, in figures and in words. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/llm.h"
#include "stream/progress.h"
#include "task/align.h"

static json_t *result_json(const struct align_result *result)
{
	return json_build("{s:I, s:I, s:f, s:f, s:f}", "items", (json_int_t)result->items, "tokens",
		(json_int_t)result->tokens, "nll", result->nll, "accuracy", result->accuracy, "exact", result->exact);
}

static void tell_result(const char *which, const struct align_result *result)
{
	if (result->items)
		notice("%s: %s, %s, NLL %.4f, token accuracy %.4f, said exactly %.4f", which, counted(result->items, "items"),
			counted(result->tokens, "tokens"), result->nll, result->accuracy, result->exact);
}

void align_tell(struct task *task, struct trainer *trainer, const char *learned_name, json_t *measured)
{
	/* who stops it wants what there is, and not to wait until all items are said */
	if (json_object_get(measured, "stopped"))
		return;
	struct align_result learned, held_out;
	align_measure(task, trainer, &learned, &held_out);
	tell_result(learned_name, &learned);
	tell_result("held out", &held_out);
	json_set(measured, learned_name, result_json(&learned));
	if (held_out.items)
		json_set(measured, "held_out", result_json(&held_out));
}

void align_show(const struct projector *projector, const struct model *llm, const struct tokenizer *tokenizer,
	const struct item_tokens *texts, struct text_ends ends, bool lead, int64_t count, int64_t longest)
{
	int64_t n = count < projector->n_items ? count : projector->n_items, d = projector->width;
	float *vectors = xaligned((size_t)(projector->n_items * d), sizeof *vectors);
	float *shown = xaligned((size_t)(n * d), sizeof *shown);
	int32_t *said = xcalloc((size_t)(n * longest), sizeof *said);
	int64_t *length = xcalloc((size_t)n, sizeof *length);
	projector_vectors(projector, vectors);
	for (int64_t i = 0; i < n; i++) /* from all over the catalog */
		memcpy(shown + i * d, vectors + i * projector->n_items / n * d, (size_t)d * sizeof *shown);
	llm_say(llm, lead ? ends.start : -1, shown, n, ends.end, longest, said, length);
	for (int64_t i = 0; i < n; i++) {
		int64_t item = i * projector->n_items / n, from = texts->indptr[item];
		struct buffer text = {0}, saying = {0};
		tokenizer_decode(tokenizer, texts->ids + from, texts->indptr[item + 1] - from, &text);
		tokenizer_decode(tokenizer, said + i * longest, length[i], &saying);
		fprintf(stderr, "item  %s\ntext  %.*s\nsays  %.*s\n\n", strings_at(&projector->item_id, item), (int)text.size,
			text.data ? text.data : "", (int)saying.size, saying.data ? saying.data : "");
		buffer_free(&text);
		buffer_free(&saying);
	}
	free(vectors);
	free(shown);
	free(said);
	free(length);
}
