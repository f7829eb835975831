/*
 * The stream floor against everything that can go wrong with a stream: each case runs in a child, which must die
 * with one line that names the file, and leave no output file; or, where the damage is invisible (a bit that zstd
 * ignores), hand on the very same bytes.
 */
#include "stream/bag.h"
#include "stream/descriptor.h"

#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/test_stream.XXXXXX";

static char *path_of(const char *name)
{
	return xasprintf("%s/%s", folder, name);
}

static char *read_file(const char *path, size_t *size)
{
	struct buffer bytes = {0};
	int fd = open(path, O_RDONLY);
	if (fd < 0)
		return NULL;
	char block[4096];
	for (ssize_t got; (got = read(fd, block, sizeof block)) > 0;)
		buffer_append(&bytes, block, (size_t)got);
	close(fd);
	*size = bytes.size;
	buffer_append(&bytes, "", 1); /* never NULL for a file that is there */
	return bytes.data;
}

static void write_file(const char *path, const void *data, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
	assert_true(fd >= 0 && descriptor_write(fd, data, size));
	close(fd);
}

/* --- what a child did --- */

struct outcome {
	int status; /* of exit; -1: a signal */
	char said[4096];
};

static struct outcome run_child(void (*body)(void *), void *context)
{
	struct outcome outcome = {.status = -1};
	int said[2], status;
	assert_int_equal(pipe(said), 0);
	fflush(stdout);
	pid_t child = fork();
	assert_true(child >= 0);
	if (!child) {
		dup2(said[1], STDERR_FILENO);
		close(said[0]);
		body(context);
		_exit(0);
	}
	close(said[1]);
	size_t size = 0;
	for (ssize_t got; (got = read(said[0], outcome.said + size, sizeof outcome.said - 1 - size)) > 0;)
		size += (size_t)got;
	close(said[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status))
		outcome.status = WEXITSTATUS(status);
	return outcome;
}

/* One line on stderr, exit 1, and the line names what it must. */
static void assert_died(const struct outcome *outcome, const char *naming, const char *what)
{
	const char *end = strchr(outcome->said, '\n');
	if (outcome->status != 1 || !end || end[1] || !strstr(outcome->said, naming))
		fail_msg("%s: exit %d, expected \"%s\", said: %s", what, outcome->status, naming, outcome->said);
}

/* Tables that are no more than their rows. */
struct table_group {
	struct group group;
	int64_t rows;
};
enum { ID, INDPTR, ITEM };
static const struct column columns[] = {[ID] = {"user_id", COLUMN_TEXT, U1, 0},
	[INDPTR] = {"indptr", COLUMN_INDPTR, I8, 0},
	[ITEM] = {"item", COLUMN_RAGGED, I4, 0}};
static const struct column item_id = {"item_id", COLUMN_TEXT, U1, 0};

static void take_rows(void *group, const struct chunk *chunk)
{
	struct table_group *table = group;
	if (chunk_has(chunk, &columns[ITEM]))
		assert_non_null(chunk_numbers(chunk, &columns[ITEM]));
	table->rows += chunk->rows;
}

static void forget_rows(void *group)
{
	struct table_group *table = group;
	group_free(&table->group);
	table->rows = 0;
}

/* A model of one matrix. */
enum { WEIGHT_ROWS = 500, WEIGHT_COLUMNS = 32 };
struct model_group {
	struct group group;
	float weight[WEIGHT_ROWS * WEIGHT_COLUMNS];
	int members; /* that came otherwise */
};

static struct tensor place_weight(void *group, const char *name)
{
	struct model_group *model = group;
	if (strcmp(name, "weight.npy"))
		return (struct tensor){0};
	return tensor_2d(F4, WEIGHT_ROWS, WEIGHT_COLUMNS, model->weight);
}

static void take_member(void *group, const struct member *member)
{
	struct tensor tensor;
	npy_parse(member->bytes, member->size, &tensor, member->where);
	((struct model_group *)group)->members++;
}

static void forget_model(void *group)
{
	group_free(&((struct model_group *)group)->group);
}

static const struct group_kind
	catalog_kind = {.name = "catalog", .format = 1, .chunk = take_rows, .free = forget_rows},
	sequences_kind = {.name = "sequences", .format = 1, .chunk = take_rows, .free = forget_rows},
	model_kind = {.name = "model", .format = 1, .member = take_member, .place = place_weight, .free = forget_model};

/* A filter that takes everything and passes everything on. */
struct filter {
	char *input, *output;
};

static void run_filter(void *context)
{
	const struct filter *filter = context;
	struct table_group catalog = {.rows = 0}, sequences = {.rows = 0};
	struct model_group model = {.members = 0};
	struct bag *bag = bag_open((char *const[]){filter->input, NULL});
	struct bag_out *out = bag_create(filter->output, 1);
	bag_take(bag, &catalog_kind, &catalog);
	bag_take(bag, &sequences_kind, &sequences);
	bag_take(bag, &model_kind, &model);
	bag_pass_to(bag, out);
	bag_read(bag);
	bag_finish(out, NULL);
}

/* Dies properly or passes on what the whole stream would have: true if it passed. */
static bool survives(const struct filter *filter, const char *naming, const char *expected, size_t expected_size,
	const char *what)
{
	struct outcome outcome = run_child(run_filter, (void *)(uintptr_t)filter);
	size_t size;
	char *output = read_file(filter->output, &size);
	if (outcome.status == 0) {
		if (!output || size != expected_size || memcmp(output, expected, size))
			fail_msg("%s: went unnoticed and changed the output", what);
		free(output);
		unlink(filter->output);
		return true;
	}
	if (output)
		fail_msg("%s: left an output file", what);
	assert_died(&outcome, naming, what);
	return false;
}

/* --- a stream like those of the tools --- */

enum { ROWS = 4000 };

static void write_stream(void *context)
{
	struct rng rng;
	rng_seed(&rng, 1);
	struct bag_out *out = bag_create(context, 1);
	struct buffer text = {0};
	int64_t indptr[ROWS + 1] = {0};
	int32_t *item = xcalloc(ROWS * 8, sizeof *item);
	for (int row = 0; row < ROWS; row++) {
		char id[32];
		buffer_append(&text, id, (size_t)snprintf(id, sizeof id, "id-%d", row) + 1);
		indptr[row + 1] = indptr[row] + (int64_t)rng_below(&rng, 9);
	}
	for (int i = 0; i < ROWS * 8; i++)
		item[i] = (int32_t)rng_below(&rng, ROWS);
	bag_begin(out, &catalog_kind, 1, 1, 1, NULL);
	bag_add_rows(out, ROWS, &item_id, (const void *[]){text.data}, 1);
	bag_end(out);
	bag_begin(out, &sequences_kind, 2, 1, 1, NULL);
	bag_add_rows(out, ROWS, columns, (const void *[]){text.data, indptr, item}, 3);
	bag_end(out);
	bag_begin(out, &model_kind, 3, 1, 1, NULL);
	struct tensor weights = tensor_2d(F4, WEIGHT_ROWS, WEIGHT_COLUMNS, item);
	bag_add_tensor(out, "weight.npy", &weights);
	bag_end(out);
	bag_finish(out, json_object());
}

struct sweep {
	struct filter filter;
	char *whole, *expected;
	size_t size, expected_size;
};

static struct sweep sweep_start(void)
{
	struct sweep sweep = {{path_of("in.tar.zst"), path_of("out.tar.zst")}, NULL, NULL, 0, 0};
	char *path = path_of("whole.tar.zst");
	struct outcome written = run_child(write_stream, path);
	assert_int_equal(written.status, 0);
	sweep.whole = read_file(path, &sweep.size);
	struct filter filter = {path, path_of("expected.tar.zst")};
	assert_int_equal(run_child(run_filter, &filter).status, 0);
	sweep.expected = read_file(filter.output, &sweep.expected_size);
	free(filter.output);
	free(path);
	return sweep;
}

static void sweep_end(struct sweep *sweep)
{
	free(sweep->filter.input);
	free(sweep->filter.output);
	free(sweep->whole);
	free(sweep->expected);
}

static void cut_at(struct sweep *sweep, size_t at)
{
	char what[64];
	snprintf(what, sizeof what, "cut at %zu of %zu", at, sweep->size);
	write_file(sweep->filter.input, sweep->whole, at);
	if (survives(&sweep->filter, "in.tar.zst", sweep->expected, sweep->expected_size, what))
		fail_msg("%s: went unnoticed", what);
}

static void truncation_is_noticed_at_every_block(void **state)
{
	(void)state;
	struct sweep sweep = sweep_start();
	for (size_t at = 0; at < sweep.size; at += 512)
		cut_at(&sweep, at);
	sweep_end(&sweep);
}

static void truncation_is_noticed_anywhere(void **state)
{
	(void)state;
	struct sweep sweep = sweep_start();
	struct rng rng;
	rng_seed(&rng, 2);
	for (int i = 0; i < 1000; i++)
		cut_at(&sweep, (size_t)rng_below(&rng, sweep.size));
	for (size_t at = sweep.size - 16; at < sweep.size; at++)
		cut_at(&sweep, at);
	sweep_end(&sweep);
}

static void flipped_bytes_are_noticed(void **state)
{
	(void)state;
	struct sweep sweep = sweep_start();
	struct rng rng;
	rng_seed(&rng, 3);
	int unnoticed = 0;
	for (int i = 0; i < 1000; i++) {
		size_t at = i < 32 ? (size_t)i : (size_t)rng_below(&rng, sweep.size);
		char what[64], mask = (char)(1 + rng_below(&rng, 255));
		snprintf(what, sizeof what, "byte %zu xor %#x", at, (unsigned char)mask);
		sweep.whole[at] ^= mask;
		write_file(sweep.filter.input, sweep.whole, sweep.size);
		unnoticed += survives(&sweep.filter, "in.tar.zst", sweep.expected, sweep.expected_size, what);
		sweep.whole[at] ^= mask;
	}
	/* only the frame header has bits that mean nothing */
	assert_in_range(unnoticed, 0, 2);
	sweep_end(&sweep);
}

/* --- streams written by hand, as plain tar --- */

static void add_member(struct buffer *tar, const char *name, const void *data, size_t size)
{
	char *header = buffer_add(tar, 512);
	memset(header, 0, 512);
	snprintf(header, 100, "%s", name);
	memcpy(header + 100, "0000644\0000000000\0000000000", 24);
	snprintf(header + 124, 12, "%011zo", size);
	memcpy(header + 136, "00000000000\0        0", 21);
	memcpy(header + 257, "ustar\00000", 8);
	unsigned sum = 0;
	for (int i = 0; i < 512; i++)
		sum += (unsigned char)header[i];
	snprintf(header + 148, 7, "%06o", sum);
	buffer_append(tar, data, size);
	memset(buffer_add(tar, -size % 512), 0, -size % 512);
}

static void add_text(struct buffer *tar, const char *name, const char *text)
{
	add_member(tar, name, text, strlen(text));
}

/* An array of any announced shape and type, with `size` bytes behind it. */
static void add_array(struct buffer *tar, const char *name, const char *descr, const char *shape, const void *data,
	size_t size)
{
	char *bytes = xcalloc(NPY_HEADER + size, 1);
	memcpy(bytes, "\x93NUMPY\x01\0\x76", 9);
	int length = snprintf(bytes + 10, 118, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", descr, shape);
	memset(bytes + 10 + length, ' ', (size_t)(118 - length));
	bytes[NPY_HEADER - 1] = '\n';
	memcpy(bytes + NPY_HEADER, data, size);
	add_member(tar, name, bytes, NPY_HEADER + size);
	free(bytes);
}

#define META "{\"group\":\"sequences\",\"id\":\"1\",\"shard\":[1,1]}"
#define END "{\"shard\":[1,1],\"rows\":2,\"chunks\":1}"

/* A sequences table of two rows; each of its parts may be replaced. */
struct table {
	const char *meta, *end, *users;
	int64_t indptr[3];
	const char *descr, *shape;
	size_t item_bytes;
	const char *chunk; /* of the item field */
};

static const struct table good = {META, END, "a\nb\n", {0, 1, 3}, "<i4", "(3,)", 12, "sequences/000000.item.npy"};

static void add_table(struct buffer *tar, const struct table *table)
{
	const char zeros[512] = {0};
	if (table->meta)
		add_text(tar, "sequences/meta.json", table->meta);
	add_text(tar, "sequences/000000.user_id.txt", table->users);
	add_array(tar, "sequences/000000.indptr.npy", "<i8", "(3,)", table->indptr, sizeof table->indptr);
	add_array(tar, table->chunk, table->descr, table->shape, zeros, table->item_bytes);
	if (table->end)
		add_text(tar, "sequences/end.json", table->end);
}

static struct outcome filter_bytes(const struct buffer *tar)
{
	struct filter filter = {path_of("in.tar"), path_of("out.tar.zst")};
	write_file(filter.input, tar->data, tar->size);
	struct outcome outcome = run_child(run_filter, &filter);
	if (outcome.status && access(filter.output, F_OK) == 0)
		fail_msg("left an output file after: %s", outcome.said);
	unlink(filter.output);
	free(filter.input);
	free(filter.output);
	return outcome;
}

static void expect_death(struct buffer *tar, const char *naming)
{
	struct outcome outcome = filter_bytes(tar);
	assert_died(&outcome, "in.tar", naming);
	assert_died(&outcome, naming, naming);
	buffer_free(tar);
}

static void reject_table(struct table table, const char *naming)
{
	struct buffer tar = {0};
	add_table(&tar, &table);
	expect_death(&tar, naming);
}

static void good_table_is_read(void **state)
{
	(void)state;
	struct buffer tar = {0};
	add_table(&tar, &good);
	struct outcome outcome = filter_bytes(&tar);
	assert_string_equal(outcome.said, "");
	assert_int_equal(outcome.status, 0);
	buffer_free(&tar);
}

/* The good table with one part replaced is an error. */
#define REJECT(part, value, naming)                                                                                    \
	do {                                                                                                               \
		struct table variant = good;                                                                                   \
		variant.part = value;                                                                                          \
		reject_table(variant, naming);                                                                                 \
	} while (0)

static void bad_arrays_are_errors(void **state)
{
	(void)state;
	REJECT(shape, "(4,)", "000000.item.npy");
	REJECT(shape, "(2,)", "000000.item.npy");
	REJECT(shape, "(4611686018427387904, 4)", "000000.item.npy");
	REJECT(shape, "(9223372036854775808,)", "000000.item.npy");
	REJECT(shape, "(99999999999999999999999999,)", "000000.item.npy");
	REJECT(shape, "(-3,)", "000000.item.npy");
	REJECT(shape, "(3, 1, 1, 1, 1, 1, 1)", "000000.item.npy");
	REJECT(shape, "(3", "000000.item.npy");
	REJECT(shape, "3", "000000.item.npy");
	REJECT(shape, "()", "000000.item.npy");
	REJECT(shape, "(0, 9223372036854775807)", "000000.item.npy");
	REJECT(descr, ">i4", "000000.item.npy");
	REJECT(descr, "<f4", "item");
	REJECT(descr, "|O", "000000.item.npy");
	REJECT(descr, "<c16", "000000.item.npy");
	REJECT(descr, "", "000000.item.npy");
	REJECT(item_bytes, 0, "000000.item.npy");
	REJECT(item_bytes, 13, "000000.item.npy");
}

/* Reads a model whose weight is `data` behind a header of that kind, and what it says of the group. */
static struct outcome read_model(struct model_group *model, const char *descr, const char *shape, const void *data,
	size_t size)
{
	struct buffer tar = {0};
	char *path = path_of("in.tar");
	add_text(&tar, "model/meta.json", "{\"id\":\"1\"}");
	add_array(&tar, "model/weight.npy", descr, shape, data, size);
	add_text(&tar, "model/end.json", "{}");
	write_file(path, tar.data, tar.size);
	struct filter filter = {path, path_of("out.tar.zst")};
	struct outcome outcome = run_child(run_filter, &filter);
	unlink(filter.output);
	free(filter.output);
	if (!outcome.status) {
		struct bag *bag = bag_open((char *const[]){path, NULL});
		bag_take(bag, &model_kind, model);
		bag_read(bag);
		forget_model(model);
	}
	buffer_free(&tar);
	free(path);
	return outcome;
}

static void arrays_are_read_in_place_where_they_fit(void **state)
{
	(void)state;
	enum { COUNT = WEIGHT_ROWS * WEIGHT_COLUMNS };
	struct model_group model = {.members = 0};
	float *values = xcalloc(2 * COUNT, sizeof *values);
	for (int i = 0; i < COUNT; i++)
		values[i] = (float)i / 8;
	assert_int_equal(read_model(&model, "<f4", "(500, 32)", values, COUNT * sizeof *values).status, 0);
	assert_memory_equal(model.weight, values, sizeof model.weight);
	assert_int_equal(model.members, 0);
	/* of as many bytes, and of others */
	assert_int_equal(read_model(&model, "<f4", "(32, 500)", values, COUNT * sizeof *values).status, 0);
	assert_int_equal(read_model(&model, "<i4", "(500, 32)", values, COUNT * sizeof *values).status, 0);
	assert_int_equal(read_model(&model, "<f8", "(500, 32)", values, 2 * COUNT * sizeof *values).status, 0);
	assert_int_equal(model.members, 3);
	values[33] = NAN;
	struct outcome outcome = read_model(&model, "<f4", "(500, 32)", values, COUNT * sizeof *values);
	assert_died(&outcome, "in.tar: model/weight.npy: row 1: nan, finite numbers were expected", "not a number");
	free(values);
}

static void bad_npy_headers_are_errors(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t size;
	} cases[] = {{"", 0}, {"\x93NUMPY", 6}, {"\x93NUMPY\x01\x00\xff\xff{", 11},
		{"\x93NUMPY\x02\x00\x00\x00\x00\x00", 12}, {"\x93NUMPY\x01\x00\x00\x00", 10},
		{"\x93NUMPY\x01\x00\x02\x00{}", 12}, {"\x93NUMPY\x01\x00\x08\x00{'descr'", 18}, {"PK\x03\x04 not NumPy's", 16}};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct buffer tar = {0};
		add_text(&tar, "sequences/meta.json", META);
		add_member(&tar, "sequences/000000.item.npy", cases[i].bytes, cases[i].size);
		expect_death(&tar, "sequences/000000.item.npy");
	}
	const char fortran[] = "\x93NUMPY\x01\x00\x3c\x00{'descr': '<i4', 'fortran_order': True, 'shape': (3, 1), } \n";
	struct buffer tar = {0};
	add_text(&tar, "sequences/meta.json", META);
	add_member(&tar, "sequences/000000.item.npy", fortran, sizeof fortran - 1);
	expect_death(&tar, "sequences/000000.item.npy");
}

static void bad_tables_are_errors(void **state)
{
	(void)state;
	struct table changed = good;
	changed.indptr[1] = 4;
	reject_table(changed, "indptr");
	changed.indptr[1] = -1;
	reject_table(changed, "indptr");
	changed = good;
	changed.indptr[0] = 1;
	reject_table(changed, "indptr");
	changed = good;
	changed.indptr[2] = INT64_MAX;
	reject_table(changed, "sequences/000000");
	REJECT(users, "a\n", "sequences/000000");
	REJECT(users, "a\nb\nc\nd\n", "sequences/000000");
	REJECT(users, "a\nb", "user_id.txt");
	REJECT(chunk, "sequences/000001.item.npy", "sequences/000001");
	REJECT(chunk, "sequences/000000.user_id.npy", "user_id");
	REJECT(end, NULL, "end.json");
	REJECT(end, "{\"shard\":[1,1],\"rows\":3,\"chunks\":1}", "end.json");
	REJECT(end, "{\"shard\":[1,1],\"rows\":2,\"chunks\":2}", "end.json");
	REJECT(end, "{\"shard\":[1,1],\"rows\":\"2\",\"chunks\":1}", "end.json");
	REJECT(end, "{\"shard\":[1,2],\"rows\":2,\"chunks\":1}", "end.json");
	REJECT(end, "[]", "end.json");
	REJECT(end, "", "end.json");
	REJECT(meta, NULL, "sequences/");
	REJECT(meta, "{\"group\":\"sequences\"}", "meta.json");
	REJECT(meta, "{\"id\":1}", "meta.json");
	REJECT(meta, "{\"id\":\"1\",\"shard\":[0,1]}", "meta.json");
	REJECT(meta, "{\"id\":\"1\",\"shard\":[2,1]}", "meta.json");
	REJECT(meta, "{\"id\":\"1\",\"shard\":[1,99999999999]}", "meta.json");
	REJECT(meta, "{\"id\":\"1\",\"id\":\"2\"}", "meta.json");
	REJECT(meta, "\xff\xfe", "meta.json");
}

static void missing_shard_is_an_error(void **state)
{
	(void)state;
	struct table half = good;
	half.meta = "{\"id\":\"1\",\"shard\":[1,2]}";
	half.end = "{\"shard\":[1,2],\"rows\":2,\"chunks\":1}";
	struct buffer tar = {0};
	add_table(&tar, &half);
	struct outcome outcome = filter_bytes(&tar);
	assert_died(&outcome, "shard 2 of 2 is missing", "half a table");
	buffer_free(&tar);
}

static void deep_json_is_an_error(void **state)
{
	(void)state;
	char *deep = xmalloc(1000001);
	memset(deep, '[', 1000000);
	deep[1000000] = '\0';
	REJECT(meta, deep, "meta.json");
	free(deep);
}

/* Bytes of the first tar header replaced, with the checksum mended or not. */
static void reject_header(size_t offset, const void *bytes, size_t size, bool mended, const char *naming)
{
	struct buffer tar = {0};
	add_table(&tar, &good);
	memcpy(tar.data + offset, bytes, size);
	if (mended) {
		memset(tar.data + 148, ' ', 8);
		unsigned sum = 0;
		for (int i = 0; i < 512; i++)
			sum += (unsigned char)tar.data[i];
		snprintf(tar.data + 148, 7, "%06o", sum);
	}
	expect_death(&tar, naming);
}

static void bad_tar_headers_are_errors(void **state)
{
	(void)state;
	reject_header(0, "x", 1, false, "in.tar");
	reject_header(148, "0000000", 7, false, "in.tar");
	reject_header(0, "/etc/passwd", 12, true, "/etc/passwd");
	reject_header(0, "a/../../b", 10, true, "a/../../b");
	reject_header(0, "..", 3, true, "..");
	reject_header(0, "a b", 4, true, "a b");
	reject_header(0, "\x1b[31m", 6, true, "bad member name");
	reject_header(124, "77777777777", 11, true, "sequences/meta.json");
	reject_header(124, "-0000000001", 11, true, "sequences/meta.json");
	reject_header(124, "\x80\0\0\0\0\0\0\0\0\0\1", 11, true, "sequences/meta.json");
	reject_header(124, "           ", 11, true, "sequences/meta.json");
	reject_header(156, "2", 1, true, "sequences/meta.json");
	reject_header(156, "x", 1, true, "sequences/meta.json");
	reject_header(257, "\0\0\0\0\0", 5, true, "in.tar");
}

static void what_is_no_stream_is_an_error(void **state)
{
	(void)state;
	static const char *const inputs[] = {"", "x", "\x28\xb5\x2f", "user,item,time\n1,2,3\n",
		"\x28\xb5\x2f\xfdnot a frame"};
	for (size_t i = 0; i < COUNT_OF(inputs); i++) {
		struct buffer tar = {0};
		buffer_append(&tar, inputs[i], strlen(inputs[i]));
		expect_death(&tar, "in.tar");
	}
	struct buffer zeros = {0};
	memset(buffer_add(&zeros, 4096), 0, 4096);
	expect_death(&zeros, "in.tar");
}

static void many_groups_and_fields_are_errors(void **state)
{
	(void)state;
	struct buffer tar = {0};
	char name[64];
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof name, "group%d/meta.json", i);
		add_text(&tar, name, META);
		snprintf(name, sizeof name, "group%d/end.json", i);
		add_text(&tar, name, END);
	}
	expect_death(&tar, "groups");
	add_text(&tar, "sequences/meta.json", META);
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof name, "sequences/000000.field%d.txt", i);
		add_text(&tar, name, "a\n");
	}
	expect_death(&tar, "fields");
}

/* --- joining --- */

struct counted {
	char *input;
	int64_t expected;
};

static void count_rows(void *context)
{
	const struct counted *counted = context;
	struct table_group sequences = {.rows = 0};
	struct bag *bag = bag_open((char *const[]){counted->input, NULL});
	bag_take(bag, &sequences_kind, &sequences);
	bag_read(bag);
	if (sequences.rows != counted->expected)
		die("%lld rows, %lld were expected", (long long)sequences.rows, (long long)counted->expected);
}

static void assert_rows(const struct buffer *tar, int64_t expected, const char *says)
{
	struct counted counted = {path_of("in.tar"), expected};
	write_file(counted.input, tar->data, tar->size);
	struct outcome outcome = run_child(count_rows, &counted);
	if (says)
		assert_non_null(strstr(outcome.said, says));
	else
		assert_string_equal(outcome.said, "");
	assert_int_equal(outcome.status, 0);
	free(counted.input);
}

static void joined_streams_continue_repeat_and_replace(void **state)
{
	(void)state;
	struct table first = good, second = good, other = good;
	first.meta = "{\"id\":\"1\",\"shard\":[1,2]}";
	first.end = "{\"shard\":[1,2],\"rows\":2,\"chunks\":1}";
	second.meta = "{\"id\":\"1\",\"shard\":[2,2]}";
	second.end = "{\"shard\":[2,2],\"rows\":0,\"chunks\":0}";
	other.meta = "{\"id\":\"2\"}";
	struct buffer tar = {0};
	add_table(&tar, &first);
	add_text(&tar, "sequences/meta.json", second.meta);
	add_text(&tar, "sequences/end.json", second.end);
	assert_rows(&tar, 2, NULL);
	add_table(&tar, &first);
	assert_rows(&tar, 2, NULL);
	/* end-of-archive blocks in the middle, as tar itself writes them */
	memset(buffer_add(&tar, 1024), 0, 1024);
	add_table(&tar, &other);
	add_table(&tar, &other);
	assert_rows(&tar, 2, "in.tar replaced by a later one in it\n");
	buffer_free(&tar);
}

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : 1;
}

static int remove_folder(void **state)
{
	(void)state;
	char *command = xasprintf("rm -r %s", folder);
	int status = system(command);
	free(command);
	return status;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_table_is_read),
		cmocka_unit_test(joined_streams_continue_repeat_and_replace),
		cmocka_unit_test(what_is_no_stream_is_an_error),
		cmocka_unit_test(bad_tar_headers_are_errors),
		cmocka_unit_test(arrays_are_read_in_place_where_they_fit),
		cmocka_unit_test(bad_npy_headers_are_errors),
		cmocka_unit_test(bad_arrays_are_errors),
		cmocka_unit_test(bad_tables_are_errors),
		cmocka_unit_test(missing_shard_is_an_error),
		cmocka_unit_test(deep_json_is_an_error),
		cmocka_unit_test(many_groups_and_fields_are_errors),
		cmocka_unit_test(truncation_is_noticed_at_every_block),
		cmocka_unit_test(truncation_is_noticed_anywhere),
		cmocka_unit_test(flipped_bytes_are_noticed),
	};
	return cmocka_run_group_tests_name("stream", tests, make_folder, remove_folder);
}
