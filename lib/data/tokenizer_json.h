/*
 * What the readers of the parts of a tokenizer.json share. `where` names the
 * document in messages.
 */
#ifndef RECPIPE_TOKENIZER_JSON_H
#define RECPIPE_TOKENIZER_JSON_H

#include "data/pattern.h"
#include "stream/json.h"

/* A part's "type". */
const char *part_type(const json_t *object, const char *where);
/* true or false; the fallback where the key is missing or null. */
bool part_flag(const json_t *object, const char *key, bool fallback, const char *where);
const json_t *part_array(const json_t *object, const char *key, const char *where);
/* {"pattern": {"Regex": "..."}} or {"pattern": {"String": "..."}}. */
struct pattern *part_pattern(const json_t *object, const char *where);

/*
 * Calls read() for every part of a normalizer, pre-tokenizer, ..., in their order: the object itself, or those of a
 * "Sequence" under `key`, sequences within it too. Nothing where the object is missing or null.
 */
typedef void part_reader(void *into, const json_t *object, const char *type, const char *where);
void parts_read(const json_t *object, const char *key, part_reader *read, void *into, const char *where);

/* Dies: what is not among the `n` names, which are listed. */
_Noreturn void part_unknown(const char *what, const char *type, const char *(*name)(size_t), size_t n,
	const char *where);

#endif
