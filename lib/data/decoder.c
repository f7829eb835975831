#include "data/decoder.h"

#include <stdlib.h>
#include <string.h>

#include "data/byte_level.h"
#include "data/tokenizer_json.h"
#include "data/utf8.h"

struct decoder_kind {
	const char *type;
	void (*read)(struct decoder *decoder, const json_t *object, const char *where); /* or NULL */
	/* Appends to `out` what becomes of the tokens. */
	void (
		*run)(const struct decoder *decoder, struct matcher *matcher, const struct pieces *tokens, struct pieces *out);
};

struct decoder {
	const struct decoder_kind *kind;
	struct pattern *pattern;
	char *content;
	int64_t start, stop; /* Strip: how often */
	bool flag;           /* WordPiece: blanks before punctuation go; Metaspace: the first token's do */
};

/* --- lists of strings --- */

static void end_piece(struct pieces *pieces)
{
	buffer_append(&pieces->ends, &pieces->text.size, sizeof pieces->text.size);
}

void pieces_add(struct pieces *pieces, const char *text, size_t length)
{
	buffer_append(&pieces->text, text, length);
	end_piece(pieces);
}

void pieces_free(struct pieces *pieces)
{
	buffer_free(&pieces->text);
	buffer_free(&pieces->ends);
}

static size_t count_pieces(const struct pieces *pieces)
{
	return pieces->ends.size / sizeof(size_t);
}

static const char *piece_at(const struct pieces *pieces, size_t i, size_t *length)
{
	const size_t *ends = (const size_t *)(const void *)pieces->ends.data;
	size_t start = i ? ends[i - 1] : 0;
	*length = ends[i] - start;
	return pieces->text.data + start;
}

/* --- the kinds --- */

static void run_byte_level(const struct decoder *decoder, struct matcher *matcher, const struct pieces *tokens,
	struct pieces *out)
{
	struct buffer bytes = {0}, clean = {0};
	(void)decoder, (void)matcher;
	for (size_t i = 0; i < count_pieces(tokens); i++) {
		size_t length;
		const char *token = piece_at(tokens, i, &length);
		byte_level_bytes(token, length, &bytes);
	}
	const char *text = bytes.data;
	size_t length = bytes.size;
	utf8_clean(&text, &length, &clean);
	pieces_add(out, text, length);
	buffer_free(&bytes);
	buffer_free(&clean);
}

static void read_replace(struct decoder *decoder, const json_t *object, const char *where)
{
	decoder->pattern = part_pattern(object, where);
	decoder->content = xstrdup(json_get_string(object, "content", where));
}

static void replace(const struct pattern *pattern, struct matcher *matcher, const char *content, const char *text,
	size_t length, struct buffer *out)
{
	size_t kept = 0, from = 0, start, end;
	while (from < length && pattern_find(pattern, matcher, text, length, from, &start, &end)) {
		buffer_append(out, text + kept, start - kept);
		buffer_append(out, content, strlen(content));
		kept = end;
		from = end > start ? end : end < length ? end + (size_t)utf8_next(text + end, length - end) : length;
	}
	buffer_append(out, text + kept, length - kept);
}

static void run_replace(const struct decoder *decoder, struct matcher *matcher, const struct pieces *tokens,
	struct pieces *out)
{
	for (size_t i = 0; i < count_pieces(tokens); i++) {
		size_t length;
		const char *token = piece_at(tokens, i, &length);
		replace(decoder->pattern, matcher, decoder->content, token, length, &out->text);
		end_piece(out);
	}
}

/* "<0x0A>" is that byte; -1 if the token is none. */
static int byte_of_token(const char *token, size_t length)
{
	static const char digits[] = "0123456789abcdefABCDEF";
	if (length != 6 || memcmp(token, "<0x", 3) || token[5] != '>' || !memchr(digits, token[3], 22) ||
		!memchr(digits, token[4], 22))
		return -1;
	return (int)strtol((const char[]){token[3], token[4], '\0'}, NULL, 16);
}

static void append_bytes(struct buffer *bytes, struct pieces *out)
{
	if (!bytes->size)
		return;
	if (utf8_is_valid(bytes->data, bytes->size))
		pieces_add(out, bytes->data, bytes->size);
	else
		for (size_t i = 0; i < bytes->size; i++)
			pieces_add(out, "\xef\xbf\xbd", 3);
	bytes->size = 0;
}

static void run_byte_fallback(const struct decoder *decoder, struct matcher *matcher, const struct pieces *tokens,
	struct pieces *out)
{
	struct buffer bytes = {0};
	(void)decoder, (void)matcher;
	for (size_t i = 0; i < count_pieces(tokens); i++) {
		size_t length;
		const char *token = piece_at(tokens, i, &length);
		int byte = byte_of_token(token, length);
		if (byte >= 0) {
			buffer_append(&bytes, &(char){(char)byte}, 1);
			continue;
		}
		append_bytes(&bytes, out);
		pieces_add(out, token, length);
	}
	append_bytes(&bytes, out);
	buffer_free(&bytes);
}

static void run_fuse(const struct decoder *decoder, struct matcher *matcher, const struct pieces *tokens,
	struct pieces *out)
{
	(void)decoder, (void)matcher;
	pieces_add(out, tokens->text.data, tokens->text.size);
}

static void read_strip(struct decoder *decoder, const json_t *object, const char *where)
{
	decoder->content = xstrdup(json_get_string(object, "content", where));
	decoder->start = json_get_int(object, "start", 0, INT64_MAX, where);
	decoder->stop = json_get_int(object, "stop", 0, INT64_MAX, where);
	if (!*decoder->content)
		die("%s: decoder \"Strip\": \"content\" is empty", where);
}

static void run_strip(const struct decoder *decoder, struct matcher *matcher, const struct pieces *tokens,
	struct pieces *out)
{
	size_t size = strlen(decoder->content);
	(void)matcher;
	for (size_t i = 0; i < count_pieces(tokens); i++) {
		size_t length;
		const char *token = piece_at(tokens, i, &length);
		for (int64_t n = 0; n < decoder->start && length >= size && !memcmp(token, decoder->content, size); n++) {
			token += size;
			length -= size;
		}
		for (int64_t n = 0;
			 n < decoder->stop && length >= size && !memcmp(token + length - size, decoder->content, size); n++)
			length -= size;
		pieces_add(out, token, length);
	}
}

static void read_metaspace(struct decoder *decoder, const json_t *object, const char *where)
{
	const json_t *scheme = json_object_get(object, "prepend_scheme");
	decoder->content = xstrdup(json_get_string(object, "replacement", where));
	decoder->pattern = pattern_new(decoder->content, true, where);
	decoder->flag = scheme ? strcmp(json_get_string(object, "prepend_scheme", where), "never") != 0 :
							 part_flag(object, "add_prefix_space", true, where);
	if (!*decoder->content)
		die("%s: decoder \"Metaspace\": \"replacement\" is empty", where);
}

static void run_metaspace(const struct decoder *decoder, struct matcher *matcher, const struct pieces *tokens,
	struct pieces *out)
{
	for (size_t i = 0; i < count_pieces(tokens); i++) {
		size_t length;
		const char *token = piece_at(tokens, i, &length);
		replace(decoder->pattern, matcher, i || !decoder->flag ? " " : "", token, length, &out->text);
		end_piece(out);
	}
}

static void read_wordpiece(struct decoder *decoder, const json_t *object, const char *where)
{
	decoder->content = xstrdup(json_get_string(object, "prefix", where));
	decoder->flag = part_flag(object, "cleanup", true, where);
}

/* English as it is written, in this order. */
static const char *const CLEANUPS[][2] = {{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"},
	{" n't", "n't"}, {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};

static void clean_up(struct buffer *text, struct buffer *work)
{
	for (size_t i = 0; i < COUNT_OF(CLEANUPS); i++) {
		struct pattern *pattern = pattern_new(CLEANUPS[i][0], true, "decoder");
		work->size = 0;
		replace(pattern, NULL, CLEANUPS[i][1], text->data, text->size, work);
		pattern_free(pattern);
		text->size = 0;
		buffer_append(text, work->data, work->size);
	}
}

static void run_wordpiece(const struct decoder *decoder, struct matcher *matcher, const struct pieces *tokens,
	struct pieces *out)
{
	size_t prefix = strlen(decoder->content);
	struct buffer text = {0}, work = {0};
	(void)matcher;
	for (size_t i = 0; i < count_pieces(tokens); i++) {
		size_t length;
		const char *token = piece_at(tokens, i, &length);
		bool continues = i && length >= prefix && !memcmp(token, decoder->content, prefix);
		text.size = 0;
		if (i && !continues)
			buffer_append(&text, " ", 1);
		buffer_append(&text, token + (continues ? prefix : 0), length - (continues ? prefix : 0));
		if (decoder->flag)
			clean_up(&text, &work);
		pieces_add(out, text.data, text.size);
	}
	buffer_free(&text);
	buffer_free(&work);
}

static void read_bpe(struct decoder *decoder, const json_t *object, const char *where)
{
	decoder->content = xstrdup(json_get_string(object, "suffix", where));
	decoder->pattern = pattern_new(decoder->content, true, where);
	if (!*decoder->content)
		die("%s: decoder \"BPEDecoder\": \"suffix\" is empty", where);
}

static void run_bpe(const struct decoder *decoder, struct matcher *matcher, const struct pieces *tokens,
	struct pieces *out)
{
	for (size_t i = 0, n = count_pieces(tokens); i < n; i++) {
		size_t length;
		const char *token = piece_at(tokens, i, &length);
		replace(decoder->pattern, matcher, i + 1 == n ? "" : " ", token, length, &out->text);
		end_piece(out);
	}
}

/* --- all of them --- */

static const struct decoder_kind KINDS[] = {
	{"BPEDecoder", read_bpe, run_bpe},
	{"ByteFallback", NULL, run_byte_fallback},
	{"ByteLevel", NULL, run_byte_level},
	{"Fuse", NULL, run_fuse},
	{"Metaspace", read_metaspace, run_metaspace},
	{"Replace", read_replace, run_replace},
	{"Strip", read_strip, run_strip},
	{"WordPiece", read_wordpiece, run_wordpiece},
};

static const char *kind_name(size_t i)
{
	return KINDS[i].type;
}

static void read_step(void *into, const json_t *object, const char *type, const char *where)
{
	struct decoders *decoders = into;
	size_t i = 0;
	while (i < COUNT_OF(KINDS) && strcmp(type, KINDS[i].type))
		i++;
	if (i == COUNT_OF(KINDS))
		part_unknown("decoder", type, kind_name, COUNT_OF(KINDS), where);
	if (decoders->n == MAX_DECODERS)
		die("%s: more than %d decoders", where, MAX_DECODERS);
	struct decoder *step = decoders->step[decoders->n++] = xcalloc(1, sizeof *step);
	step->kind = &KINDS[i];
	if (step->kind->read)
		step->kind->read(step, object, where);
}

void decoders_read(struct decoders *decoders, const json_t *object, const char *where)
{
	parts_read(object, "decoders", read_step, decoders, where);
}

void decoders_free(struct decoders *decoders)
{
	for (int i = 0; i < decoders->n; i++) {
		pattern_free(decoders->step[i]->pattern);
		free(decoders->step[i]->content);
		free(decoders->step[i]);
	}
	*decoders = (struct decoders){0};
}

void decoders_run(const struct decoders *decoders, struct pieces *tokens)
{
	struct matcher *matcher = NULL;
	for (int i = 0; i < decoders->n && count_pieces(tokens); i++) {
		const struct pattern *pattern = decoders->step[i]->pattern;
		if (!matcher && pattern && !pattern_is_literal(pattern))
			matcher = matcher_new();
		struct pieces out = {0};
		decoders->step[i]->kind->run(decoders->step[i], matcher, tokens, &out);
		pieces_free(tokens);
		*tokens = out;
	}
	matcher_free(matcher);
}
