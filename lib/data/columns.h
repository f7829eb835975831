/*
 * Which column of a table is what: by the name that the caller gives, else by the usual names; and what else could be
 * meant, so that a choice is never silent.
 */
#ifndef RECPIPE_COLUMNS_H
#define RECPIPE_COLUMNS_H

#include "data/table.h"

enum role { ROLE_USER, ROLE_ITEM, ROLE_TIME, ROLE_RATING, ROLE_ITEM_ID, N_ROLES };

/* Column numbers by role; -1: none. */
struct columns {
	int of[N_ROLES];
	int history; /* of the items that the user met before the row's item (RecBole's item_id_list:token_seq); or -1 */
};

/*
 * Of a table of events: user and item are needed, time is not; the rating is looked for where a name is given or
 * need_rating is set. wanted: names by role, NULL: the first usual name that the table has. Dies where a column is
 * missing or is two things at once.
 */
void columns_of_events(const struct table *table, const char *const wanted[N_ROLES], bool need_rating,
	struct columns *columns);
/* Of a table of items: the column of their id, alone. */
void columns_of_items(const struct table *table, const char *const wanted[N_ROLES], struct columns *columns);

/* Of a table of items: what they are called, by the usual names of a title; -1: no column has one. */
int columns_title(const struct table *table);
/* Whether a column is called as that of a user usually is, which tables of events have. */
bool columns_have_user(const struct table *table);

/* Columns not taken that could be meant for the role, "session_id, visitor"; NULL: none. To be freed. */
char *columns_others(const struct table *table, const struct columns *columns, enum role role);
/* Whether a column not taken could be meant for the role. */
bool columns_may_be(const struct table *table, const struct columns *columns, int column, enum role role);
/* Whether a column not taken has a date in this row, as 2011-11-21 08:26, whatever its name. */
bool columns_left_date(const struct table *table, const struct columns *columns, int column);
/* "user is user_id (or session_id?), item is item_id, time is timestamp"; to be freed. */
char *columns_text(const struct table *table, const struct columns *columns);
/* Dies with "FILE: no WHAT; the columns are ...". */
_Noreturn void die_column(const struct table *table, const char *what);
/* "--user-column" */
const char *role_option(enum role role);
/* Whether two fields are names that the columns of a user and of an item usually have: a header line, not a row. */
bool columns_are_named(const char *user, const char *item);
/* Whether a field is a name that the column of an item's id usually has. */
bool columns_names_item(const char *item);

/* What programs print for a list: "[1, 2]", "['a']", "(3 4)"; "[unknown]" is none. */
bool is_printed_list(const char *text, size_t length);
/* Three codes or more with blanks between them, the same letters before their digits: "N55189 N42782 N34694". */
bool is_list_of_codes(const char *text);

#endif
