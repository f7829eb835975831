#include "data/columns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/times.h"

#define NAME_MAX_BYTES 64 /* of what can be a usual name */

/* By role. Case, blanks, '_' and '-' do not count in names. */
static const struct {
	const char *what, *option;
	const char *const *usual; /* earlier names win */
	/* Names with one of these inside may be meant, too: of ids where they end like one. */
	const char *const *stems;
	bool is_id;
} roles[N_ROLES] = {
	[ROLE_USER] = {"user", "--user-column",
		(const char *const[]){"userid", "user", "uid", "customerid", "customer", "reviewerid", "reviewer", "visitorid",
			"accountid", "memberid", "clientid", "profileid", "playerid", "steamid", "visitor", "viewerid", "sessionid",
			"session", NULL},
		(const char *const[]){"user", "customer", "reviewer", "visitor", "account", "member", "client", "profile",
			"player", "session", "buyer", "person", "cookie", "device", "household", NULL},
		true},
	[ROLE_ITEM] = {"item", "--item-column",
		(const char *const[]){"itemid", "item", "iid", "parentasin", "asin", "movieid", "movie", "productid", "product",
			"sku", "isbn", "bookid", "articleid", "newsid", "trackid", "songid", "artistid", "videoid", "businessid",
			"gmapid", "gameid", "stockcode", "contentid", "aid", "goodsid", "recipeid", "animeid", "poiid", "venueid",
			"locationid", "jobid", "courseid", NULL},
		(const char *const[]){"item", "asin", "movie", "product", "sku", "isbn", "book", "article", "news", "track",
			"song", "artist", "album", "video", "business", "game", "stock", "content", "offer", "listing", "venue",
			"recipe", "poi", NULL},
		true},
	[ROLE_TIME] = {"time", "--time-column",
		(const char *const[]){"timestamp", "time", "unixreviewtime", "unixtime", "datetime", "date", "eventtime",
			"eventdate", "createdat", "reviewtime", "invoicedate", "tdat", "ts", "timems", "dateadded",
			"eventtimestamp", "reviewdate", "checkintime", "playedat", "purchasedate", "orderdate", "clicktime", NULL},
		(const char *const[]){"time", "date", "stamp", "created", NULL}, false},
	[ROLE_RATING] = {"rating", "--rating-column",
		(const char *const[]){"rating", "overall", "stars", "starrating", "score", "ratings", "reviewrating",
			"bookrating", NULL},
		(const char *const[]){NULL}, false},
	/* in a table of their own; among events "id" numbers rows */
	[ROLE_ITEM_ID] = {"item id", "--item-id-column", NULL, NULL, true},
};

const char *role_option(enum role role)
{
	return roles[role].option;
}

void die_column(const struct table *table, const char *what)
{
	die("%s: no %s; the columns are %s", table_name(table), what, table_column_list(table));
}

/* --- names --- */

/* In small letters, without blanks, '_' and '-', and without a type of RecBole's or a byte order mark. */
static void plain_name(const char *name, char plain[NAME_MAX_BYTES])
{
	size_t length = 0;
	if (!strncmp(name, "\xef\xbb\xbf", 3))
		name += 3;
	for (; *name && *name != ':' && length < NAME_MAX_BYTES - 1; name++)
		if (!strchr(" _-", *name))
			plain[length++] = *name >= 'A' && *name <= 'Z' ? (char)(*name + 32) : *name;
	plain[length] = '\0';
}

/* Which of the names; -1: none. */
static int index_of(const char *const names[], const char *plain)
{
	for (int i = 0; names[i]; i++)
		if (!strcmp(names[i], plain))
			return i;
	return -1;
}

/* The column with the earliest of the names; sequences: also one of RecBole's lists, which a text's words are, too. */
static int find_usual(const struct table *table, const char *const names[], bool sequences)
{
	int found = -1, best = INT32_MAX;
	for (int column = 0; column < table_columns(table); column++) {
		char plain[NAME_MAX_BYTES];
		plain_name(table_column(table, column), plain);
		int rank = !sequences && table_is_sequence(table, column) ? -1 : index_of(names, plain);
		if (rank >= 0 && rank < best) {
			best = rank;
			found = column;
		}
	}
	return found;
}

/* The same, of a name that no other column has. */
static int find_only(const struct table *table, const char *const names[])
{
	const int found = find_usual(table, names, false);
	return found < 0 ? found : table_find(table, table_column(table, found));
}

bool columns_have_user(const struct table *table)
{
	return find_usual(table, roles[ROLE_USER].usual, false) >= 0;
}

int columns_title(const struct table *table)
{
	static const char *const names[] = {"title", "itemtitle", "producttitle", "movietitle", "booktitle", "name",
		"itemname", "productname", "moviename", "titel", "titre", "titulo", "t\xc3\xadtulo", "titolo", NULL};
	return find_usual(table, names, true);
}

static bool ends_like_id(const char *plain)
{
	static const char *const ends[] = {"id", "code", "key", "no", "nr", "number", "num", "hash", "uuid", "sku"};
	size_t length = strlen(plain);
	for (size_t i = 0; i < COUNT_OF(ends); i++)
		if (length > strlen(ends[i]) && !strcmp(plain + length - strlen(ends[i]), ends[i]))
			return true;
	return false;
}

static bool may_be(const char *plain, enum role role)
{
	if (index_of(roles[role].usual, plain) >= 0)
		return true;
	for (int i = 0; roles[role].stems[i]; i++)
		if (strstr(plain, roles[role].stems[i]))
			return !roles[role].is_id || !strcmp(plain, roles[role].stems[i]) || ends_like_id(plain);
	return false;
}

bool columns_names_item(const char *item)
{
	char name[NAME_MAX_BYTES];
	plain_name(item, name);
	return index_of(roles[ROLE_ITEM].usual, name) >= 0 || !strcmp(name, "id");
}

bool columns_are_named(const char *user, const char *item)
{
	char names[2][NAME_MAX_BYTES];
	if (strpbrk(user, "0123456789") || strpbrk(item, "0123456789")) /* most ids have digits, no usual name does */
		return false;
	plain_name(user, names[0]);
	plain_name(item, names[1]);
	for (int swapped = 0; swapped < 2; swapped++)
		if (index_of(roles[ROLE_USER].usual, names[swapped]) >= 0 &&
			index_of(roles[ROLE_ITEM].usual, names[!swapped]) >= 0)
			return true;
	return false;
}

/* --- values --- */

bool is_printed_list(const char *text, size_t length)
{
	if (length < 3 || !((*text == '[' && text[length - 1] == ']') || (*text == '(' && text[length - 1] == ')')))
		return false;
	return strspn(text + 1, "0123456789. ") == length - 2 || strpbrk(text, ",'\"");
}

bool is_list_of_codes(const char *text)
{
	size_t letters = strcspn(text, "0123456789 ");
	int count = 0;
	for (const char *code = text; *code; count++) {
		if (strncmp(code, text, letters))
			return false;
		size_t digits = strspn(code + letters, "0123456789-");
		if (!digits || (code[letters + digits] && code[letters + digits] != ' '))
			return false;
		code += letters + digits;
		code += *code == ' ';
	}
	return count >= 3;
}

/* --- what is told --- */

static bool is_taken(const struct columns *columns, int column)
{
	for (enum role role = 0; role < N_ROLES; role++)
		if (columns->of[role] == column)
			return true;
	return columns->history == column;
}

bool columns_may_be(const struct table *table, const struct columns *columns, int column, enum role role)
{
	char plain[NAME_MAX_BYTES];
	plain_name(table_column(table, column), plain);
	return !is_taken(columns, column) && !table_is_sequence(table, column) && may_be(plain, role);
}

static bool is_date(const char *text)
{
	struct time time;
	/* a number may begin with a sign */
	return *text && strpbrk(text + 1, "-/") && parse_time(text, &time, NULL);
}

bool columns_left_date(const struct table *table, const struct columns *columns, int column)
{
	return !is_taken(columns, column) && *table_column(table, column) && is_date(table_field(table, column, NULL));
}

char *columns_others(const struct table *table, const struct columns *columns, enum role role)
{
	struct buffer list = {0};
	for (int column = 0; column < table_columns(table); column++) {
		if (!columns_may_be(table, columns, column, role))
			continue;
		buffer_append(&list, ", ", list.size ? 2 : 0);
		buffer_append(&list, table_column(table, column), strlen(table_column(table, column)));
	}
	if (list.size)
		buffer_append(&list, "", 1);
	return list.data;
}

char *columns_text(const struct table *table, const struct columns *columns)
{
	struct buffer text = {0};
	for (enum role role = ROLE_USER; role <= ROLE_RATING; role++) {
		if (columns->of[role] < 0)
			continue;
		char *others = columns_others(table, columns, role);
		char *part = xasprintf("%s%s is %s%s%s%s", text.size ? ", " : "", roles[role].what,
			table_column(table, columns->of[role]), others ? " (or " : "", others ? others : "", others ? "?)" : "");
		buffer_append(&text, part, strlen(part));
		free(others);
		free(part);
	}
	if (columns->history >= 0) {
		char *part = xasprintf(", items before it are %s", table_column(table, columns->history));
		buffer_append(&text, part, strlen(part));
		free(part);
	}
	if (columns->of[ROLE_TIME] < 0)
		buffer_append(&text, ", no time", 9);
	buffer_append(&text, "", 1);
	return text.data;
}

/* --- choice --- */

/* Which of the first line's fields is a time: a date, else the last number of the size that times have. -1: none. */
static int guess_time(const struct table *table)
{
	int found = -1;
	for (int column = 0; column < table_columns(table); column++) {
		struct time time;
		enum time_unit unit;
		const char *text = table_column(table, column);
		if (is_date(text))
			return column;
		if (parse_time(text, &time, &unit) && unit && column > 1)
			found = column;
	}
	return found;
}

/* What the columns of a file without names may be called, "user,item,rating,time"; to be freed. */
static char *guess_names(const struct table *table)
{
	static const char *const rest[] = {"user", "item", "rating"};
	struct buffer names = {0};
	int time = guess_time(table), used = 0;
	for (int column = 0; column < table_columns(table); column++) {
		bool is_rating = used == 2 && column + 1 == time && strlen(table_column(table, column)) < 4;
		const char *name = column == time ? "time" : used < 2 || is_rating ? rest[used++] : "-";
		buffer_append(&names, ",", column ? 1 : 0);
		buffer_append(&names, name, strlen(name));
	}
	buffer_append(&names, "", 1);
	return names.data;
}

/* "; column 3 is a list ..." of a first line that is an event; to be freed. */
static char *told_list(const struct table *table)
{
	for (int column = 0; column < table_columns(table); column++) {
		const char *text = table_column(table, column);
		if (is_list_of_codes(text) || is_printed_list(text, strlen(text)))
			return xasprintf("; column %d is a list, a row for each event was expected", column + 1);
	}
	return xstrdup("");
}

static _Noreturn void die_without_names(const struct table *table, const char *more, const char *option,
	const char *names)
{
	die("%s: the first line should name the columns, and has %s%s; where no line does: %s %s, in their order "
		"(- for what does not count)",
		table_name(table), table_column_list(table), more, option, names);
}

static void require_table(const struct table *table, const char *what, const char *names, const char *row)
{
	const char *doubt = table_doubt(table);
	if (doubt)
		die("%s: this does not look like a table of %s, for %s; a first line that names the columns, as \"%s\", and a "
			"row for each %s were expected, as CSV, TSV or JSON lines",
			table_name(table), what, doubt, names, row);
}

static int wanted_column(const struct table *table, const char *name, enum role role)
{
	int column = table_find(table, name);
	if (column < 0)
		die_column(table, xasprintf("column %s (the %s)", name, roles[role].what));
	return column;
}

static int find_column(const struct table *table, const char *wanted, enum role role)
{
	return wanted ? wanted_column(table, wanted, role) : find_only(table, roles[role].usual);
}

/* RecBole's list of the items met before: the item column's name and "list". */
static int find_history(const struct table *table, int item)
{
	char plain[NAME_MAX_BYTES], of_item[NAME_MAX_BYTES];
	plain_name(table_column(table, item), of_item);
	for (int column = 0; column < table_columns(table); column++) {
		plain_name(table_column(table, column), plain);
		size_t length = strlen(of_item);
		if (table_is_sequence(table, column) && !strncmp(plain, of_item, length) && !strcmp(plain + length, "list"))
			return column;
	}
	return -1;
}

/* "item_ids": by its name a column of lists; NULL: none. */
static const char *name_of_lists(const struct table *table)
{
	static const char *const names[] = {"items", "itemids", "itemlist", "itemidlist", "history", "sequence", "events",
		"itemsequence", "session items", "products", "clicks"};
	for (int column = 0; column < table_columns(table); column++) {
		char plain[NAME_MAX_BYTES];
		plain_name(table_column(table, column), plain);
		for (size_t i = 0; i < COUNT_OF(names); i++)
			if (!strcmp(plain, names[i]))
				return table_column(table, column);
	}
	return NULL;
}

static _Noreturn void die_unnamed(const struct table *table, const struct columns *columns, enum role role)
{
	require_table(table, "events", "user_id,item_id,timestamp", "event");
	if (table_header_is_data(table))
		die_without_names(table, told_list(table), "--columns", guess_names(table));
	char *others = columns_others(table, columns, role);
	const char *lists = role == ROLE_ITEM && !others ? name_of_lists(table) : NULL;
	char *more = others ? xasprintf("; is it %s?", others) :
		lists           ? xasprintf("; %s has lists? a row for each event was expected", lists) :
						  xstrdup("");
	die_column(table,
		xasprintf("%s column by a usual name (name it with %s%s)", roles[role].what, roles[role].option, more));
}

static void need_column(const struct table *table, const char *wanted, enum role role, struct columns *columns)
{
	columns->of[role] = find_column(table, wanted, role);
	if (columns->of[role] < 0)
		die_unnamed(table, columns, role);
}

void columns_of_events(const struct table *table, const char *const wanted[N_ROLES], bool need_rating,
	struct columns *columns)
{
	int *of = columns->of;
	*columns = (struct columns){.of = {-1, -1, -1, -1, -1}, .history = -1};
	need_column(table, wanted[ROLE_USER], ROLE_USER, columns);
	need_column(table, wanted[ROLE_ITEM], ROLE_ITEM, columns);
	of[ROLE_TIME] = find_column(table, wanted[ROLE_TIME], ROLE_TIME);
	if (need_rating || wanted[ROLE_RATING])
		need_column(table, wanted[ROLE_RATING], ROLE_RATING, columns);
	for (enum role a = ROLE_USER; a < N_ROLES; a++)
		for (enum role b = a + 1; b < N_ROLES; b++)
			if (of[a] >= 0 && of[a] == of[b])
				die("%s: column %s cannot be two things at once", table_name(table), table_column(table, of[a]));
	columns->history = find_history(table, of[ROLE_ITEM]);
	if (table_is_sequence(table, of[ROLE_ITEM]) || table_is_sequence(table, of[ROLE_USER]))
		die("%s: column %s holds lists (token_seq), one user and one item a row were expected", table_name(table),
			table_column(table, of[table_is_sequence(table, of[ROLE_ITEM]) ? ROLE_ITEM : ROLE_USER]));
}

void columns_of_items(const struct table *table, const char *const wanted[N_ROLES], struct columns *columns)
{
	const char *name = wanted[ROLE_ITEM_ID];
	*columns = (struct columns){.of = {-1, -1, -1, -1, -1}, .history = -1};
	int id = name ? wanted_column(table, name, ROLE_ITEM_ID) : find_only(table, roles[ROLE_ITEM].usual);
	if (id < 0)
		id = find_only(table, (const char *const[]){"id", NULL});
	if (id < 0)
		require_table(table, "items", "item_id,title", "item");
	if (id < 0 && table_header_is_data(table))
		die_without_names(table, "", "--items-columns", table_columns(table) > 2 ? "item,title,..." : "item,title");
	if (id < 0)
		die_column(table, "item id column by a usual name (name it with --item-id-column)");
	columns->of[ROLE_ITEM_ID] = id;
}
