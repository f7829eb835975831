/*
 * SAID stage 1 (Hu et al., WWW 2024): the frozen LLM reads an item's projected
 * vector as its first and only input, and must say the item's text, token by
 * token, to its end. The error of all tokens goes back through the LLM into
 * the projector alone.
 *
 *     input    v_i   w_1  ...  w_T          v_i = projector(i)
 *     target   w_1   w_2  ...  end
 *
 * mlp: AdamW on the mean over positions; every tenth item, of those sampled, is held out to validate on. table: every
 * item is a problem of its own (Kuratov et al., ACL 2025), all of one geometry (nn/descent.h). An item whose text is
 * said exactly, by the LLM itself where products take it packed, is left alone from then on: where every token is the
 * most probable one after those before it, greedy text is the text.
 */
#ifndef RECPIPE_ALIGN_H
#define RECPIPE_ALIGN_H

#include "model/model.h"
#include "model/projector.h"
#include "nn/descent.h"
#include "task/language.h"
#include "task/run.h"

/* What people say of a training, by the kind of projector. */
struct align_training {
	int64_t moments, hidden_size, sample; /* of a network */
	struct optimisation optimisation;
	double radius; /* of a table */
	struct run_options run;
};
extern const struct option align_network_options[], align_table_options[];

struct align_options {
	struct descent_options descent; /* of a table's rows */
	int lead;                       /* start tokens before the vector */
	const bool *only;               /* by item: those to learn; NULL: all */
	int64_t sample;                 /* so many of them, from all over the catalog; 0: all */
};

/* Texts are the LLM's tokens; items without any are left out. All is borrowed. Dies where there is no text at all. */
struct task *align_task(struct projector *projector, const struct model *llm, const struct item_tokens *texts,
	struct text_ends ends, const struct align_options *options);

/* How well the vectors, as they are now, make the LLM say the texts. */
struct align_result {
	int64_t items, tokens;
	double nll;      /* mean over tokens */
	double accuracy; /* share of tokens that are the most probable, given the right ones before */
	double exact;    /* share of items said to the letter */
};
/* Of all items that are learned and, of an mlp, of those held out. */
void align_measure(struct task *task, struct trainer *trainer, struct align_result *learned,
	struct align_result *held_out);
/*
 * Measures, tells people, and adds the same to the history; `learned_name` says which items were learned from. Nothing
 * of a training that was stopped.
 */
void align_tell(struct task *task, struct trainer *trainer, const char *learned_name, json_t *measured);
/*
 * Prints `count` items from all over the catalog on stderr, with their texts and what the LLM says from the vector
 * alone, at most `longest` tokens. lead: its start token stands before the vector.
 */
void align_show(const struct projector *projector, const struct model *llm, const struct tokenizer *tokenizer,
	const struct item_tokens *texts, struct text_ends ends, bool lead, int64_t count, int64_t longest);

#endif
