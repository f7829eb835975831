/*
 * Of the model of immintrin.h what has a state: tiles, of each thread; and a processor that has all, of which what is
 * not modelled (nn/vec.h, OpenBLAS) gets no more than there is.
 */
#include <immintrin.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "../levels.h"

#define ROWS 16
#define ROW_BYTES 64

struct tile {
	int rows, row_bytes;
	uint8_t byte[ROWS][ROW_BYTES];
};
static _Thread_local struct tile tiles[8];

static void expect(bool so, const char *what)
{
	if (so)
		return;
	fprintf(stderr, "the model of the processor: %s\n", what);
	abort();
}

void model_ldtilecfg(const uint8_t config[64])
{
	expect(config[0] == 1 && !config[1], "ldtilecfg: a palette that is not 1, or a row to start from");
	for (int i = 0; i < 14; i++)
		expect(!config[2 + i], "ldtilecfg: a reserved byte that is not 0");
	for (int i = 0; i < 16; i++) {
		const int rows = config[48 + i], row_bytes = config[16 + 2 * i] | config[17 + 2 * i] << 8;
		expect(rows <= ROWS && row_bytes <= ROW_BYTES && !rows == !row_bytes, "ldtilecfg: no such tile");
		expect(i < 8 || !rows, "ldtilecfg: a tile beyond 8");
		if (i < 8)
			tiles[i] = (struct tile){rows, row_bytes, {{0}}};
	}
}

static struct tile *tile_of(int i)
{
	expect(i >= 0 && i < 8 && tiles[i].rows, "a tile that is not configured");
	return &tiles[i];
}

static void load(struct tile *t, const uint8_t *memory, int64_t stride)
{
	memset(t->byte, 0, sizeof t->byte);
	for (int row = 0; row < t->rows; row++)
		memcpy(t->byte[row], memory + row * stride, (size_t)t->row_bytes);
}

static void store(const struct tile *t, uint8_t *memory, int64_t stride)
{
	for (int row = 0; row < t->rows; row++)
		memcpy(memory + row * stride, t->byte[row], (size_t)t->row_bytes);
}

/* Of a tile's row: what stands at even and at odd places of the depth. */
MODEL void floats_of(const uint8_t row[ROW_BYTES], float even[ROWS], float odd[ROWS])
{
	uint16_t number[2 * ROWS];
	memcpy(number, row, sizeof number);
	for (int i = 0; i < ROWS; i++) {
		even[i] = model_of_bf16(number[2 * i]);
		odd[i] = model_of_bf16(number[2 * i + 1]);
	}
}

/* Even and odd places have sums of their own, which are added to each other, and then to what was there. */
__attribute__((target())) static void add_bf16(struct tile *sum, const struct tile *left, const struct tile *right)
{
	float r[ROWS][2][ROWS] = {{{0}}};
	for (int k = 0; k < right->rows; k++)
		floats_of(right->byte[k], r[k][0], r[k][1]);
	for (int row = 0; row < sum->rows; row++) {
		float to[ROWS], l[2][ROWS], even[ROWS] = {0}, odd[ROWS] = {0};
		memcpy(to, sum->byte[row], sizeof to);
		floats_of(left->byte[row], l[0], l[1]);
		for (int k = 0; k < right->rows; k++)
			for (int j = 0; j < ROWS; j++) {
				even[j] = model_flush(fmaf(l[0][k], r[k][0][j], even[j]));
				odd[j] = model_flush(fmaf(l[1][k], r[k][1][j], odd[j]));
			}
		for (int j = 0; j < ROWS; j++)
			to[j] = model_flush(model_flush(to[j]) + model_flush(even[j] + odd[j]));
		memcpy(sum->byte[row], to, (size_t)sum->row_bytes);
	}
}

static void add_bytes(struct tile *sum, const struct tile *left, const struct tile *right)
{
	for (int row = 0; row < sum->rows; row++) {
		int32_t to[ROWS];
		memcpy(to, sum->byte[row], sizeof to);
		for (int k = 0; k < right->rows; k++)
			for (int j = 0; j < 4 * ROWS; j++)
				to[j / 4] += (int8_t)left->byte[row][4 * k + j % 4] * right->byte[k][j];
		memcpy(sum->byte[row], to, (size_t)sum->row_bytes);
	}
}

/* What lies beyond a tile's rows and columns is zero, and is left so. */
static void multiply(struct tile *sum, const struct tile *left, const struct tile *right, bool bytes)
{
	expect(sum != left && sum != right && left != right, "a product of one tile with itself");
	expect(sum->rows == left->rows && sum->row_bytes == right->row_bytes && left->row_bytes == 4 * right->rows,
		"a product of tiles that do not fit each other");
	if (bytes)
		add_bytes(sum, left, right);
	else
		add_bf16(sum, left, right);
}

void model_tile_instruction(const char *text, const void *memory, int64_t stride)
{
	int a, b, c;
	if (sscanf(text, "tileloadd (%%0,%%1,1), %%%%tmm%d", &a) == 1)
		load(tile_of(a), memory, stride);
	else if (sscanf(text, "tileloaddt1 (%%0,%%1,1), %%%%tmm%d", &a) == 1)
		load(tile_of(a), memory, stride);
	else if (sscanf(text, "tilestored %%%%tmm%d, (%%0,%%1,1)", &a) == 1)
		store(tile_of(a), (void *)(uintptr_t)memory, stride);
	else if (sscanf(text, "tilezero %%%%tmm%d", &a) == 1)
		memset(tile_of(a)->byte, 0, sizeof tiles[a].byte);
	else if (sscanf(text, "tdpbf16ps %%%%tmm%d, %%%%tmm%d, %%%%tmm%d", &c, &b, &a) == 3)
		multiply(tile_of(a), tile_of(b), tile_of(c), false);
	else if (sscanf(text, "tdpbsud %%%%tmm%d, %%%%tmm%d, %%%%tmm%d", &c, &b, &a) == 3)
		multiply(tile_of(a), tile_of(b), tile_of(c), true);
	else
		expect(false, text);
}

/* --- the processor: the linker puts these before those of nn/cpu.c --- */

enum cpu __real_cpu_level(void), __real_cpu_best(void), __wrap_cpu_level(void), __wrap_cpu_best(void);
bool __real_cpu_use(enum cpu level), __wrap_cpu_use(enum cpu level);

const enum cpu first_modelled = CPU_AVX512;
/* what takes long, and has no instructions of its own */
__attribute__((constructor)) static void skip_some(void)
{
	cmocka_set_skip_filter("test_many_items");
}

static enum cpu pretended = N_CPU; /* until a test asks, what there is */

enum cpu __wrap_cpu_level(void)
{
	return pretended < N_CPU ? pretended : __real_cpu_level();
}

enum cpu __wrap_cpu_best(void)
{
	return __real_cpu_best() < CPU_AVX2 ? __real_cpu_best() : CPU_AMX;
}

bool __wrap_cpu_use(enum cpu level)
{
	if (level > __wrap_cpu_best())
		return false;
	pretended = level;
	return __real_cpu_use(level < __real_cpu_best() ? level : __real_cpu_best());
}
