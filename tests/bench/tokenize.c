/*
 * Times lib/data/tokenizer.h on one thread, on command, so that a peer can be timed in turns with it.
 *
 *     tokenize TOKENIZER TEXTS        texts a line each
 *
 * For each line on stdin encodes all texts, with a new worker and so an empty cache, and answers with the seconds
 * taken; the ids are then in TEXTS.ids (i4, -1 after each text).
 */
#include <stdio.h>
#include <string.h>

#include "data/tokenizer.h"
#include "stream/bytes.h"

static double encode(const struct tokenizer *tokenizer, const struct buffer *texts, struct buffer *ids)
{
	double started = seconds_now();
	struct tokenize_worker *worker = tokenize_worker_new(tokenizer, (struct tokenize_options){.add_special = true});
	ids->size = 0;
	for (char *line = texts->data, *end; (end = strchr(line, '\n')); line = end + 1) {
		tokenize(worker, line, (size_t)(end - line), -1, ids);
		buffer_append(ids, &(int32_t){-1}, sizeof(int32_t));
	}
	tokenize_worker_free(worker);
	return seconds_now() - started;
}

int main(int argc, char **argv)
{
	char command[8];
	if (argc != 3)
		die("usage: tokenize TOKENIZER TEXTS");
	struct tokenizer *tokenizer = tokenizer_load(argv[1]);
	struct source *source = source_open(argv[2]);
	struct buffer texts = {0}, ids = {0};
	size_t got;
	do {
		got = source_read(source, buffer_add(&texts, 1 << 16), 1 << 16);
		texts.size -= (1 << 16) - got;
	} while (got);
	source_close(source);
	buffer_append(&texts, "", 1);
	while (fgets(command, sizeof command, stdin)) {
		double seconds = encode(tokenizer, &texts, &ids);
		char *path = xasprintf("%s.ids", argv[2]);
		struct output *output = output_open(path);
		output_write(output, ids.data, ids.size);
		output_commit(output);
		printf("%.9f\n", seconds);
		fflush(stdout);
	}
	return 0;
}
