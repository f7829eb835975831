#include "data/gguf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/dequantise.h"
#include "stream/bytes.h"

#define DEFAULT_ALIGNMENT 32

static const size_t KIND_SIZE[N_GGUF_KINDS] = {[GGUF_U8] = 1,
	[GGUF_I8] = 1,
	[GGUF_U16] = 2,
	[GGUF_I16] = 2,
	[GGUF_U32] = 4,
	[GGUF_I32] = 4,
	[GGUF_F32] = 4,
	[GGUF_BOOL] = 1,
	[GGUF_U64] = 8,
	[GGUF_I64] = 8,
	[GGUF_F64] = 8};
static const char *const KIND_NAME[N_GGUF_KINDS] = {"uint8", "int8", "uint16", "int16", "uint32", "int32", "float32",
	"bool", "string", "array", "uint64", "int64", "float64"};

/* --- reading the header, every step checked --- */

struct reader {
	const char *path;
	const unsigned char *next, *end;
};

static const unsigned char *take(struct reader *reader, uint64_t size, const char *what)
{
	if (size > (uint64_t)(reader->end - reader->next))
		die("%s: %s: %llu bytes were expected, the file has %zu more", reader->path, what, (unsigned long long)size,
			(size_t)(reader->end - reader->next));
	const unsigned char *taken = reader->next;
	reader->next += size;
	return taken;
}

/* How much of a name a message shows. */
static int shown(struct gguf_text name)
{
	return name.length < 64 ? (int)name.length : 64;
}

static uint64_t little_endian(const unsigned char *bytes, size_t size)
{
	uint64_t value = 0;
	for (size_t i = 0; i < size; i++)
		value |= (uint64_t)bytes[i] << (8 * i);
	return value;
}

static uint32_t take_u32(struct reader *reader, const char *what)
{
	return (uint32_t)little_endian(take(reader, 4, what), 4);
}

static uint64_t take_u64(struct reader *reader, const char *what)
{
	return little_endian(take(reader, 8, what), 8);
}

static struct gguf_text take_text(struct reader *reader, const char *what)
{
	uint64_t length = take_u64(reader, what);
	const char *text = (const char *)take(reader, length, what);
	if (memchr(text, '\0', length))
		die("%s: %s: a NUL byte within a string", reader->path, what);
	return (struct gguf_text){text, length};
}

/* How many things of at least `least` bytes each can follow: what a count must not exceed. */
static int64_t take_count(struct reader *reader, uint64_t least, const char *what)
{
	uint64_t count = take_u64(reader, what), room = (uint64_t)(reader->end - reader->next) / least;
	if (count > room)
		die("%s: %s: there are said to be %llu, the file has room for %llu at most", reader->path, what,
			(unsigned long long)count, (unsigned long long)room);
	return (int64_t)count;
}

static enum gguf_kind take_kind(struct reader *reader, const char *what)
{
	uint32_t kind = take_u32(reader, what);
	if (kind >= N_GGUF_KINDS)
		die("%s: %s: value type %u is not known", reader->path, what, kind);
	return (enum gguf_kind)kind;
}

static void take_value(struct reader *reader, struct gguf_value *value)
{
	char what[80];
	value->key = take_text(reader, "a metadata key");
	snprintf(what, sizeof what, "%.*s", shown(value->key), value->key.text);
	value->kind = value->element = take_kind(reader, what);
	value->count = 1;
	if (value->kind == GGUF_ARRAY) {
		value->element = take_kind(reader, what);
		if (value->element == GGUF_ARRAY)
			die("%s: %s: arrays of arrays are not supported", reader->path, what);
		value->count = (uint64_t)take_count(reader, value->element == GGUF_STRING ? 8 : KIND_SIZE[value->element],
			what);
	}
	value->data = reader->next;
	if (value->element != GGUF_STRING)
		take(reader, value->count * KIND_SIZE[value->element], what);
	else
		for (uint64_t i = 0; i < value->count; i++)
			take_text(reader, what);
}

/* Data offsets are read into ->size for now. */
static void take_tensor(struct reader *reader, struct gguf_tensor *tensor)
{
	char what[80];
	tensor->name = take_text(reader, "a tensor's name");
	snprintf(what, sizeof what, "%.*s", shown(tensor->name), tensor->name.text);
	uint32_t n_dims = take_u32(reader, what);
	if (n_dims > GGUF_MAX_DIMS)
		die("%s: %s: %u dimensions: at most %d were expected", reader->path, what, n_dims, GGUF_MAX_DIMS);
	tensor->n_dims = (int)n_dims;
	for (uint32_t i = 0; i < GGUF_MAX_DIMS; i++) {
		uint64_t extent = i < n_dims ? take_u64(reader, what) : 1;
		if (extent > INT64_MAX)
			die("%s: %s: a dimension of %llu", reader->path, what, (unsigned long long)extent);
		tensor->shape[i] = (int64_t)extent;
	}
	tensor->type = take_u32(reader, what);
	tensor->size = take_u64(reader, what);
	if (!storage_of(tensor->type))
		die("%s: %s: tensor type %u is not known", reader->path, what, tensor->type);
}

/* Finds the tensor's bytes among the file's data. */
static void place_tensor(struct reader *reader, struct gguf_tensor *tensor, uint64_t alignment)
{
	int length = shown(tensor->name);
	const char *name = tensor->name.text;
	uint64_t offset = tensor->size, blocks = 1, size, room = (uint64_t)(reader->end - reader->next);
	const struct storage *storage = storage_of(tensor->type);
	if (tensor->shape[0] % storage->elements)
		die("%s: %.*s: rows of %lld elements are not whole blocks of %d", reader->path, length, name,
			(long long)tensor->shape[0], storage->elements);
	for (int i = 0; i < GGUF_MAX_DIMS; i++)
		if (__builtin_mul_overflow(blocks, (uint64_t)tensor->shape[i] / (i ? 1 : (uint64_t)storage->elements), &blocks))
			die("%s: %.*s: its size overflows", reader->path, length, name);
	if (__builtin_mul_overflow(blocks, (uint64_t)storage->bytes, &size))
		die("%s: %.*s: its size overflows", reader->path, length, name);
	if (offset % alignment)
		die("%s: %.*s: offset %llu is not a multiple of %llu", reader->path, length, name, (unsigned long long)offset,
			(unsigned long long)alignment);
	if (offset > room || size > room - offset)
		die("%s: %.*s: %llu bytes at offset %llu were expected, the file has %llu bytes of data", reader->path, length,
			name, (unsigned long long)size, (unsigned long long)offset, (unsigned long long)room);
	tensor->data = reader->next + offset;
	tensor->size = size;
}

static int compare_text(struct gguf_text a, struct gguf_text b)
{
	int order = memcmp(a.text, b.text, a.length < b.length ? a.length : b.length);
	return order ? order : (a.length > b.length) - (a.length < b.length);
}

static int by_key(const void *a, const void *b)
{
	return compare_text(((const struct gguf_value *)a)->key, ((const struct gguf_value *)b)->key);
}

static int by_name(const void *a, const void *b)
{
	return compare_text(((const struct gguf_tensor *)a)->name, ((const struct gguf_tensor *)b)->name);
}

static int by_place(const void *a, const void *b)
{
	const struct gguf_tensor *left = a, *right = b;
	if (left->data != right->data)
		return left->data < right->data ? -1 : 1;
	return (left->size > right->size) - (left->size < right->size);
}

/* Sorted by name on return, for look-ups. */
static void check_tensors(struct gguf *gguf)
{
	size_t n = (size_t)gguf->n_tensors;
	if (!n)
		return;
	qsort(gguf->tensors, n, sizeof *gguf->tensors, by_place);
	for (size_t i = 1; i < n; i++)
		if (gguf->tensors[i - 1].data + gguf->tensors[i - 1].size > gguf->tensors[i].data)
			die("%s: %.*s: its data overlap another tensor's", gguf->path, shown(gguf->tensors[i].name),
				gguf->tensors[i].name.text);
	qsort(gguf->tensors, n, sizeof *gguf->tensors, by_name);
	for (size_t i = 1; i < n; i++)
		if (!by_name(&gguf->tensors[i - 1], &gguf->tensors[i]))
			die("%s: %.*s: a tensor of this name occurs twice", gguf->path, shown(gguf->tensors[i].name),
				gguf->tensors[i].name.text);
}

/* Sorted by key on return, for look-ups. */
static void check_values(struct gguf *gguf)
{
	size_t n = (size_t)gguf->n_values;
	if (!n)
		return;
	qsort(gguf->values, n, sizeof *gguf->values, by_key);
	for (size_t i = 1; i < n; i++)
		if (!by_key(&gguf->values[i - 1], &gguf->values[i]))
			die("%s: %.*s: this key occurs twice", gguf->path, shown(gguf->values[i].key), gguf->values[i].key.text);
}

void gguf_parse(struct gguf *gguf, const void *bytes, size_t size, const char *where)
{
	*gguf = (struct gguf){.path = where, .bytes = bytes, .size = size};
	struct reader reader = {where, bytes, (const unsigned char *)bytes + size};
	if (size < 8 || memcmp(take(&reader, 4, "GGUF"), "GGUF", 4))
		die("%s: not a GGUF file", where);
	uint32_t version = take_u32(&reader, "version");
	if (version != 2 && version != 3)
		die("%s: GGUF version %u: 2 or 3, little-endian, was expected", where, version);
	/* the least a tensor takes: name length, dimensions, type, offset; a value: key length, type, one byte */
	int64_t n_tensors = take_count(&reader, 24, "number of tensors");
	int64_t n_values = take_count(&reader, 13, "number of metadata");
	gguf->values = xcalloc((size_t)n_values, sizeof *gguf->values);
	for (; gguf->n_values < n_values; gguf->n_values++)
		take_value(&reader, &gguf->values[gguf->n_values]);
	check_values(gguf);

	uint64_t alignment = (uint64_t)gguf_get_int(gguf, "general.alignment", 1, 1 << 20, DEFAULT_ALIGNMENT);
	if (alignment & (alignment - 1))
		die("%s: general.alignment is %llu: a power of two was expected", where, (unsigned long long)alignment);
	gguf->tensors = xcalloc((size_t)n_tensors, sizeof *gguf->tensors);
	for (int64_t i = 0; i < n_tensors; i++)
		take_tensor(&reader, &gguf->tensors[i]);
	uint64_t header = (uint64_t)(reader.next - gguf->bytes), padding = -header & (alignment - 1);
	if (n_tensors)
		take(&reader, padding, "padding before the tensors");
	for (int64_t i = 0; i < n_tensors; i++)
		place_tensor(&reader, &gguf->tensors[i], alignment);
	gguf->n_tensors = n_tensors;
	check_tensors(gguf);
}

bool gguf_is(const char *path)
{
	char magic[4] = {0};
	struct source *source = source_open(path);
	bool found = source_read(source, magic, 4) == 4 && !memcmp(magic, "GGUF", 4);
	source_close(source);
	return found;
}

void gguf_open(struct gguf *gguf, const char *path)
{
	size_t size;
	const void *bytes = file_map(path, &size);
	gguf_parse(gguf, bytes, size, path);
	gguf->is_mapped = true;
}

void gguf_close(struct gguf *gguf)
{
	if (gguf->is_mapped)
		file_unmap(gguf->bytes, gguf->size);
	free(gguf->values);
	free(gguf->tensors);
	*gguf = (struct gguf){0};
}

/* --- what is in it --- */

const struct gguf_value *gguf_find(const struct gguf *gguf, const char *key)
{
	struct gguf_value wanted = {.key = {key, strlen(key)}};
	return gguf->n_values ? bsearch(&wanted, gguf->values, (size_t)gguf->n_values, sizeof wanted, by_key) : NULL;
}

const struct gguf_tensor *gguf_tensor(const struct gguf *gguf, const char *name)
{
	struct gguf_tensor wanted = {.name = {name, strlen(name)}};
	return gguf->n_tensors ? bsearch(&wanted, gguf->tensors, (size_t)gguf->n_tensors, sizeof wanted, by_name) : NULL;
}

static _Noreturn void wrong_kind(const struct gguf *gguf, const char *key, const struct gguf_value *value,
	const char *expected)
{
	die("%s: %s: the value is of type %s: %s was expected", gguf->path, key, KIND_NAME[value->kind], expected);
}

int64_t gguf_get_int(const struct gguf *gguf, const char *key, int64_t low, int64_t high, int64_t fallback)
{
	const struct gguf_value *value = gguf_find(gguf, key);
	if (!value)
		return fallback;
	if (value->kind == GGUF_F32 || value->kind == GGUF_F64 || value->kind == GGUF_BOOL || value->kind == GGUF_STRING ||
		value->kind == GGUF_ARRAY)
		wrong_kind(gguf, key, value, "an integer");
	size_t size = KIND_SIZE[value->kind];
	uint64_t bits = little_endian(value->data, size);
	bool is_signed = value->kind == GGUF_I8 || value->kind == GGUF_I16 || value->kind == GGUF_I32 ||
		value->kind == GGUF_I64;
	if (is_signed && size < 8 && bits >> (8 * size - 1))
		bits |= ~UINT64_C(0) << (8 * size);
	int64_t number = (int64_t)bits;
	if ((!is_signed && bits > INT64_MAX) || number < low || number > high)
		die("%s: %s: a number from %lld to %lld was expected", gguf->path, key, (long long)low, (long long)high);
	return number;
}

static float float_at(const unsigned char *data)
{
	uint32_t bits = (uint32_t)little_endian(data, 4);
	float number;
	memcpy(&number, &bits, sizeof number);
	return number;
}

double gguf_get_float(const struct gguf *gguf, const char *key, double fallback)
{
	const struct gguf_value *value = gguf_find(gguf, key);
	if (!value)
		return fallback;
	if (value->kind == GGUF_F32)
		return (double)float_at(value->data);
	if (value->kind != GGUF_F64)
		wrong_kind(gguf, key, value, "a float");
	uint64_t bits = little_endian(value->data, 8);
	double number;
	memcpy(&number, &bits, sizeof number);
	return number;
}

bool gguf_get_bool(const struct gguf *gguf, const char *key, bool fallback)
{
	const struct gguf_value *value = gguf_find(gguf, key);
	if (value && value->kind != GGUF_BOOL)
		wrong_kind(gguf, key, value, "a bool");
	return value ? *value->data != 0 : fallback;
}

char *gguf_get_string(const struct gguf *gguf, const char *key, const char *fallback)
{
	const struct gguf_value *value = gguf_find(gguf, key);
	if (!value)
		return fallback ? xstrdup(fallback) : NULL;
	if (value->kind != GGUF_STRING)
		wrong_kind(gguf, key, value, "a string");
	const unsigned char *next = value->data;
	struct gguf_text text = gguf_next_string(&next);
	return xstrndup(text.text, text.length);
}

const struct gguf_value *gguf_get_array(const struct gguf *gguf, const char *key, enum gguf_kind element, bool required)
{
	const struct gguf_value *value = gguf_find(gguf, key);
	if (!value && required)
		die("%s: no %s, an array of %s was expected", gguf->path, key, KIND_NAME[element]);
	if (value && (value->kind != GGUF_ARRAY || value->element != element))
		die("%s: %s: an array of %s was expected", gguf->path, key, KIND_NAME[element]);
	return value;
}

float gguf_f32_at(const struct gguf_value *array, uint64_t index)
{
	return float_at(array->data + 4 * index);
}

int32_t gguf_i32_at(const struct gguf_value *array, uint64_t index)
{
	return (int32_t)(uint32_t)little_endian(array->data + 4 * index, 4);
}

struct gguf_text gguf_next_string(const unsigned char **next)
{
	struct gguf_text text = {(const char *)*next + 8, little_endian(*next, 8)};
	*next += 8 + text.length;
	return text;
}
