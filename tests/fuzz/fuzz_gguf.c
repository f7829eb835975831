/* GGUF: its header, every value and tensor it names, their numbers, and its vocabulary. */
#include <stdlib.h>
#include <string.h>

#include "data/dequantise.h"
#include "data/gguf.h"
#include "data/tokenizer.h"

static unsigned sum; /* what is read is used */

static void touch(const void *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		sum += ((const unsigned char *)bytes)[i];
}

static void touch_value(const struct gguf_value *value)
{
	const unsigned char *next = value->data;
	touch(value->key.text, value->key.length);
	for (uint64_t i = 0; i < value->count && value->element == GGUF_STRING; i++) {
		struct gguf_text text = gguf_next_string(&next);
		touch(text.text, text.length);
	}
	for (uint64_t i = 0; i < value->count && value->element == GGUF_I32; i++)
		sum += (unsigned)gguf_i32_at(value, i);
	for (uint64_t i = 0; i < value->count && value->element == GGUF_F32; i++)
		sum += gguf_f32_at(value, i) > 0;
}

static void touch_numbers(const struct gguf_tensor *tensor)
{
	const struct storage *storage = storage_of(tensor->type);
	size_t count = tensor->size / (size_t)storage->bytes * (size_t)storage->elements;
	if (!storage->decode)
		return;
	float *numbers = xmalloc(count * sizeof *numbers);
	dequantise(storage, tensor->data, (int64_t)count, numbers);
	touch(numbers, count * sizeof *numbers);
	free(numbers);
}

static void fuzz_one(const char *path, const uint8_t *data, size_t size)
{
	(void)path;
	struct gguf gguf;
	gguf_parse(&gguf, data, size, "input");
	for (int64_t i = 0; i < gguf.n_values; i++)
		touch_value(&gguf.values[i]);
	for (int64_t i = 0; i < gguf.n_tensors; i++) {
		touch(gguf.tensors[i].name.text, gguf.tensors[i].name.length);
		touch(gguf.tensors[i].data, gguf.tensors[i].size);
		touch_numbers(&gguf.tensors[i]);
	}
	struct tokenizer *tokenizer = tokenizer_from_gguf(&gguf);
	struct tokenize_worker *worker = tokenize_worker_new(tokenizer, (struct tokenize_options){.add_special = true});
	struct buffer ids = {0};
	static const char text[] = "a ab  abc</s>\xc3\xa9\xff 12";
	tokenize(worker, text, sizeof text - 1, -1, &ids);
	for (size_t i = 0; i < ids.size / sizeof(int32_t); i++)
		if (!tokenizer_token(tokenizer, ((int32_t *)(void *)ids.data)[i]))
			__builtin_trap();
	buffer_free(&ids);
	tokenize_worker_free(worker);
	tokenizer_free(tokenizer);
	gguf_close(&gguf);
}

#include "fuzz.h"
