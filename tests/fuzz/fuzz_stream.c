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

static void read_everything(const char *path)
{
	char *inputs[] = {(char *)(uintptr_t)path, NULL};
	struct cli cli = {.inputs = inputs, .n_inputs = 1, .level = 1, .output = "/dev/null"};
	struct bag *bag = bag_open(&cli);
	struct bag_out *out = bag_create(&cli);
	bag_want(bag, "a");
	bag_want(bag, "sequences");
	bag_drop(bag, "model");
	bag_pass_to(bag, out);
	struct piece piece;
	while (bag_next(bag, &piece)) {
		for (int i = 0; piece.kind == PIECE_CHUNK && i < piece.chunk->n_fields; i++) {
			const struct field *field = &piece.chunk->fields[i];
			if (!field->is_text)
				free(tensor_as(&field->tensor, field->tensor.dtype <= F8 ? F4 : I4, piece.where));
		}
	}
	bag_close(bag);
	bag_finish(out, NULL);
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
