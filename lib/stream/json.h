/*
 * JSON for metadata and tokenizers: jansson, with readers that die with the
 * place and the key when a value is missing or of another type.
 *
 * `where` names the document in messages ("run.tar.zst: model/config.json").
 * Returned strings and objects are borrowed from the document.
 */
#ifndef RECPIPE_JSON_H
#define RECPIPE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* What is wrong with a text that is not JSON, for people; may be the error's own text. */
const char *json_problem(const json_error_t *error);
/* Parses text; the caller owns the reference. Dies on bad JSON with line and column. */
json_t *json_parse(const char *text, size_t size, const char *where);

const char *json_get_string(const json_t *object, const char *key, const char *where);
int64_t json_get_int(const json_t *object, const char *key, int64_t low, int64_t high, const char *where);
double json_get_number(const json_t *object, const char *key, const char *where);
bool json_get_bool(const json_t *object, const char *key, const char *where);
json_t *json_get_object(const json_t *object, const char *key, const char *where);

/*
 * Documents are built by these alone, and so are whole: they die where jansson would leave something out, of text that
 * is not UTF-8 and of numbers that are not finite.
 * json_build() is json_pack(); the others steal the value.
 */
json_t *json_build(const char *format, ...);
void json_set(json_t *object, const char *key, json_t *value);
void json_append(json_t *array, json_t *value);
/*
 * Text of the user's, such as a path, that may be of any bytes: a '?' for each that is not ASCII where it is not UTF-8.
 */
json_t *json_any_text(const char *text);
/* One line, keys in insertion order, ended by a newline; the caller frees it. */
char *json_text(const json_t *document);
/* The same, with real numbers that are read back as they are. */
char *json_text_exact(const json_t *document);

#endif
