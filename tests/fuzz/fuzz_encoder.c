/*
 * A folder as sentence-transformers has it, its documents each up to a NUL byte, in the order of names[]; after them
 * the weights. Where it is one, it makes vectors.
 */
#include "folder.h"

#include "model/text_encoder.h"

static const char *const names[] = {"modules.json", "config.json", "1_Pooling/config.json", "sentence_bert_config.json",
	"config_sentence_transformers.json", "2_Dense/config.json", "tokenizer.json"};

static void fuzz_one(const char *path, const uint8_t *data, size_t size)
{
	(void)path;
	for (size_t i = 0; i < COUNT_OF(names); i++)
		put_next(names[i], &data, &size);
	put("model.safetensors", data, size);
	put("2_Dense/model.safetensors", data, size);
	struct text_encoder *encoder = text_encoder_open(folder());
	const struct tokenizer *tokenizer = text_encoder_tokenizer(encoder);
	struct tokenize_worker *worker = tokenize_worker_new(tokenizer, (struct tokenize_options){.add_special = true});
	struct buffer ids = {0};
	tokenize(worker, "a ab", 4, text_encoder_longest(encoder), &ids);
	int64_t indptr[] = {0, 0, (int64_t)(ids.size / sizeof(int32_t))};
	const struct item_tokens tokens = {.rows = 2, .indptr = indptr, .ids = (int32_t *)(void *)ids.data};
	float *vectors = xaligned((size_t)(2 * text_encoder_width(encoder)), sizeof *vectors);
	text_encoder_vectors(encoder, &tokens, vectors, 1);
	free(vectors);
	buffer_free(&ids);
	tokenize_worker_free(worker);
	text_encoder_free(encoder);
}

#include "fuzz.h"
