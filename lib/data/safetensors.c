#include "data/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "stream/bytes.h"
#include "stream/util.h"

#define LARGEST_HEADER 100000000

static const struct {
	const char *name;
	size_t size;
} DTYPES[] = {{"F32", 4}, {"F16", 2}, {"BF16", 2}, {"F64", 8}, {"BOOL", 1}, {"U8", 1}, {"I8", 1}, {"U16", 2},
	{"I16", 2}, {"U32", 4}, {"I32", 4}, {"U64", 8}, {"I64", 8}, {"C64", 8}, {"F8_E4M3", 1}, {"F8_E5M2", 1},
	{"F8_E8M0", 1}};

static size_t size_of(const char *dtype, const char *where)
{
	for (size_t i = 0; i < COUNT_OF(DTYPES); i++)
		if (!strcmp(dtype, DTYPES[i].name))
			return DTYPES[i].size;
	die("%s: dtype \"%.40s\" is not known", where, dtype);
}

/* Element i of a list of whole numbers that are not negative. */
static int64_t number_at(const json_t *list, size_t i, const char *key, const char *where)
{
	const json_t *number = json_array_get(list, i);
	if (!json_is_integer(number) || json_integer_value(number) < 0)
		die("%s: \"%s\" is not a list of whole numbers from 0", where, key);
	return json_integer_value(number);
}

static const json_t *list_of(const json_t *entry, const char *key, size_t least, size_t most, const char *where)
{
	const json_t *list = json_object_get(entry, key);
	if (!json_is_array(list) || json_array_size(list) < least || json_array_size(list) > most)
		die("%s: \"%s\": a list of %zu to %zu numbers was expected", where, key, least, most);
	return list;
}

/* Data: what follows the header. */
static void take_tensor(struct safetensor *tensor, const json_t *entry, const unsigned char *data, size_t n_data,
	const char *where)
{
	tensor->dtype = json_get_string(entry, "dtype", where);
	size_t size = size_of(tensor->dtype, where);
	const json_t *shape = list_of(entry, "shape", 0, SAFETENSORS_MAX_DIMS, where);
	tensor->n_dims = (int)json_array_size(shape);
	for (size_t i = 0; i < SAFETENSORS_MAX_DIMS; i++) {
		tensor->shape[i] = i < json_array_size(shape) ? number_at(shape, i, "shape", where) : 1;
		if (__builtin_mul_overflow(size, (size_t)tensor->shape[i], &size))
			die("%s: its size overflows", where);
	}
	const json_t *offsets = list_of(entry, "data_offsets", 2, 2, where);
	size_t start = (size_t)number_at(offsets, 0, "data_offsets", where);
	size_t end = (size_t)number_at(offsets, 1, "data_offsets", where);
	if (start > end || end > n_data)
		die("%s: bytes %zu to %zu were expected, the file has %zu bytes of data", where, start, end, n_data);
	if (end - start != size)
		die("%s: its shape takes %zu bytes, its offsets are %zu apart", where, size, end - start);
	tensor->data = data + start;
	tensor->size = size;
}

static int by_place(const void *a, const void *b)
{
	const struct safetensor *left = a, *right = b;
	if (left->data != right->data)
		return left->data < right->data ? -1 : 1;
	return (left->size > right->size) - (left->size < right->size);
}

/* Each begins where the one before it ends. */
static void check_cover(const struct safetensors *file, const unsigned char *data)
{
	const unsigned char *next = data;
	for (int64_t i = 0; i < file->n_tensors; next += file->tensors[i++].size)
		if (file->tensors[i].data != next)
			die("%s: %.64s: its data begin at offset %zu, the tensors before it end at %zu", file->path,
				file->tensors[i].name, (size_t)(file->tensors[i].data - data), (size_t)(next - data));
	size_t rest = (size_t)(file->bytes + file->size - next);
	if (rest)
		die("%s: %zu bytes after the last tensor", file->path, rest);
}

void safetensors_parse(struct safetensors *safetensors, const void *bytes, size_t size, const char *where)
{
	*safetensors = (struct safetensors){.path = where, .bytes = bytes, .size = size};
	uint64_t n_header;
	if (size < sizeof n_header)
		die("%s: not a safetensors file", where);
	memcpy(&n_header, bytes, sizeof n_header);
	if (n_header > LARGEST_HEADER)
		die("%s: not a safetensors file: a header of %llu bytes", where, (unsigned long long)n_header);
	if (n_header > size - sizeof n_header)
		die("%s: a header of %llu bytes was expected, the file has %zu more", where, (unsigned long long)n_header,
			size - sizeof n_header);
	const char *text = (const char *)bytes + sizeof n_header;
	if (!n_header || *text != '{')
		die("%s: not a safetensors file: its header does not begin with {", where);
	safetensors->header = json_parse(text, n_header, where);

	const unsigned char *data = (const unsigned char *)text + n_header;
	safetensors->tensors = xcalloc(json_object_size(safetensors->header), sizeof *safetensors->tensors);
	const char *name;
	json_t *entry;
	json_object_foreach (safetensors->header, name, entry) {
		if (!strcmp(name, "__metadata__"))
			continue;
		char *place = xasprintf("%s: %.64s", where, name);
		struct safetensor *tensor = &safetensors->tensors[safetensors->n_tensors++];
		tensor->name = name;
		take_tensor(tensor, entry, data, size - sizeof n_header - n_header, place);
		free(place);
	}
	qsort(safetensors->tensors, (size_t)safetensors->n_tensors, sizeof *safetensors->tensors, by_place);
	check_cover(safetensors, data);
}

bool safetensors_is(const char *path)
{
	char start[sizeof(uint64_t) + 1]; /* the header's size, and its first character */
	struct source *source = source_open(path);
	bool found = source_read(source, start, sizeof start) == sizeof start && start[sizeof start - 1] == '{';
	source_close(source);
	return found;
}

void safetensors_open(struct safetensors *safetensors, const char *path)
{
	size_t size;
	const void *bytes = file_map(path, &size);
	safetensors_parse(safetensors, bytes, size, path);
	safetensors->is_mapped = true;
}

void safetensors_close(struct safetensors *safetensors)
{
	if (safetensors->is_mapped)
		file_unmap(safetensors->bytes, safetensors->size);
	json_decref(safetensors->header);
	free(safetensors->tensors);
	*safetensors = (struct safetensors){0};
}
