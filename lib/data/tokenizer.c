#include "data/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/tokenizer_parts.h"

static void free_added(struct added_set *set)
{
	for (int64_t i = 0; i < set->n_tokens; i++)
		free(set->tokens[i].text);
	free(set->tokens);
}

void tokenizer_free(struct tokenizer *tokenizer)
{
	if (!tokenizer)
		return;
	for (int i = 0; i < MAX_STEPS; i++) {
		pattern_free(tokenizer->normalizers[i].pattern);
		free(tokenizer->normalizers[i].content);
		pattern_free(tokenizer->steps[i].pattern);
		free(tokenizer->steps[i].prefix);
		free(tokenizer->steps[i].space);
	}
	bpe_free(&tokenizer->bpe);
	strings_free(&tokenizer->tokens);
	free_added(&tokenizer->raw);
	free_added(&tokenizer->normalized);
	buffer_free(&tokenizer->prefix);
	buffer_free(&tokenizer->suffix);
	pattern_free(tokenizer->word_character);
	free(tokenizer->is_special);
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
	return fingerprint(FINGERPRINT_START, tokenizer->json, tokenizer->json_size);
}

void tokenizer_require(const struct tokenizer *tokenizer, const char *fingerprint, const char *what)
{
	char own[17];
	fingerprint_text(tokenizer_fingerprint(tokenizer), own);
	if (!*fingerprint)
		die("%s: no tokenizer with it, which must be the stream's", what);
	if (strcmp(fingerprint, own))
		die("%s: its tokenizer is %s, the stream's %s; seq-tokenize --tokenizer takes it", what, fingerprint, own);
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
	if (special == SPECIAL_UNK && tokenizer->bpe.options.unk >= 0)
		return tokenizer->bpe.options.unk;
	for (int i = 0; i < 5 && names[special][i]; i++) {
		int32_t id = tokenizer_id(tokenizer, names[special][i]);
		if (id >= 0)
			return id;
	}
	return -1;
}

/* --- encoding --- */

struct encoder {
	const struct tokenizer *tokenizer;
	struct matcher *matcher;
	struct bpe_worker *worker;
	struct buffer *ids;
	struct buffer clean, normalized[2], rewritten[MAX_STEPS];
};

struct encoder *encoder_new(const struct tokenizer *tokenizer)
{
	struct encoder *encoder = xcalloc(1, sizeof *encoder);
	encoder->tokenizer = tokenizer;
	encoder->matcher = matcher_new();
	encoder->worker = bpe_worker_new(&tokenizer->bpe);
	return encoder;
}

void encoder_free(struct encoder *encoder)
{
	if (!encoder)
		return;
	matcher_free(encoder->matcher);
	bpe_worker_free(encoder->worker);
	buffer_free(&encoder->clean);
	buffer_free(&encoder->normalized[0]);
	buffer_free(&encoder->normalized[1]);
	for (int i = 0; i < MAX_STEPS; i++)
		buffer_free(&encoder->rewritten[i]);
	free(encoder);
}

static void append_text(struct buffer *buffer, const char *text)
{
	buffer_append(buffer, text, strlen(text));
}

static void replace(const struct normalizer *normalizer, struct matcher *matcher, struct buffer *out, const char *text,
	size_t length)
{
	size_t kept = 0, from = 0, start, end;
	while (from <= length && pattern_find(normalizer->pattern, matcher, text, length, from, &start, &end)) {
		buffer_append(out, text + kept, start - kept);
		append_text(out, normalizer->content);
		kept = end;
		/* past an empty match by one character */
		from = end > start ? end : end < length ? end + (size_t)utf8_next(text + end, length - end) : length + 1;
	}
	buffer_append(out, text + kept, length - kept);
}

void tokenizer_normalize(const struct tokenizer *tokenizer, struct matcher *matcher, struct buffer work[2],
	const char **text, size_t *length)
{
	for (int i = 0; i < tokenizer->n_normalizers && *length; i++) {
		const struct normalizer *normalizer = &tokenizer->normalizers[i];
		struct buffer *out = &work[i % 2];
		out->size = 0;
		if (normalizer->pattern) {
			replace(normalizer, matcher, out, *text, *length);
		} else {
			append_text(out, normalizer->content);
			buffer_append(out, *text, *length);
		}
		*text = out->data;
		*length = out->size;
	}
}

/* Does what the step does to the text before it is cut. */
static void rewrite(const struct step *step, struct buffer *out, const char **text, size_t *length, bool at_start)
{
	const char *prefix = step->prefix && (at_start || !step->prefix_at_start) ? step->prefix : NULL;
	if (prefix && *length >= strlen(prefix) && !memcmp(*text, prefix, strlen(prefix)))
		prefix = NULL;
	if (prefix && step->space && **text == ' ')
		prefix = NULL; /* the space becomes the prefix */
	if (!prefix && !step->space)
		return;
	out->size = 0;
	if (prefix)
		append_text(out, prefix);
	for (size_t at = 0; at < *length;) {
		const char *space = step->space ? memchr(*text + at, ' ', *length - at) : NULL;
		size_t end = space ? (size_t)(space - *text) : *length;
		buffer_append(out, *text + at, end - at);
		if (space)
			append_text(out, step->space);
		at = end + (space != NULL);
	}
	*text = out->data;
	*length = out->size;
}

static void pre_tokenize(struct encoder *encoder, int number, const char *text, size_t length, bool at_start);

/* Pieces of one text on their way to the next step; the last one waits because the next may join it. */
struct cutting {
	struct encoder *encoder;
	const char *text;
	int step;
	bool at_start;
	size_t start, end;
	bool is_match;
};

static void let_go(struct cutting *cutting)
{
	const struct step *step = &cutting->encoder->tokenizer->steps[cutting->step];
	if (cutting->end > cutting->start && !(cutting->is_match && step->behavior == REMOVED))
		pre_tokenize(cutting->encoder, cutting->step + 1, cutting->text + cutting->start, cutting->end - cutting->start,
			cutting->at_start && !cutting->start);
}

static void cut(struct cutting *cutting, size_t start, size_t end, bool is_match)
{
	const struct step *step = &cutting->encoder->tokenizer->steps[cutting->step];
	is_match ^= step->invert;
	bool joins = cutting->end > cutting->start &&
		((step->behavior == CONTIGUOUS && is_match == cutting->is_match) ||
			(step->behavior == MERGED_WITH_PREVIOUS && is_match && !cutting->is_match) ||
			(step->behavior == MERGED_WITH_NEXT && !is_match && cutting->is_match));
	if (!joins) {
		let_go(cutting);
		cutting->start = start;
	}
	cutting->end = end;
	cutting->is_match = is_match;
}

static void pre_tokenize(struct encoder *encoder, int number, const char *text, size_t length, bool at_start)
{
	const struct tokenizer *tokenizer = encoder->tokenizer;
	if (number == tokenizer->n_steps) {
		bpe_worker_encode(encoder->worker, text, length, encoder->ids);
		return;
	}
	const struct step *step = &tokenizer->steps[number];
	rewrite(step, &encoder->rewritten[number], &text, &length, at_start);
	struct cutting cutting = {.encoder = encoder, .text = text, .step = number, .at_start = at_start};
	size_t done = 0, from = 0, start, end;
	while (from < length && step->pattern &&
		pattern_find(step->pattern, encoder->matcher, text, length, from, &start, &end)) {
		if (start > done)
			cut(&cutting, done, start, false);
		if (end > start)
			cut(&cutting, start, end, true);
		done = end;
		from = end > start ? end : end < length ? end + (size_t)utf8_next(text + end, length - end) : length;
	}
	if (done < length)
		cut(&cutting, done, length, false);
	let_go(&cutting);
}

/* The leftmost, longest added token at or after *at. */
static const struct added *find_added(const struct added_set *set, const char *text, size_t length, size_t *at)
{
	for (; *at < length; ++*at) {
		unsigned char byte = (unsigned char)text[*at];
		for (int64_t i = set->start[byte]; i < set->start[byte + 1]; i++) {
			const struct added *token = &set->tokens[i];
			if (token->length <= length - *at && !memcmp(text + *at, token->text, token->length))
				return token;
		}
	}
	return NULL;
}

static size_t previous_character(const char *text, size_t at)
{
	do
		at--;
	while (((unsigned char)text[at] & 0xc0) == 0x80);
	return at;
}

static bool is_word_character(struct encoder *encoder, const char *text, size_t start, size_t length)
{
	size_t size = (size_t)utf8_next(text + start, length - start), from, to;
	return pattern_find(encoder->tokenizer->word_character, encoder->matcher, text + start, size, 0, &from, &to);
}

static bool stands_alone(struct encoder *encoder, const char *text, size_t length, size_t start, size_t end)
{
	return !(start && is_word_character(encoder, text, previous_character(text, start), length)) &&
		!(end < length && is_word_character(encoder, text, end, length));
}

/* Takes the white space along that the token wants. */
static void widen(const struct added *token, const char *text, size_t length, size_t least, size_t *start, size_t *end)
{
	while (token->lstrip && *start > least && is_white_space(utf8_code_point(text + previous_character(text, *start))))
		*start = previous_character(text, *start);
	while (token->rstrip && *end < length && is_white_space(utf8_code_point(text + *end)))
		*end += (size_t)utf8_next(text + *end, length - *end);
}

static void encode_plain(struct encoder *encoder, const char *text, size_t length, bool at_start)
{
	pre_tokenize(encoder, 0, text, length, at_start);
}

/* Ids of the set's tokens in the text; what lies between them goes to `rest`. */
static void encode_around(struct encoder *encoder, const struct added_set *set, const char *text, size_t length,
	bool at_start, void (*rest)(struct encoder *, const char *, size_t, bool))
{
	size_t done = 0, at = 0;
	const struct added *token;
	while (set->n_tokens && (token = find_added(set, text, length, &at))) {
		size_t start = at, end = at += token->length;
		if (token->single_word && !stands_alone(encoder, text, length, start, end))
			continue;
		widen(token, text, length, done, &start, &end);
		if (start > done)
			rest(encoder, text + done, start - done, at_start && !done);
		buffer_append(encoder->ids, &token->id, sizeof token->id);
		done = end;
	}
	if (done < length)
		rest(encoder, text + done, length - done, at_start && !done);
}

static void encode_part(struct encoder *encoder, const char *text, size_t length, bool at_start)
{
	tokenizer_normalize(encoder->tokenizer, encoder->matcher, encoder->normalized, &text, &length);
	encode_around(encoder, &encoder->tokenizer->normalized, text, length, at_start, encode_plain);
}

void encoder_encode(struct encoder *encoder, const char *text, size_t length, bool add_special, struct buffer *ids)
{
	const struct tokenizer *tokenizer = encoder->tokenizer;
	encoder->ids = ids;
	if (!utf8_is_valid(text, length))
		utf8_clean(&text, &length, &encoder->clean);
	if (add_special)
		buffer_append(ids, tokenizer->prefix.data, tokenizer->prefix.size);
	encode_around(encoder, &tokenizer->raw, text, length, true, encode_part);
	if (add_special)
		buffer_append(ids, tokenizer->suffix.data, tokenizer->suffix.size);
}

/* --- decoding --- */

/* "<0x0A>" is that byte; -1 if the token is none. */
static int byte_of_token(const char *token)
{
	unsigned byte;
	int end = 0;
	return strlen(token) == 6 && sscanf(token, "<0x%2X>%n", &byte, &end) == 1 && end == 6 ? (int)byte : -1;
}

static void decode_plain(const struct tokenizer *tokenizer, const char *token, struct buffer *text)
{
	int byte = tokenizer->bpe.options.byte_fallback ? byte_of_token(token) : -1;
	if (byte >= 0) {
		buffer_append(text, &(char){(char)byte}, 1);
		return;
	}
	for (const char *mark; (mark = strstr(token, "\xe2\x96\x81")); token = mark + 3) {
		buffer_append(text, token, (size_t)(mark - token));
		buffer_append(text, " ", 1);
	}
	append_text(text, token);
}

void tokenizer_decode(const struct tokenizer *tokenizer, const int32_t *ids, int64_t count, struct buffer *text)
{
	size_t before = text->size;
	for (int64_t i = 0; i < count; i++) {
		const char *token = tokenizer_token(tokenizer, ids[i]);
		if (!token || tokenizer->is_special[ids[i]])
			continue;
		if (tokenizer->bpe.options.byte_level)
			bpe_token_bytes(token, text);
		else
			decode_plain(tokenizer, token, text);
	}
	if (tokenizer->adds_space && text->size > before && text->data[before] == ' ')
		memmove(text->data + before, text->data + before + 1, --text->size - before);
}
