/*
 * The stream reader: tar and zstd framing, groups, chunks, json, npy. An input that begins with 'm' is a list of
 * members, each "name\n", two bytes of size, data, which is made a tar; any other input is read as it is.
 */
#include "stream/bag.h"

#include <string.h>

static void fuzz_one(const char *path, const uint8_t *data, size_t size);
#include "fuzz.h"

static char tar[1 << 20];

static size_t add_member(size_t at, const char *name, size_t name_size, const uint8_t *data, size_t size)
{
	char *header = tar + at;
	memset(header, 0, 512 + (size + 511) / 512 * 512);
	memcpy(header, name, name_size < 100 ? name_size : 100);
	memcpy(header + 257, "ustar\00000", 8);
	header[156] = '0';
	snprintf(header + 124, 12, "%011zo", size);
	memset(header + 148, ' ', 8);
	unsigned sum = 0;
	for (int i = 0; i < 512; i++)
		sum += (unsigned char)header[i];
	snprintf(header + 148, 7, "%06o", sum);
	memcpy(header + 512, data, size);
	return at + 512 + (size + 511) / 512 * 512;
}

static size_t make_tar(const uint8_t *data, size_t size)
{
	const uint8_t *end = data + size;
	size_t at = 0;
	while (data < end) {
		const uint8_t *name_end = memchr(data, '\n', (size_t)(end - data));
		if (!name_end || end - name_end < 3)
			break;
		size_t length = (size_t)(name_end[1] | name_end[2] << 8), left = (size_t)(end - name_end - 3);
		if (length > left)
			length = left;
		if (at + length + 1024 > sizeof tar)
			break;
		at = add_member(at, (const char *)data, (size_t)(name_end - data), name_end + 3, length);
		data = name_end + 3 + length;
	}
	return at;
}

/* Every array as every other kind of its sort. */
static void take_chunk(void *group, const struct chunk *chunk)
{
	(void)group;
	for (int i = 0; i < chunk->n_fields; i++) {
		const struct field *field = &chunk->fields[i];
		if (!field->is_text)
			free(tensor_as(&field->tensor, field->tensor.dtype <= F8 ? F4 : I4, chunk->where));
	}
}

static void take_ragged(void *group, const struct chunk *chunk)
{
	static const struct column indptr = {"indptr", COLUMN_INDPTR, I8, 0}, item = {"item", COLUMN_RAGGED, I4, 0};
	struct ragged events = RAGGED(I4);
	take_chunk(group, chunk);
	if (chunk_has(chunk, &item))
		chunk_append_ragged(chunk, &indptr, &item, &events);
	ragged_free(&events);
}

static const struct group_kind table = {.name = "a", .format = 1, .chunk = take_chunk},
							   sequences_kind = {.name = "sequences", .format = 1, .chunk = take_ragged};

static void read_everything(const char *path)
{
	struct group a = {0}, sequences = {0};
	struct bag *bag = bag_open((char *const[]){(char *)(uintptr_t)path, NULL});
	struct bag_out *out = bag_create("/dev/null", 1);
	bag_take(bag, &table, &a);
	bag_take(bag, &sequences_kind, &sequences);
	bag_drop(bag, "model");
	bag_pass_to(bag, out);
	bag_read(bag);
	bag_finish(out, NULL);
	group_free(&a);
	group_free(&sequences);
}

static void fuzz_one(const char *path, const uint8_t *data, size_t size)
{
	if (size && data[0] == 'm') {
		size_t made = make_tar(data + 1, size - 1);
		FILE *file = fopen(path, "w");
		if (!file || fwrite(tar, 1, made, file) != made || fclose(file))
			abort();
	}
	read_everything(path);
}
