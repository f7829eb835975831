/*
 * Texts as people wrote them: HTML entities decoded, white space evened out.
 */
#ifndef RECPIPE_TEXT_H
#define RECPIPE_TEXT_H

#include "stream/util.h"

/* What is kept as it is. */
struct text_rules {
	bool keep_entities;
};

/*
 * Appends the text, well-formed UTF-8, to the buffer, with a NUL: every run of Unicode's white space and of control
 * characters is one space, none at the ends. Entities of HTML 4 with their semicolon (&amp; &#39; &#x27; &eacute; &trade;)
 * become characters, once, unless the rules keep them; what is no entity stays. Returns the length without the NUL.
 */
size_t text_clean(struct buffer *buffer, const char *text, size_t length, const struct text_rules *rules);

#endif
