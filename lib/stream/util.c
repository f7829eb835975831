#include "stream/util.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "stream/descriptor.h"

const char *program_name = "recpipe";
int die_status = 1;
void (*die_waits)(void);
void (*die_leaves)(int status);
_Thread_local void (*die_in_turn)(void);
static const char *volatile unfinished[4];
static volatile bool leaving;

/* One line, one write: lines of concurrent stages never mix. Control characters would break the line. */
static void report(const char *suffix, const char *format, va_list arguments)
{
	char line[2048];
	int start = snprintf(line, sizeof line, "%s: ", program_name);
	int length = vsnprintf(line + start, sizeof line - (size_t)start - 1, format, arguments);
	size_t end = (size_t)start + (size_t)(length < 0 ? 0 : length);
	if (end > sizeof line - 2)
		end = sizeof line - 2;
	if (suffix)
		end += (size_t)snprintf(line + end, sizeof line - end - 1, ": %s", suffix);
	if (end > sizeof line - 2)
		end = sizeof line - 2;
	for (size_t i = 0; i < end; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 127)
			line[i] = '?';
	line[end++] = '\n';
	if (!descriptor_write(STDERR_FILENO, line, end)) {
		/* nowhere left to say it */
	}
}

void last_words(const char *text)
{
	struct {
		const char *text;
		size_t size;
	} const parts[] = {{program_name, strlen(program_name)}, {": ", 2}, {text, strlen(text)}, {"\n", 1}};
	char line[256];
	size_t size = 0;
	if (leaving) /* a signal that comes now, as those to all ranks do, is a consequence */
		return;
	for (size_t i = 0; i < COUNT_OF(parts) && size + parts[i].size <= sizeof line; i++) {
		memcpy(line + size, parts[i].text, parts[i].size);
		size += parts[i].size;
	}
	if (!descriptor_write(STDERR_FILENO, line, size)) {
		/* nowhere left to say it */
	}
}

void leave(int status)
{
	leaving = true;
	unfinished_remove();
	if (die_leaves)
		die_leaves(status);
	_exit(status);
}

static void wait_before_dying(void)
{
	if (die_in_turn)
		die_in_turn();
	if (die_waits)
		die_waits();
}

void die(const char *format, ...)
{
	va_list arguments;
	wait_before_dying();
	va_start(arguments, format);
	report(NULL, format, arguments);
	va_end(arguments);
	leave(die_status);
}

void die_errno(const char *format, ...)
{
	const char *reason = errno ? strerror(errno) : NULL;
	va_list arguments;
	wait_before_dying();
	va_start(arguments, format);
	report(reason, format, arguments);
	va_end(arguments);
	leave(die_status);
}

void warn(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	report(NULL, format, arguments);
	va_end(arguments);
}

static void replace_unfinished(const char *old, const char *new)
{
	for (size_t i = 0; i < COUNT_OF(unfinished); i++)
		if (unfinished[i] == old) {
			unfinished[i] = new;
			return;
		}
}

void unfinished_add(const char *path)
{
	replace_unfinished(NULL, path);
}

void unfinished_done(const char *path)
{
	replace_unfinished(path, NULL);
}

void unfinished_remove(void)
{
	for (size_t i = 0; i < COUNT_OF(unfinished); i++)
		if (unfinished[i])
			unlink(unfinished[i]);
}

void die_memory(size_t count, size_t size)
{
	die_status = 1; /* no wrong usage, even of options */
	if (count > 1)
		die("out of memory: %zu x %zu bytes were asked for", count, size);
	if (size)
		die("out of memory: %zu bytes were asked for", size);
	die("out of memory");
}

void *xmalloc(size_t size)
{
	void *memory = malloc(size ? size : 1);
	if (!memory)
		die_memory(1, size);
	return memory;
}

void *xcalloc(size_t count, size_t size)
{
	void *memory = calloc(count ? count : 1, size ? size : 1);
	if (!memory)
		die_memory(count, size);
	return memory;
}

void *xreallocarray(void *old, size_t count, size_t size)
{
	void *memory = reallocarray(old, count ? count : 1, size ? size : 1);
	if (!memory)
		die_memory(count, size);
	return memory;
}

char *xstrndup(const char *text, size_t length)
{
	char *copy = xmalloc(length + 1);
	memcpy(copy, text, length);
	copy[length] = '\0';
	return copy;
}

char *xstrdup(const char *text)
{
	return xstrndup(text, strlen(text));
}

char *xasprintf(const char *format, ...)
{
	char *text;
	va_list arguments;
	va_start(arguments, format);
	int length = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (length < 0)
		die_memory(0, 0);
	return text;
}

/* Whole huge pages for what has a few of them: a scan of a large array spends a quarter of its time on page tables. */
#define HUGE_PAGE ((size_t)2 << 20)

static void *aligned(size_t count, size_t size, size_t *bytes)
{
	if (__builtin_mul_overflow(count, size, bytes) || *bytes > SIZE_MAX - HUGE_PAGE)
		die_memory(count, size);
	const size_t alignment = *bytes < 4 * HUGE_PAGE ? 64 : HUGE_PAGE;
	*bytes = *bytes ? (*bytes + alignment - 1) / alignment * alignment : alignment;
	void *memory = aligned_alloc(alignment, *bytes);
	if (!memory)
		die_memory(1, *bytes);
	if (alignment == HUGE_PAGE)
		madvise(memory, *bytes, MADV_HUGEPAGE);
	return memory;
}

void *xaligned_room(size_t count, size_t size)
{
	size_t bytes;
	return aligned(count, size, &bytes);
}

void *xaligned(size_t count, size_t size)
{
	size_t bytes;
	void *memory = aligned(count, size, &bytes);
	/* whole pages that the system has yet to give are zeros, and take no memory while nobody has touched them */
	if (bytes < 4 * HUGE_PAGE || madvise(memory, bytes, MADV_DONTNEED))
		memset(memory, 0, bytes);
	return memory;
}

void memory_in_small_pages(void *memory, size_t bytes)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	const uintptr_t first = (uintptr_t)memory, begin = (first + page - 1) / page * page;
	const uintptr_t end = (first + bytes) / page * page;
	if (begin < end)
		madvise((void *)begin, end - begin, MADV_NOHUGEPAGE);
}

void *buffer_add(struct buffer *buffer, size_t size)
{
	if (size > SIZE_MAX / 2 - buffer->size)
		die_memory(1, size);
	size_t needed = buffer->size + size;
	if (needed > buffer->capacity || !buffer->data) { /* NULL + 0 is undefined */
		size_t capacity = buffer->capacity ? buffer->capacity : 256;
		while (capacity < needed)
			capacity *= 2;
		buffer->data = xreallocarray(buffer->data, capacity, 1);
		buffer->capacity = capacity;
	}
	void *room = buffer->data + buffer->size;
	buffer->size = needed;
	return room;
}

void buffer_append(struct buffer *buffer, const void *data, size_t size)
{
	void *room = buffer_add(buffer, size);
	if (size)
		memcpy(room, data, size);
}

void buffer_free(struct buffer *buffer)
{
	free(buffer->data);
	*buffer = (struct buffer){0};
}

/* splitmix64 spreads the seed over the state, as the generator's authors advise. */
void rng_seed(struct rng *rng, uint64_t seed)
{
	for (int i = 0; i < 4; i++) {
		seed += UINT64_C(0x9e3779b97f4a7c15);
		uint64_t z = seed;
		z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
		z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
		rng->word[i] = z ^ (z >> 31);
	}
}

static uint64_t rotate_left(uint64_t x, int k)
{
	return (x << k) | (x >> (64 - k));
}

uint64_t rng_next(struct rng *rng)
{
	uint64_t *s = rng->word;
	uint64_t result = rotate_left(s[1] * 5, 7) * 9;
	uint64_t t = s[1] << 17;
	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate_left(s[3], 45);
	return result;
}

uint64_t rng_below(struct rng *rng, uint64_t bound)
{
	/* Lemire 2019: multiply, reject the few that would bias */
	unsigned __int128 product = (unsigned __int128)rng_next(rng) * bound;
	if ((uint64_t)product < bound) {
		uint64_t threshold = -bound % bound;
		while ((uint64_t)product < threshold)
			product = (unsigned __int128)rng_next(rng) * bound;
	}
	return (uint64_t)(product >> 64);
}

double rng_uniform(struct rng *rng)
{
	return (double)(rng_next(rng) >> 11) * 0x1p-53;
}

double normal_of(double u, double v)
{
	return sqrt(-2 * log(1 - u)) * cos(TWO_PI * v);
}

double rng_normal(struct rng *rng)
{
	const double u = rng_uniform(rng);
	return normal_of(u, rng_uniform(rng));
}

uint64_t fingerprint(uint64_t hash, const void *data, size_t size)
{
	const unsigned char *byte = data;
	for (size_t i = 0; i < size; i++)
		hash = (hash ^ byte[i]) * UINT64_C(0x100000001b3);
	return hash;
}

void fingerprint_text(uint64_t hash, char text[17])
{
	snprintf(text, 17, "%016llx", (unsigned long long)hash);
}

const char *number_text(int64_t number, char text[32])
{
	char digits[32];
	int length = snprintf(digits, sizeof digits, "%lld", (long long)number), used = 0;
	for (int i = 0; i < length; i++) {
		if (i && (length - i) % 3 == 0 && digits[i - 1] != '-')
			text[used++] = ',';
		text[used++] = digits[i];
	}
	text[used] = '\0';
	return text;
}

const char *input_name(const char *path)
{
	return path && strcmp(path, "-") != 0 ? path : "stdin";
}

const char *by_number(int64_t number, const char *one, const char *many)
{
	return number == 1 ? one : many;
}

const char *counted(int64_t number, const char *plural)
{
	static _Thread_local char texts[COUNTED_AT_ONCE][64];
	static _Thread_local unsigned next;
	char *text = texts[next++ % COUNTED_AT_ONCE];
	const int without_s = (int)strlen(plural) - (number == 1);
	snprintf(text, sizeof *texts, "%lld %.*s", (long long)number, without_s, plural);
	return text;
}

double seconds_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* getrusage() would count what the process was before it became this program: its parent's memory. */
double peak_memory_mib(void)
{
	char line[256];
	long long kib = 0;
	FILE *status = fopen("/proc/self/status", "r");
	while (status && !kib && fgets(line, sizeof line, status))
		sscanf(line, "VmHWM: %lld kB", &kib);
	if (status)
		fclose(status);
	return (double)kib / 1024;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static const char *behind_sign(const char *text)
{
	return text + (*text == '-' || *text == '+');
}

bool parse_int(const char *text, int64_t low, int64_t high, int64_t *value)
{
	const char *digit = behind_sign(text);
	int64_t number = 0; /* below 0, as there is one more of these */
	if (!is_digit(*digit))
		return false;
	for (; is_digit(*digit); digit++)
		if (__builtin_mul_overflow(number, 10, &number) || __builtin_sub_overflow(number, *digit - '0', &number))
			return false;
	if (*digit || (*text != '-' && __builtin_sub_overflow(0, number, &number)) || number < low || number > high)
		return false;
	*value = number;
	return true;
}

/* strtod() would take blanks before them, and hexadecimal ones. */
bool parse_float(const char *text, double low, double high, double *value)
{
	const char *first = behind_sign(text);
	char *end;
	if ((!is_digit(*first) && *first != '.') || first[strspn(first, "0123456789.eE+-")])
		return false;
	double parsed = strtod(text, &end);
	if (end == text || *end || !(parsed >= low && parsed <= high))
		return false;
	*value = parsed;
	return true;
}
