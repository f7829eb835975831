/*
 * Options, each written down once: a row in the file that owns its value. From the row follow what the command line
 * takes (cli.h), --help, the complete config.json of a model and the refusal of what it does not know, the identity of
 * a training, and completion.
 *
 *     static const struct option options[] = {
 *         {"layers", .key = "num_hidden_layers", .argument = "N", WHOLE_OPTION(struct gru, n_layers, 1, 16),
 *             .fallback = "1", .help = "Layers"},
 *         {"dropout", .argument = "P", REAL_OPTION(struct gru, dropout, 0, .99), .fallback = "0.2", .help = "Dropout"},
 *         {.key = "embedding_dropout", REAL_OPTION(struct gru, embedding_dropout, 0, .99), .fallback = "=dropout",
 *             .help = "Of the input"},
 *         {.key = "feature_scale", OTHER_DEFAULT("1")},
 *         {INCLUDED_OPTIONS(struct gru, items, items_options)},
 *         {0}};
 *
 * Values pass through JSON, whose object has for each row a member under its key: words of the command line become such
 * an object, config.json is one, and options_read() brings it into the struct.
 */
#ifndef RECPIPE_OPTION_H
#define RECPIPE_OPTION_H

#include <stddef.h>
#include <stdio.h>

#include "stream/json.h"
#include "stream/util.h"

enum option_kind {
	OPTION_END,     /* of a table */
	OPTION_TITLE,   /* .help is the title of the rows that follow */
	OPTION_INCLUDE, /* the rows of another table, whose struct is part of this one's */
	OPTION_OTHER,   /* another .fallback for an included row of the same key */
	OPTION_FIXED,   /* the same, and it is no option here: the program alone sets it */
	OPTION_FLAG,    /* takes no value: where it is given the field is the opposite of the default, which is "no" */
	OPTION_YES_NO,
	OPTION_WHOLE,  /* a whole number */
	OPTION_REAL,   /* NaN: not given and no default */
	OPTION_CHOICE, /* the index in a list of names; -1: not given and no default */
	OPTION_TEXT,   /* the strings of these two are borrowed from the JSON */
	OPTION_FILE,   /* a path, of a file or a folder, whose contents count, not its name */
	OPTION_JSON,   /* whatever it is: an object, a list, null; borrowed likewise */
	OPTION_OWN,    /* text that a function reads; it may come more than once */
	OPTION_SET     /* KEY=VALUE: any row of a table that the command line may set by key */
};

struct option {
	const char *name; /* as "learning-rate"; NULL: is set by its key alone, or, without .help, by the program alone */
	const char *key;  /* in JSON; NULL: the name */
	const char *argument; /* what --help calls the value; NULL: the choices */
	const char *help;     /* without the default, which is added */
	/*
	 * The default, as the command line would have it. "=KEY": the value of that row, which stands before. NULL: there
	 * is none, or it depends on data, and help says so. With .derive: what help says of it.
	 */
	const char *fallback;
	/*
	 * Sets the default from values that were given, all of them, and defaults of the rows before; what is neither is 0,
	 * as the struct was. values: the struct of the table the row stands in.
	 */
	void (*derive)(void *values);
	/*
	 * What the row is for, and wrong usage without that: "KEY=A|B", another row's value; "KEY!=A|B", where it has none
	 * of these; "KEY", where it is given; "!KEY|KEY", where none of these is; and several, of which one will do, with
	 * ", " between, or all must hold, with "; ": "A=1, B; C=2" is (A or B) and C. The other row may stand in another
	 * table; where it is in none of those that go together this one is no option.
	 */
	const char *only;
	const char *at_most; /* the key of another row whose number it is not to exceed, in whichever table */
	/* "KEY|KEY": other rows, in whichever table, that the default follows from, beside the data */
	const char *depends;
	enum {
		VALUE_STAYS,      /* as it is a part of what parameters mean, or of how they started */
		VALUE_CHANGES,    /* to another one that is given */
		VALUE_BEGINS_ANEW /* as if there were none, as the training's events decide on it */
	} going_on;           /* what becomes of the value where a training goes on from a model */
	char letter;          /* as in -k; 0: none */
	/* is no part of an identity: never changes what comes out, or names a stream, whose groups are told by their ids */
	bool no_effect;
	bool may_be_stdin; /* where it is "-": then nothing else is read from there */
	/* what the macros below set */
	enum option_kind kind;
	unsigned char size; /* of the field */
	size_t offset;      /* of the field in the struct */
	int64_t low, high;
	double from, to;
	const char *const *choices;                                        /* NULL-terminated */
	void (*read)(const char *option, const char *value, void *values); /* dies as wrong usage; option: "--shard" */
	const struct option *included;
	size_t base; /* set by options_of(): of its table's struct */
};

/* The rest of a row, which checks the type of the field it fills. */
/* clang-format off */
#define OPTION_FIELD(type, field, ...) \
	.offset = offsetof(type, field), .size = _Generic(((type *)NULL)->field, __VA_ARGS__)
#define FLAG_OPTION(type, field) .kind = OPTION_FLAG, OPTION_FIELD(type, field, bool: 1)
#define YES_NO_OPTION(type, field) .kind = OPTION_YES_NO, OPTION_FIELD(type, field, bool: 1)
#define WHOLE_OPTION(type, field, lowest, highest) .kind = OPTION_WHOLE, .low = (lowest), .high = (highest), \
	OPTION_FIELD(type, field, int: 4, int64_t: 8, uint64_t: 8)
#define REAL_OPTION(type, field, lowest, highest) .kind = OPTION_REAL, .from = (lowest), .to = (highest), \
	OPTION_FIELD(type, field, float: 4, double: 8)
#define CHOICE_OPTION(type, field, names) .kind = OPTION_CHOICE, .choices = (names), \
	OPTION_FIELD(type, field, int: 4, unsigned: 4)
#define TEXT_OPTION(type, field) .kind = OPTION_TEXT, OPTION_FIELD(type, field, const char *: sizeof(char *))
#define FILE_OPTION(type, field) .kind = OPTION_FILE, OPTION_FIELD(type, field, const char *: sizeof(char *))
#define JSON_OPTION(type, field) .kind = OPTION_JSON, OPTION_FIELD(type, field, const json_t *: sizeof(json_t *))
/* clang-format on */
#define OWN_OPTION(reader) .kind = OPTION_OWN, .read = (reader)
/* The text of a macro's number, for .fallback */
#define NUMBER_TEXT(macro) NUMBER_TEXT_OF(macro)
#define NUMBER_TEXT_OF(number) #number
#define SET_OPTION .kind = OPTION_SET
#define OPTIONS_TITLE(text) .kind = OPTION_TITLE, .help = (text)
#define INCLUDED_OPTIONS(type, field, rows) .kind = OPTION_INCLUDE, .offset = offsetof(type, field), .included = (rows)
#define OTHER_DEFAULT(value) .kind = OPTION_OTHER, .fallback = (value)
#define FIXED_OPTION(value) .kind = OPTION_FIXED, .fallback = (value)

/* For .derive: the default depends on data; whoever has them sets it. A real number is NaN until then. */
void option_depends(void *values);

/* A table with everything it includes in place, ended like any. To be freed. */
struct option *options_of(const struct option *table);
/* The row of this name, or of this key; NULL. Of flat tables, as all below but for options_read(). */
const struct option *option_named(const struct option *rows, const char *name);
const struct option *option_keyed(const struct option *rows, const char *key);
const char *option_key(const struct option *row);
/* "--learning-rate", or "--set norm" of a row without a name; to be freed. */
char *option_spelt(const struct option *row);
/* Where values come from that options gave, and no config.json: `where` for those who check them. */
#define OPTIONS_GIVEN "options"
/* Dies where the value of a key is no multiple of that of another, naming `where` and the keys, or the options. */
void option_require_multiple(const struct option *table, const char *where, const char *key, int64_t value,
	const char *of, int64_t unit);
bool option_takes_value(const struct option *row);
/* Whether it is a value, not a title or the like. */
bool option_is_value(const struct option *row);

/* Text as JSON; dies as wrong usage where it does not fit the row. `spelt` is what messages call the option. */
json_t *option_parse(const struct option *row, const char *spelt, const char *text);
/* The other way round, as the command line would have it; to be freed. */
char *option_text(const json_t *value);
/*
 * Fills the struct of a table, all 0 before, from an object: what is not there becomes its default, in the object too,
 * whose members are afterwards in the order of the rows. Dies where a value does not fit or a key is unknown: naming
 * `where`, or, where that is NULL, as wrong usage. Texts are borrowed from the object.
 */
void options_read(const struct option *table, json_t *object, void *values, const char *where);
/* A flag that is given, as JSON. */
json_t *option_flag(const struct option *row);
/*
 * Values of `base`, another object of the table, for what is not given: but not where that follows, by "=KEY", a value
 * that is given, or is for another one, by .only, than is given. What .derive made of the others of `base`, and makes
 * otherwise of those given, is kept where parameters have its shape, and derived anew for a new training.
 */
enum derived_values { DERIVED_ANEW, DERIVED_KEPT };
void options_inherit(const struct option *table, json_t *given, const json_t *base, enum derived_values derived);
/* What of a complete object decides the result; of files a fingerprint of their contents. */
json_t *options_identity(const struct option *table, const json_t *object);
/*
 * What of a complete object could have been given, and matters: without what has no effect, or the program alone sets.
 */
json_t *options_to_repeat(const struct option *table, const json_t *object);
/* Flat tables that go together, each with what was given of it, and what is so of the rest: NULL, the defaults. */
struct option_set {
	const struct option *rows;
	const json_t *given, *base;
	bool is_open; /* defaults may yet be others, and are not gone by */
};
/* Wrong usage where an option was given that its .only rules out, or that is more than its .at_most. */
void options_check(const struct option_set sets[], int n);
/* Whether its .only asks for rows that one of them has, or for nothing. */
bool option_has_use(const struct option *row, const struct option_set sets[], int n);
/* A row of .depends that was given and is not as in its base; NULL: there is none. */
const struct option *option_cause(const struct option *row, const struct option_set sets[], int n);

/*
 * For people, in 80 columns: the named rows under their titles; and, of rows that have a key alone, a list of the keys
 * with their defaults, added to.
 */
void options_print(const struct option *rows);
void options_list_keys(const struct option *rows, struct buffer *list);
/* The same for programs, a line each: name, letter, key, argument, choices, default and help, with tabs between. */
void options_print_rows(const struct option *rows);
/* Text in lines of at most 80 columns, all but the first indented; the first goes on from `column`. */
void write_wrapped(FILE *to, const char *text, int column, int indent);

/* The one of n words that was most likely meant; NULL where none is near. */
const char *nearest_word(const char *word, const char *const words[], int n);
/* "a,b" as a NULL-terminated list, without empty words; to be freed, in one piece. */
char **split_list(const char *text);
/* "a, b or c"; to be freed. */
char *list_words(const char *const words[], const char *last);

/* Wrong usage: one line "tool: ... (see tool --help)", exit 2. */
_Noreturn void die_usage(const char *format, ...) PRINTF_LIKE(1, 2);

#endif
