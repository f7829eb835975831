/*
 * What Python prints for a dict, as JSON: {'id': 'B1', "title": u'5" nail', 'price': None}. Some data sets came that
 * way, a dict a line (Amazon's of 2014).
 */
#ifndef RECPIPE_PYTHON_LITERAL_H
#define RECPIPE_PYTHON_LITERAL_H

#include "stream/util.h"

/* Whether a line begins like such a dict and not like a JSON object. */
bool python_literal_begins(const char *line, size_t size);
/*
 * Replaces `json` by the line's JSON; false where it is no literal of dicts, lists, tuples, strings, numbers, True,
 * False and None. Whether brackets and commas stand where they should is left to who reads the JSON.
 */
bool python_literal_to_json(const char *line, size_t size, struct buffer *json) MUST_USE;

#endif
