/*
 * The ground every other file stands on: one way to fail, checked memory, a
 * seeded random generator, clocks and hashes.
 *
 * Errors have one path out. die() prints one line "tool: message" with a
 * single write, removes an unfinished output file and exits 1. It never ends
 * a zstd frame, so whoever reads our output sees it is truncated.
 */
#ifndef RECPIPE_UTIL_H
#define RECPIPE_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))
#define MUST_USE __attribute__((warn_unused_result))

extern const char *program_name; /* set once by cli_parse() */
extern int die_status;           /* what die() exits with: 1; 2 as long as only options can be at fault */

_Noreturn void die(const char *format, ...) PRINTF_LIKE(1, 2);
/* The same, followed by ": " and the text of errno. */
_Noreturn void die_errno(const char *format, ...) PRINTF_LIKE(1, 2);
void warn(const char *format, ...) PRINTF_LIKE(1, 2);
/* A line too, but without a format: safe in a signal handler. */
void last_words(const char *text);
/* What dying does behind its line: unfinished files are removed, and the process is over. */
_Noreturn void leave(int status);
/* Set where other processes end with this one (ranks.h), else NULL: called before the line, and in place of _exit(). */
extern void (*die_waits)(void);
extern void (*die_leaves)(int status);
/* Of a thread that works ahead of others: called before the line, it returns when what came before has been judged. */
extern _Thread_local void (*die_in_turn)(void);
/* Files to unlink when the process dies, until they are finished. Paths are borrowed. */
void unfinished_add(const char *path);
void unfinished_done(const char *path);
void unfinished_remove(void); /* all of them; safe in a signal handler */

/* For lack of `count` times `size` bytes; 0 where nobody knows how many. */
_Noreturn void die_memory(size_t count, size_t size);
/* Memory, or death. Counts are multiplied with an overflow check. */
void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xreallocarray(void *old, size_t count, size_t size);
char *xstrdup(const char *text);
char *xstrndup(const char *text, size_t length);
char *xasprintf(const char *format, ...) PRINTF_LIKE(1, 2);
/* 64-byte aligned, zeroed, to be given to free(). Of a large one, what nobody writes takes no memory. */
void *xaligned(size_t count, size_t size);
/* The same, uninitialised. */
void *xaligned_room(size_t count, size_t size);
/* The pages between, of memory of one of these: written here and there they take no more than what is written. */
void memory_in_small_pages(void *memory, size_t bytes);

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

/* A byte buffer that grows by doubling. Zeroed is empty; buffer_free resets it. */
struct buffer {
	char *data;
	size_t size, capacity;
};
void *buffer_add(struct buffer *buffer, size_t size); /* room for size more bytes, uninitialised */
void buffer_append(struct buffer *buffer, const void *data, size_t size);
void buffer_free(struct buffer *buffer);

/* xoshiro256** (Blackman & Vigna 2018): small, seedable, saved and restored as four words. */
struct rng {
	uint64_t word[4];
};
void rng_seed(struct rng *rng, uint64_t seed);
uint64_t rng_next(struct rng *rng);
uint64_t rng_below(struct rng *rng, uint64_t bound); /* unbiased, in [0, bound); bound > 0 */
double rng_uniform(struct rng *rng);                 /* in [0, 1) */
double rng_normal(struct rng *rng);                  /* mean 0, variance 1; no state beyond the words */
/* What it makes of two uniform numbers (Box and Muller). */
#define TWO_PI 6.283185307179586
double normal_of(double u, double v);

/* FNV-1a, 64 bits, for fingerprints; start from FINGERPRINT_START and chain. */
#define FINGERPRINT_START UINT64_C(0xcbf29ce484222325)
uint64_t fingerprint(uint64_t hash, const void *data, size_t size);
/* As 16 lower-case hexadecimal digits and a NUL. */
void fingerprint_text(uint64_t hash, char text[17]);

/* With a comma every three digits: "1,105". */
const char *number_text(int64_t number, char text[32]);
/* "1 user", "2 users", of the plural. The text lasts until the thread has asked for COUNTED_AT_ONCE more. */
#define COUNTED_AT_ONCE 8
const char *counted(int64_t number, const char *plural);
/* The verb of such a number: one of 1, many of others. */
const char *by_number(int64_t number, const char *one, const char *many);

/* A path as messages have it: "stdin" for "-", and for NULL, where no path was given. */
const char *input_name(const char *path);

double seconds_now(void);     /* monotonic */
double peak_memory_mib(void); /* of this process so far; 0 where there is no /proc */

/*
 * Whole strings as decimal numbers, a sign before them or not: false on blanks or anything else, on overflow, and out
 * of [low, high]. A float may have an exponent.
 */
bool parse_int(const char *text, int64_t low, int64_t high, int64_t *value) MUST_USE;
bool parse_float(const char *text, double low, double high, double *value) MUST_USE;

#endif
