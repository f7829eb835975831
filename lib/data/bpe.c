#define PCRE2_CODE_UNIT_WIDTH 8
#include "data/bpe.h"

#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- patterns --- */

const char WORD_PATTERN[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

struct pattern {
	pcre2_code *code;
	char *where;
};

struct matcher {
	pcre2_match_data *data;
	pcre2_match_context *context;
	pcre2_jit_stack *stack;
};

#define WHITE "\\t-\\r \\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}"
#define WORD "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}"

/*
 * Escapes that mean something else to PCRE2 than to Oniguruma are spelt out: its \s has U+180E too, its \w knows no
 * marks, its \h are blanks and not hexadecimal digits. NULL: not within a class.
 */
static const struct {
	char escape;
	const char *outside, *in_class;
} ESCAPES[] = {
	{'s', "[" WHITE "]", WHITE},
	{'S', "[^" WHITE "]", "\\S"},
	{'w', "[" WORD "]", WORD},
	{'W', "[^" WORD "]", NULL},
	{'b', "(?:(?<=[" WORD "])(?![" WORD "])|(?<![" WORD "])(?=[" WORD "]))", "\\b"},
	{'B', NULL, NULL},
	{'h', "[0-9a-fA-F]", "0-9a-fA-F"},
	{'H', "[^0-9a-fA-F]", NULL},
};

static void spell_escape(struct buffer *spelt, const char *escape, bool in_class, const char *where)
{
	for (size_t i = 0; i < COUNT_OF(ESCAPES); i++) {
		if (ESCAPES[i].escape != escape[1])
			continue;
		const char *spelling = in_class ? ESCAPES[i].in_class : ESCAPES[i].outside;
		if (!spelling)
			die("%s: \\%c%s is not supported in patterns", where, escape[1], in_class ? " within a class" : "");
		buffer_append(spelt, spelling, strlen(spelling));
		return;
	}
	buffer_append(spelt, escape, 2);
}

/* Oniguruma's classes may hold classes, [a[bc]]: their union, spelt without the inner brackets. */
static char *spell_out(const char *text, const char *where)
{
	struct buffer spelt = {0};
	int depth = 0;
	for (; *text; text++) {
		if (text[0] == '\\' && text[1]) {
			spell_escape(&spelt, text++, depth, where);
			continue;
		}
		if (depth && (!strncmp(text, "[^", 2) || !strncmp(text, "[:", 2) || !strncmp(text, "&&", 2)))
			die("%s: %.2s within a class is not supported in patterns", where, text);
		bool is_inner = (*text == '[' && depth) || (*text == ']' && depth > 1);
		depth += *text == '[' ? 1 : *text == ']' && depth ? -1 : 0;
		if (!is_inner)
			buffer_append(&spelt, text, 1);
	}
	buffer_append(&spelt, "", 1);
	return spelt.data;
}

struct pattern *pattern_new(const char *text, bool literal, const char *where)
{
	/* Oniguruma's ^ and $ are those of lines */
	uint32_t options = literal ? PCRE2_LITERAL | PCRE2_UTF :
								 PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;
	pcre2_compile_context *context = pcre2_compile_context_create(NULL);
	if (!context || pcre2_set_newline(context, PCRE2_NEWLINE_LF))
		die("out of memory");
	char *spelt = literal ? xstrdup(text) : spell_out(text, where);
	int error;
	PCRE2_SIZE offset;
	struct pattern *pattern = xcalloc(1, sizeof *pattern);
	pattern->code = pcre2_compile((PCRE2_SPTR)spelt, PCRE2_ZERO_TERMINATED, options, &error, &offset, context);
	if (!pattern->code) {
		PCRE2_UCHAR reason[256];
		pcre2_get_error_message(error, reason, sizeof reason);
		die("%s: not a pattern: \"%.200s\": %s", where, text, (char *)reason);
	}
	pcre2_jit_compile(pattern->code, PCRE2_JIT_COMPLETE); /* where it fails, the interpreter does it */
	pattern->where = xstrdup(where);
	pcre2_compile_context_free(context);
	free(spelt);
	return pattern;
}

void pattern_free(struct pattern *pattern)
{
	if (!pattern)
		return;
	pcre2_code_free(pattern->code);
	free(pattern->where);
	free(pattern);
}

struct matcher *matcher_new(void)
{
	struct matcher *matcher = xcalloc(1, sizeof *matcher);
	matcher->data = pcre2_match_data_create(1, NULL);
	matcher->context = pcre2_match_context_create(NULL);
	matcher->stack = pcre2_jit_stack_create(32 << 10, 16 << 20, NULL);
	if (!matcher->data || !matcher->context)
		die("out of memory");
	if (matcher->stack)
		pcre2_jit_stack_assign(matcher->context, NULL, matcher->stack);
	return matcher;
}

void matcher_free(struct matcher *matcher)
{
	if (!matcher)
		return;
	pcre2_match_data_free(matcher->data);
	pcre2_match_context_free(matcher->context);
	pcre2_jit_stack_free(matcher->stack);
	free(matcher);
}

bool pattern_find(const struct pattern *pattern, struct matcher *matcher, const char *text, size_t length, size_t from,
	size_t *start, size_t *end)
{
	int found = pcre2_match(pattern->code, (PCRE2_SPTR)text, length, from, PCRE2_NO_UTF_CHECK, matcher->data,
		matcher->context);
	if (found == PCRE2_ERROR_NOMATCH)
		return false;
	if (found < 0) {
		PCRE2_UCHAR reason[256];
		pcre2_get_error_message(found, reason, sizeof reason);
		die("%s: its pattern fails on a text of %zu bytes: %s", pattern->where, length, (char *)reason);
	}
	PCRE2_SIZE *bounds = pcre2_get_ovector_pointer(matcher->data);
	if (bounds[0] < from || bounds[1] < bounds[0])
		die("%s: its pattern matches backwards, with \\K", pattern->where);
	*start = bounds[0];
	*end = bounds[1];
	return true;
}

/* --- the model --- */

struct merge {
	int32_t left, right; /* left -1: an empty slot */
	int32_t rank;
};

/* GPT-2's characters for bytes: printable ones stand for themselves, the others follow from U+0100 on, in order. */
static uint32_t char_of_byte(unsigned byte)
{
	static const unsigned char hidden[][2] = {{0, 32}, {127, 160}, {173, 173}};
	uint32_t before = 0;
	for (int i = 0; i < 3; i++) {
		if (byte >= hidden[i][0] && byte <= hidden[i][1])
			return 256 + before + byte - hidden[i][0];
		before += hidden[i][1] - hidden[i][0] + 1u;
	}
	return byte;
}

/* The inverse; -1 where the character stands for no byte. */
static int byte_of_char(uint32_t c)
{
	if (c < 256)
		return char_of_byte(c) == c ? (int)c : -1;
	if (c < 256 + 33)
		return (int)c - 256;
	if (c < 256 + 33 + 34)
		return (int)c - 256 - 33 + 127;
	return c == 256 + 33 + 34 ? 173 : -1;
}

size_t bpe_put_byte(unsigned byte, char text[2])
{
	uint32_t c = char_of_byte(byte);
	if (c < 0x80) {
		text[0] = (char)c;
		return 1;
	}
	text[0] = (char)(0xc0 | c >> 6);
	text[1] = (char)(0x80 | (c & 0x3f));
	return 2;
}

void bpe_token_bytes(const char *token, struct buffer *bytes)
{
	size_t before = bytes->size;
	for (const char *next = token; *next; next += utf8_next(next, strlen(next))) {
		int byte = byte_of_char(utf8_code_point(next));
		if (byte < 0) {
			/* not made of bytes: an added token, which is plain text */
			bytes->size = before;
			buffer_append(bytes, token, strlen(token));
			return;
		}
		buffer_append(bytes, &(char){(char)byte}, 1);
	}
}

/* The bytes in the order of the characters that stand for them, as GPT-2's vocabulary has them. */
void bpe_add_byte_tokens(struct strings *tokens)
{
	for (uint32_t c = '!'; c <= 256 + 33 + 34; c++) {
		char text[2];
		if (byte_of_char(c) >= 0)
			strings_add(tokens, text, bpe_put_byte((unsigned)byte_of_char(c), text));
	}
}

int32_t bpe_id(const struct bpe *bpe, const char *token, size_t length)
{
	/* a look-up only builds the index on first use, which bpe_init() has made */
	return length ? (int32_t)strings_find((struct strings *)&bpe->tokens, token, length) : -1;
}

void bpe_init(struct bpe *bpe, struct strings *tokens, const struct bpe_options *options, int64_t n_merges)
{
	*bpe = (struct bpe){.tokens = *tokens, .options = *options};
	*tokens = (struct strings){0};
	strings_find(&bpe->tokens, "a", 1);
	for (unsigned byte = 0; byte < 256; byte++) {
		char text[8];
		size_t length = 1;
		text[0] = (char)byte;
		if (options->byte_level)
			length = bpe_put_byte(byte, text);
		bpe->byte_id[byte] = options->byte_level || (byte && byte < 0x80) ? bpe_id(bpe, text, length) : -1;
		snprintf(text, sizeof text, "<0x%02X>", byte);
		bpe->fallback[byte] = bpe_id(bpe, text, 6);
	}
	for (bpe->n_slots = 64; bpe->n_slots < n_merges * 2;)
		bpe->n_slots *= 2;
	bpe->merges = xreallocarray(NULL, (size_t)bpe->n_slots, sizeof *bpe->merges);
	memset(bpe->merges, -1, (size_t)bpe->n_slots * sizeof *bpe->merges);
	bpe->merged = xcalloc((size_t)n_merges, sizeof *bpe->merged);
}

static struct merge *merge_slot(const struct bpe *bpe, int32_t left, int32_t right)
{
	uint64_t mask = (uint64_t)bpe->n_slots - 1;
	uint64_t hash = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) * UINT64_C(0x9e3779b97f4a7c15);
	for (uint64_t i = (hash >> 32) & mask;; i = (i + 1) & mask) {
		struct merge *slot = &bpe->merges[i];
		if (slot->left < 0 || (slot->left == left && slot->right == right))
			return slot;
	}
}

bool bpe_add_merge(struct bpe *bpe, const char *left, size_t left_length, const char *right, size_t right_length)
{
	struct buffer both = {0};
	buffer_append(&both, left, left_length);
	buffer_append(&both, right, right_length);
	int32_t left_id = bpe_id(bpe, left, left_length);
	int32_t right_id = bpe_id(bpe, right, right_length);
	int32_t merged = bpe_id(bpe, both.data, both.size);
	buffer_free(&both);
	if (left_id < 0 || right_id < 0 || merged < 0)
		return false;
	*merge_slot(bpe, left_id, right_id) = (struct merge){left_id, right_id, (int32_t)bpe->n_merges};
	bpe->merged[bpe->n_merges++] = merged;
	return true;
}

void bpe_free(struct bpe *bpe)
{
	strings_free(&bpe->tokens);
	free(bpe->merges);
	free(bpe->merged);
	*bpe = (struct bpe){0};
}

/* --- encoding words --- */

#define NO_MERGE UINT32_MAX
#define CACHE_SLOTS (1 << 15)
#define CACHE_BYTES (4u << 20) /* words and ids together; when full the cache starts anew */
#define CACHE_LONGEST 128      /* longer words seldom come back */

struct symbol {
	int32_t id, previous, next;
	uint32_t rank; /* of the merge with the next symbol */
};

struct cached {
	uint32_t hash; /* 0: empty */
	uint32_t length;
	uint32_t at; /* in the arena: the word, then its ids */
	uint32_t n_ids;
};

struct bpe_worker {
	const struct bpe *bpe;
	struct symbol *symbols;
	int32_t n_symbols, capacity;
	uint64_t *heap; /* rank << 32 | position: the least is the next merge */
	int64_t heap_size, heap_capacity;
	struct buffer spelling, arena;
	struct cached *cache;
	int32_t n_cached;
};

struct bpe_worker *bpe_worker_new(const struct bpe *bpe)
{
	struct bpe_worker *worker = xcalloc(1, sizeof *worker);
	worker->bpe = bpe;
	worker->cache = xcalloc(CACHE_SLOTS, sizeof *worker->cache);
	return worker;
}

void bpe_worker_free(struct bpe_worker *worker)
{
	if (!worker)
		return;
	free(worker->symbols);
	free(worker->heap);
	buffer_free(&worker->spelling);
	buffer_free(&worker->arena);
	free(worker->cache);
	free(worker);
}

static void add_symbol(struct bpe_worker *worker, int32_t id)
{
	if (worker->n_symbols == worker->capacity) {
		if (worker->capacity > INT32_MAX / 2)
			die("a word of more than %d characters", worker->capacity);
		worker->capacity = worker->capacity ? worker->capacity * 2 : 256;
		worker->symbols = xreallocarray(worker->symbols, (size_t)worker->capacity, sizeof *worker->symbols);
	}
	int32_t at = worker->n_symbols++;
	worker->symbols[at] = (struct symbol){id, at - 1, at + 1, NO_MERGE};
}

static void push(struct bpe_worker *worker, uint64_t key)
{
	if (worker->heap_size == worker->heap_capacity) {
		worker->heap_capacity = worker->heap_capacity ? worker->heap_capacity * 2 : 256;
		worker->heap = xreallocarray(worker->heap, (size_t)worker->heap_capacity, sizeof *worker->heap);
	}
	int64_t at = worker->heap_size++;
	while (at && worker->heap[(at - 1) / 2] > key) {
		worker->heap[at] = worker->heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	worker->heap[at] = key;
}

static uint64_t pop(struct bpe_worker *worker)
{
	uint64_t *heap = worker->heap, least = heap[0], last = heap[--worker->heap_size];
	int64_t at = 0, size = worker->heap_size;
	for (int64_t child; (child = 2 * at + 1) < size; at = child) {
		child += child + 1 < size && heap[child + 1] < heap[child];
		if (heap[child] >= last)
			break;
		heap[at] = heap[child];
	}
	heap[at] = last;
	return least;
}

/* Looks up the merge of the symbol and the one after it, and queues it. */
static void consider(struct bpe_worker *worker, int32_t at)
{
	struct symbol *symbol = &worker->symbols[at];
	symbol->rank = NO_MERGE;
	if (symbol->next >= worker->n_symbols)
		return;
	const struct merge *merge = merge_slot(worker->bpe, symbol->id, worker->symbols[symbol->next].id);
	if (merge->left < 0)
		return;
	symbol->rank = (uint32_t)merge->rank;
	push(worker, (uint64_t)symbol->rank << 32 | (uint32_t)at);
}

static void merge_symbols(struct bpe_worker *worker)
{
	struct symbol *symbols = worker->symbols;
	for (int32_t i = 0; i < worker->n_symbols; i++)
		consider(worker, i);
	while (worker->heap_size) {
		uint64_t key = pop(worker);
		int32_t at = (int32_t)(uint32_t)key;
		if (symbols[at].rank != key >> 32)
			continue; /* queued before one of the two was merged elsewhere */
		int32_t gone = symbols[at].next, after = symbols[gone].next;
		symbols[at].id = worker->bpe->merged[key >> 32];
		symbols[at].next = after;
		symbols[gone].rank = NO_MERGE;
		if (after < worker->n_symbols)
			symbols[after].previous = at;
		consider(worker, at);
		if (symbols[at].previous >= 0)
			consider(worker, symbols[at].previous);
	}
}

static void start_with_bytes(struct bpe_worker *worker, const char *word, size_t length)
{
	const struct bpe *bpe = worker->bpe;
	for (size_t i = 0; i < length; i++) {
		int32_t id = bpe->byte_id[(unsigned char)word[i]];
		if (id >= 0)
			add_symbol(worker, id);
		else if (bpe->options.unk >= 0 && !(bpe->options.fuse_unk && i && bpe->byte_id[(unsigned char)word[i - 1]] < 0))
			add_symbol(worker, bpe->options.unk);
	}
}

/* Adds the tokens of a character's bytes if the vocabulary has them all. */
static bool fall_back(struct bpe_worker *worker, const char *text, int length)
{
	for (int i = 0; i < length; i++)
		if (worker->bpe->fallback[(unsigned char)text[i]] < 0)
			return false;
	for (int i = 0; i < length; i++)
		add_symbol(worker, worker->bpe->fallback[(unsigned char)text[i]]);
	return true;
}

/* An unknown token waits, to be fused with the next, until a known character comes: as the reference has it. */
static void start_with_characters(struct bpe_worker *worker, const char *word, size_t length)
{
	const struct bpe *bpe = worker->bpe;
	bool unknown_waits = false;
	int step;
	for (size_t i = 0; i < length; i += (size_t)step) {
		step = utf8_next(word + i, length - i);
		int32_t id = step == 1 ? bpe->byte_id[(unsigned char)word[i]] : bpe_id(bpe, word + i, (size_t)step);
		if (id < 0 && bpe->options.byte_fallback && fall_back(worker, word + i, step))
			continue;
		if (unknown_waits && (id >= 0 || !bpe->options.fuse_unk)) {
			add_symbol(worker, bpe->options.unk);
			unknown_waits = false;
		}
		if (id >= 0)
			add_symbol(worker, id);
		else
			unknown_waits = bpe->options.unk >= 0;
	}
	if (unknown_waits)
		add_symbol(worker, bpe->options.unk);
}

/* The id of a word that is a token as a whole, or -1. */
static int32_t whole_word(struct bpe_worker *worker, const char *word, size_t length)
{
	if (!worker->bpe->options.byte_level)
		return bpe_id(worker->bpe, word, length);
	worker->spelling.size = 0;
	for (size_t i = 0; i < length; i++) {
		char text[2];
		buffer_append(&worker->spelling, text, bpe_put_byte((unsigned char)word[i], text));
	}
	return bpe_id(worker->bpe, worker->spelling.data, worker->spelling.size);
}

static void encode_word(struct bpe_worker *worker, const char *word, size_t length, struct buffer *ids)
{
	if (worker->bpe->options.ignore_merges) {
		int32_t id = whole_word(worker, word, length);
		if (id >= 0) {
			buffer_append(ids, &id, sizeof id);
			return;
		}
	}
	worker->n_symbols = 0;
	if (worker->bpe->options.byte_level)
		start_with_bytes(worker, word, length);
	else
		start_with_characters(worker, word, length);
	merge_symbols(worker);
	for (int32_t i = 0; i < worker->n_symbols; i = worker->symbols[i].next)
		buffer_append(ids, &worker->symbols[i].id, sizeof worker->symbols[i].id);
}

static uint32_t word_hash(const char *word, size_t length)
{
	uint64_t hash = length;
	for (; length >= 8; length -= 8, word += 8) {
		uint64_t eight;
		memcpy(&eight, word, 8);
		hash = (hash ^ eight) * UINT64_C(0x9e3779b97f4a7c15);
		hash ^= hash >> 32;
	}
	uint64_t rest = 0;
	memcpy(&rest, word, length);
	hash = (hash ^ rest) * UINT64_C(0x9e3779b97f4a7c15);
	return (uint32_t)(hash >> 32) | 1;
}

static struct cached *cache_slot(const struct bpe_worker *worker, uint32_t hash, const char *word, size_t length)
{
	for (uint32_t i = hash >> 1;; i++) {
		struct cached *slot = &worker->cache[i % CACHE_SLOTS];
		if (!slot->hash ||
			(slot->hash == hash && slot->length == length && !memcmp(worker->arena.data + slot->at, word, length)))
			return slot;
	}
}

static void remember(struct bpe_worker *worker, struct cached *slot, uint32_t hash, const char *word, size_t length,
	const char *ids, size_t size)
{
	if (worker->n_cached == CACHE_SLOTS / 2 || worker->arena.size + length + size > CACHE_BYTES) {
		memset(worker->cache, 0, CACHE_SLOTS * sizeof *worker->cache);
		worker->n_cached = 0;
		worker->arena.size = 0;
		slot = cache_slot(worker, hash, word, length);
	}
	*slot = (struct cached){hash, (uint32_t)length, (uint32_t)worker->arena.size, (uint32_t)(size / sizeof(int32_t))};
	buffer_append(&worker->arena, word, length);
	buffer_append(&worker->arena, ids, size);
	worker->n_cached++;
}

void bpe_worker_encode(struct bpe_worker *worker, const char *word, size_t length, struct buffer *ids)
{
	if (length > CACHE_LONGEST) {
		encode_word(worker, word, length, ids);
		return;
	}
	uint32_t hash = word_hash(word, length);
	struct cached *slot = cache_slot(worker, hash, word, length);
	if (slot->hash) {
		buffer_append(ids, worker->arena.data + slot->at + length, slot->n_ids * sizeof(int32_t));
		return;
	}
	size_t before = ids->size;
	encode_word(worker, word, length, ids);
	remember(worker, slot, hash, word, length, ids->data + before, ids->size - before);
}
