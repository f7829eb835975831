#include "data/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "data/tokenizer_parts.h"
#include "data/utf8.h"

void tokenizer_free(struct tokenizer *tokenizer)
{
	if (!tokenizer)
		return;
	for (int64_t id = 0; tokenizer->normal_spelling && id < tokenizer->tokens.count; id++)
		free(tokenizer->normal_spelling[id]);
	free(tokenizer->normal_spelling);
	strings_free(&tokenizer->tokens);
	free(tokenizer->is_special);
	added_tokens_free(&tokenizer->raw);
	added_tokens_free(&tokenizer->normalized);
	normalizers_free(&tokenizer->normalizers);
	pre_tokenizer_free(&tokenizer->pre_tokenizer);
	subword_free(&tokenizer->subword);
	buffer_free(&tokenizer->prefix);
	buffer_free(&tokenizer->suffix);
	decoders_free(&tokenizer->decoders);
	free(tokenizer->json);
	free(tokenizer);
}

/* --- what is known about it --- */

const char *tokenizer_json(const struct tokenizer *tokenizer, size_t *size)
{
	*size = tokenizer->json_size;
	return tokenizer->json;
}

uint64_t tokenizer_fingerprint(const struct tokenizer *tokenizer)
{
	return tokenizer->fingerprint;
}

void tokenizer_require(const struct tokenizer *tokenizer, const char *fingerprint, const char *what)
{
	char own[17];
	fingerprint_text(tokenizer_fingerprint(tokenizer), own);
	if (!*fingerprint)
		die("%s: no tokenizer with it, which must be the stream's", what);
	if (strcmp(fingerprint, own))
		die("%s: its tokenizer is not the stream's; seq-tokenize --tokenizer takes it", what);
}

int64_t tokenizer_vocab_size(const struct tokenizer *tokenizer)
{
	return tokenizer->tokens.count;
}

int32_t tokenizer_id(const struct tokenizer *tokenizer, const char *token)
{
	return *token ? (int32_t)strings_find((struct strings *)&tokenizer->tokens, token, strlen(token)) : -1;
}

const char *tokenizer_token(const struct tokenizer *tokenizer, int32_t id)
{
	if (id < 0 || id >= tokenizer->tokens.count)
		return NULL;
	const char *token = strings_at(&tokenizer->tokens, id);
	return *token ? token : NULL;
}

int32_t tokenizer_special(const struct tokenizer *tokenizer, enum special special)
{
	static const char *const names[N_SPECIAL][5] = {
		[SPECIAL_BOS] = {"<s>", "<|begin_of_text|>", "<bos>", "[CLS]", "<|endoftext|>"},
		[SPECIAL_EOS] = {"</s>", "<|end_of_text|>", "<eos>", "[SEP]", "<|endoftext|>"},
		[SPECIAL_UNK] = {"<unk>", "[UNK]"},
		[SPECIAL_PAD] = {"<pad>", "[PAD]"},
		[SPECIAL_MASK] = {"<mask>", "[MASK]"},
	};
	if (special == SPECIAL_BOS && tokenizer->prefix.size)
		return *(const int32_t *)(const void *)tokenizer->prefix.data;
	if (special == SPECIAL_EOS && tokenizer->suffix.size)
		return *(const int32_t *)(const void *)tokenizer->suffix.data;
	if (special == SPECIAL_UNK && tokenizer->subword.unk >= 0)
		return tokenizer->subword.unk;
	for (int i = 0; i < 5 && names[special][i]; i++) {
		int32_t id = tokenizer_id(tokenizer, names[special][i]);
		if (id >= 0)
			return id;
	}
	return -1;
}

/* --- text to ids --- */

struct tokenize_worker {
	const struct tokenizer *tokenizer;
	struct tokenize_options options;
	struct matcher *matcher;
	struct normalizing normalizing;
	struct pre_tokenizing pre_tokenizing;
	struct subword_worker *subword;
	struct buffer *ids;
	struct buffer clean;
};

static void encode_word(void *to, const char *word, size_t length)
{
	struct tokenize_worker *worker = to;
	subword_encode(worker->subword, word, length, worker->ids);
}

struct tokenize_worker *tokenize_worker_new(const struct tokenizer *tokenizer, struct tokenize_options options)
{
	struct tokenize_worker *worker = xcalloc(1, sizeof *worker);
	worker->tokenizer = tokenizer;
	worker->options = options;
	worker->matcher = matcher_new();
	worker->normalizing.matcher = worker->matcher;
	worker->pre_tokenizing = (struct pre_tokenizing){.matcher = worker->matcher, .word = encode_word, .to = worker};
	worker->subword = subword_worker_new(&tokenizer->subword, options.special_as_text ? tokenizer->is_special : NULL);
	return worker;
}

void tokenize_worker_free(struct tokenize_worker *worker)
{
	if (!worker)
		return;
	matcher_free(worker->matcher);
	normalizing_free(&worker->normalizing);
	pre_tokenizing_free(&worker->pre_tokenizing);
	subword_worker_free(worker->subword);
	buffer_free(&worker->clean);
	free(worker);
}

static void tokenize_plain(struct tokenize_worker *worker, const char *text, size_t length, bool at_start)
{
	pre_tokenize(&worker->tokenizer->pre_tokenizer, &worker->pre_tokenizing, text, length, at_start);
}

/* Ids of the set's tokens in the text; what lies between them goes to `rest`. */
static void tokenize_around(struct tokenize_worker *worker, const struct added_tokens *set, const char *text,
	size_t length, bool at_start, void (*rest)(struct tokenize_worker *, const char *, size_t, bool))
{
	size_t done = 0;
	struct added_match match = {0};
	int32_t id;
	while ((id = added_tokens_find(set, text, length, worker->options.special_as_text, done, &match)) >= 0) {
		if (match.start > done)
			rest(worker, text + done, match.start - done, at_start && !done);
		buffer_append(worker->ids, &id, sizeof id);
		done = match.end;
	}
	if (done < length)
		rest(worker, text + done, length - done, at_start && !done);
}

static void tokenize_part(struct tokenize_worker *worker, const char *text, size_t length, bool at_start)
{
	normalizers_run(&worker->tokenizer->normalizers, &worker->normalizing, &text, &length);
	tokenize_around(worker, &worker->tokenizer->normalized, text, length, at_start, tokenize_plain);
}

int64_t tokenize(struct tokenize_worker *worker, const char *text, size_t length, int64_t budget, struct buffer *ids)
{
	const struct tokenizer *tokenizer = worker->tokenizer;
	size_t before = ids->size, around = 0;
	worker->ids = ids;
	if (!utf8_is_valid(text, length))
		utf8_clean(&text, &length, &worker->clean);
	if (worker->options.add_special) {
		buffer_append(ids, tokenizer->prefix.data, tokenizer->prefix.size);
		around = tokenizer->suffix.size;
	}
	tokenize_around(worker, &tokenizer->raw, text, length, true, tokenize_part);
	size_t size = ids->size - before + around, most = size;
	if (budget >= 0 && (uint64_t)budget < size / sizeof(int32_t))
		most = (size_t)budget * sizeof(int32_t);
	/* what is cut off is cut before the closing tokens, which stay as far as there is room for them */
	around = around < most ? around : most;
	if (ids->size - before > most - around)
		ids->size = before + most - around;
	buffer_append(ids, tokenizer->suffix.data, around);
	return (int64_t)((size - most) / sizeof(int32_t));
}

/* --- ids to text --- */

void tokenizer_decode(const struct tokenizer *tokenizer, const int32_t *ids, int64_t count, struct buffer *text)
{
	struct pieces pieces = {0};
	for (int64_t i = 0; i < count; i++) {
		const char *token = tokenizer_token(tokenizer, ids[i]);
		if (!token || tokenizer->is_special[ids[i]])
			continue;
		if (tokenizer->normal_spelling[ids[i]])
			token = tokenizer->normal_spelling[ids[i]];
		pieces_add(&pieces, token, strlen(token));
	}
	decoders_run(&tokenizer->decoders, &pieces);
	buffer_append(text, pieces.text.data, pieces.text.size);
	pieces_free(&pieces);
}
