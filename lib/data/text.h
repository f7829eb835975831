/*
 * Texts as people wrote them: HTML entities decoded, white space evened out, characters in their normal form.
 */
#ifndef RECPIPE_TEXT_H
#define RECPIPE_TEXT_H

#include "stream/util.h"

/* NORMAL_NONE: as it was written. */
enum text_normal_form { NORMAL_NFC, NORMAL_NFKC, NORMAL_NONE };
extern const char *const text_normal_forms[]; /* "nfc", "nfkc", "none" */

struct text_rules {
	bool keep_entities;
	int normal_form; /* of these */
};

/*
 * Appends the text, well-formed UTF-8, to the buffer, with a NUL: every run of Unicode's white space and of control
 * characters is one space, none at the ends. Entities of HTML 4 with their semicolon (&amp; &#39; &#x27; &eacute;
 * &trade;) become characters, once, unless the rules keep them; what is no entity stays. Then the text is brought to
 * Unicode's normal form (UAX 15), so that what looks the same is the same. Returns the length without the NUL.
 */
size_t text_clean(struct buffer *buffer, const char *text, size_t length, const struct text_rules *rules);

#endif
