#include "data/times.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NANOSECONDS 1000000000
#define YEAR_2100 INT64_C(4102444800)

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* --- numbers --- */

static const struct {
	const char *name, *format;
	int64_t a_second, from; /* the smallest number taken for this unit */
} units[] = {
	[UNIT_UNKNOWN] = {"seconds", "", 1, 0},
	[UNIT_SECONDS] = {"seconds", "s", 1, 100000000},
	[UNIT_MILLISECONDS] = {"milliseconds", "ms", 1000, INT64_C(100000000000)},
	[UNIT_MICROSECONDS] = {"microseconds", "us", 1000000, INT64_C(100000000000000)},
	[UNIT_NANOSECONDS] = {"nanoseconds", "ns", NANOSECONDS, INT64_C(100000000000000000)},
};

static enum time_unit unit_of(double number)
{
	enum time_unit unit = UNIT_NANOSECONDS;
	while (unit > UNIT_UNKNOWN && fabs(number) < (double)units[unit].from)
		unit--;
	return unit;
}

static void whole_time(int64_t number, enum time_unit unit, struct time *time)
{
	int64_t a_second = units[unit].a_second;
	if (a_second == 1) { /* as nearly all are: divisions take longer than the digits do */
		*time = (struct time){number, 0};
		return;
	}
	int64_t rest = number % a_second;
	time->seconds = number / a_second - (rest < 0);
	time->nanoseconds = (uint32_t)((rest < 0 ? rest + a_second : rest) * (NANOSECONDS / a_second));
}

/* unit: of the number; UNIT_UNKNOWN: by its size, and then which. */
static bool parse_number(const char *text, struct time *time, enum time_unit *unit)
{
	int64_t whole;
	double value;
	bool by_size = *unit == UNIT_UNKNOWN;
	if (parse_int(text, INT64_MIN + 1, INT64_MAX, &whole)) {
		if (by_size)
			*unit = unit_of((double)whole);
		whole_time(whole, *unit, time);
		return true;
	}
	if (!parse_float(text, -9e18, 9e18, &value))
		return false;
	if (by_size)
		*unit = unit_of(value);
	value /= (double)units[*unit].a_second;
	time->seconds = (int64_t)floor(value);
	time->nanoseconds = (uint32_t)((value - floor(value)) * 1e9);
	return true;
}

/* --- dates --- */

static bool parse_fraction(const char **text, uint32_t *nanoseconds)
{
	uint32_t unit = NANOSECONDS / 10;
	const char *digit = *text;
	*nanoseconds = 0;
	for (; is_digit(*digit); digit++, unit /= 10)
		*nanoseconds += unit * (uint32_t)(*digit - '0');
	bool any = digit > *text;
	*text = digit;
	return any;
}

/* Z, UTC, GMT, +hh, +hhmm or +hh:mm, a blank before them or not; moves on behind it. */
static bool parse_zone(const char **text, int64_t *seconds)
{
	static const char *const names[] = {"UTC", "GMT", "UT", "Z", "z"};
	const char *at = *text + (**text == ' ');
	*seconds = 0;
	for (size_t i = 0; i < COUNT_OF(names); i++)
		if (!strncmp(at, names[i], strlen(names[i]))) {
			*text = at + strlen(names[i]);
			return true;
		}
	if ((*at != '+' && *at != '-') || !is_digit(at[1]) || !is_digit(at[2]))
		return false;
	int hours = (at[1] - '0') * 10 + at[2] - '0', minutes = 0;
	const char *rest = at + 3 + (at[3] == ':');
	if (is_digit(rest[0]) && is_digit(rest[1])) {
		minutes = (rest[0] - '0') * 10 + rest[1] - '0';
		rest += 2;
	} else if (rest > at + 3) {
		return false;
	}
	*seconds = (*at == '-' ? -60 : 60) * (int64_t)(hours * 60 + minutes);
	*text = rest;
	return hours < 24 && minutes < 60;
}

/* Seconds since 1970 of a date in UTC; timegm() reads 30 February as 2 March: false. */
static bool date_seconds(const struct tm *date, int64_t *seconds)
{
	struct tm normal = *date;
	normal.tm_hour = normal.tm_min = normal.tm_sec = 0;
	*seconds = (int64_t)timegm(&normal) + date->tm_hour * 3600 + date->tm_min * 60 + date->tm_sec;
	return normal.tm_mday == date->tm_mday && normal.tm_mon == date->tm_mon;
}

/* hh:mm, hh:mm:ss, hh:mm:ss.5; 24:00:00 */
static const char *parse_clock(const char *text, struct tm *date, uint32_t *nanoseconds)
{
	bool ends_day = !strncmp(text, "24:00", 5);
	const char *rest = ends_day ? text + 5 : strptime(text, "%H:%M", date);
	if (ends_day)
		date->tm_hour = 24;
	if (!rest || *rest != ':')
		return rest;
	rest = strptime(rest, ":%S", date);
	if (!rest || (ends_day && date->tm_sec))
		return NULL;
	if ((*rest == '.' || *rest == ',') && (rest++, !parse_fraction(&rest, nanoseconds)))
		return NULL;
	return ends_day && *nanoseconds ? NULL : rest;
}

static bool parse_iso8601(const char *text, struct time *time)
{
	struct tm date = {0};
	if (strspn(text, "0123456789") != 4 || (text[4] != '-' && text[4] != '/'))
		return false;
	const char *rest = strptime(text, text[4] == '-' ? "%Y-%m-%d" : "%Y/%m/%d", &date);
	if (rest && (*rest == 'T' || (*rest == ' ' && is_digit(rest[1]))))
		rest = parse_clock(rest + 1, &date, &time->nanoseconds);
	int64_t zone = 0;
	if (!rest || (*rest && (!parse_zone(&rest, &zone) || *rest)))
		return false;
	bool exists = date_seconds(&date, &time->seconds);
	time->seconds -= zone;
	return exists;
}

bool parse_time(const char *text, struct time *time, enum time_unit *unit)
{
	enum time_unit of_number = UNIT_UNKNOWN;
	*time = (struct time){0};
	if (!*text || *text == ' ' || *text == '\t')
		return false;
	bool is_number = parse_number(text, time, &of_number);
	if (unit)
		*unit = is_number ? of_number : UNIT_SECONDS;
	if (is_number)
		return true;
	*time = (struct time){0};
	return parse_iso8601(text, time);
}

/* --- dates in a given form --- */

static enum time_unit unit_named(const char *format)
{
	for (enum time_unit unit = UNIT_SECONDS; unit <= UNIT_NANOSECONDS; unit++)
		if (!strcmp(format, units[unit].format))
			return unit;
	return UNIT_UNKNOWN;
}

/* The first of %f, %z and %Z; or NULL. */
static const char *find_special(const char *format)
{
	for (const char *percent = format; (percent = strchr(percent, '%')) && percent[1]; percent += 2)
		if (strchr("fzZ", percent[1]))
			return percent;
	return NULL;
}

/* The letters of a form's conversions, without the flags that may stand before them. To be freed. */
static char *conversions_of(const char *format)
{
	char *letters = xcalloc(strlen(format) + 1, 1), *end = letters;
	for (const char *percent = format; (percent = strchr(percent, '%')) && percent[1]; percent++) {
		percent += 1 + strspn(percent + 1, "-_0^#EO");
		if (!*percent)
			break;
		*end++ = *percent;
	}
	return letters;
}

/*
 * Forms that strptime() takes, and by which it would silently read another time than the text's: those with one of
 * `any` (NULL: each form) and none of `beside`.
 */
static const struct {
	const char *any, *beside, *problem;
} form_rules[] = {
	{"s", "", "%s is written s"},
	{"GgV", "", "ISO weeks (%G, %V) are not read"},
	{NULL, "YyDFcx", "s, ms, us, ns or a form of strptime with a year, like %Y%m%d, was expected"},
	{"de", "mbBhDFcx", "a day needs a month beside it, %m or %b (%M are minutes)"},
	{"M", "HkIlrRTcX", "%M are minutes, and need an hour beside them (months are %m)"},
	{"UW", "aAuw", "%U and %W need a day of the week beside them, %u or %a"},
	{"p", "Il", "%p goes with an hour to 12, %I (%H are those to 24)"},
	{"Il", "p", "%I needs %p beside it (hours to 24 are %H)"},
};

const char *time_format_problem(const char *format)
{
	if (unit_named(format))
		return NULL;
	char *letters = conversions_of(format);
	const char *problem = NULL;
	for (size_t i = 0; i < COUNT_OF(form_rules) && !problem; i++)
		if ((!form_rules[i].any || strpbrk(letters, form_rules[i].any)) && !strpbrk(letters, form_rules[i].beside))
			problem = form_rules[i].problem;
	for (const char *letter = letters; *letter && !problem; letter++)
		if (!strchr("%nt", *letter) && strchr(letter + 1, *letter))
			problem = *letter == 'm' ? "%m is there twice (minutes are %M)" : "the same conversion is there twice";
	free(letters);
	return problem;
}

/*
 * strptime() knows no decimals, and does nothing about zones: these are read and cut out of both texts, so that it
 * reads the rest in one go.
 */
static bool cut_special(char *format, char *text, struct time *time, int64_t *zone)
{
	for (char *special; (special = (char *)(uintptr_t)find_special(format));) {
		struct tm ignored = {0};
		bool is_fraction = special[1] == 'f';
		*special = '\0';
		char *at = *format ? strptime(text, format, &ignored) : text;
		const char *end = at;
		if (!at || !(is_fraction ? parse_fraction(&end, &time->nanoseconds) : parse_zone(&end, zone)))
			return false;
		memmove(at, end, strlen(end) + 1);
		memmove(special, special + 2, strlen(special + 2) + 1);
	}
	return true;
}

bool parse_time_as(const char *format, const char *text, struct time *time)
{
	enum time_unit unit = unit_named(format);
	*time = (struct time){0};
	if (unit)
		return *text && *text != ' ' && parse_number(text, time, &unit);
	char *form = xstrdup(format), *left = xstrdup(text);
	struct tm date = {.tm_mday = 1};
	int64_t zone = 0;
	bool good = cut_special(form, left, time, &zone);
	const char *end = good ? strptime(left, form, &date) : NULL;
	good = end && !*end && date_seconds(&date, &time->seconds);
	time->seconds -= zone;
	free(form);
	free(left);
	return good;
}

/* --- a column --- */

/*
 * Whether a number's digits are a date of 1900 to 2099, with or
 * without hours, minutes and seconds: 20191001, 201910011530.
 */
static bool is_compact_date(const char *text, size_t length)
{
	static const int most[] = {12, 31, 23, 59, 59};
	if (length < 8 || length > 14 || length % 2 || (strncmp(text, "19", 2) && strncmp(text, "20", 2)))
		return false;
	if (strspn(text, "0123456789") != length)
		return false;
	for (size_t i = 4; i < length; i += 2) {
		int value = (text[i] - '0') * 10 + text[i + 1] - '0';
		if (value > most[i / 2 - 2] || (i < 8 && !value))
			return false;
	}
	return true;
}

/* The form of a date such as "10/1/2019 8:26 AM", with the day or the month first; NULL: no such date. To be freed. */
static char *form_of_date(const char *text, bool day_first)
{
	size_t first = strspn(text, "0123456789");
	char border = text[first];
	const char *second = text + first + 1;
	size_t length = border ? strspn(second, "0123456789") : 0;
	if (!first || first > 2 || !length || length > 2 || !strchr("/.-", border) || second[length] != border)
		return NULL;
	const char *year = second + length + 1;
	size_t digits = strspn(year, "0123456789");
	if (digits != 2 && digits != 4)
		return NULL;
	const char *rest = year + digits;
	int colons = 0;
	for (const char *byte = rest; *byte; byte++)
		colons += *byte == ':';
	bool halves = strpbrk(rest, "AaPp") != NULL;
	return xasprintf("%%%c%c%%%c%c%%%c%s%s%s", day_first ? 'd' : 'm', border, day_first ? 'm' : 'd', border,
		digits == 4 ? 'Y' : 'y', colons ? halves ? " %I:%M" : " %H:%M" : "", colons > 1 ? ":%S" : "",
		colons && halves ? " %p" : "");
}

/* With names of months: as Goodreads and Twitter have it, C's ctime(), mails, people; and Amazon's reviewTime. */
static const char *const common_forms[] = {"%a %b %d %H:%M:%S %z %Y", "%a %b %d %H:%M:%S %Y",
	"%a, %d %b %Y %H:%M:%S %z", "%b %d, %Y %I:%M:%S %p", "%b %d, %Y %H:%M:%S", "%b %d, %Y", "%b %d %Y",
	"%d %b %Y %H:%M:%S", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%m %d, %Y", "%Y.%m.%d %H:%M:%S", "%Y.%m.%d"};

static char *guess_common_form(const char *text)
{
	struct time time;
	for (size_t i = 0; i < COUNT_OF(common_forms); i++)
		if (parse_time_as(common_forms[i], text, &time))
			return xasprintf("--time-format '%s'?", common_forms[i]);
	return NULL;
}

/* The form, or the two, by which a date that is not read could be. NULL: no idea. To be freed. */
static char *guess_formats(const char *text)
{
	char *form[2];
	bool reads[2];
	struct time time;
	for (int day_first = 0; day_first < 2; day_first++) {
		form[day_first] = form_of_date(text, day_first);
		reads[day_first] = form[day_first] && parse_time_as(form[day_first], text, &time);
	}
	char *guess = reads[0] || reads[1] ? NULL : guess_common_form(text);
	if (reads[0] && reads[1])
		guess = xasprintf("--time-format '%s' or '%s'?", form[0], form[1]);
	else if (reads[0] || reads[1])
		guess = xasprintf("--time-format '%s'?", form[reads[1]]);
	free(form[0]);
	free(form[1]);
	return guess;
}

static void reject_text(const struct time_column *times, struct table *table, int column)
{
	/* where no time was read before, it is rather the form of them all */
	bool may_be_cut = table_open_end(table) && column == table_columns(table) - 1 && times->shortest;
	const char *text = table_field(table, column, NULL);
	char *formats = guess_formats(text), *problem;
	if (may_be_cut)
		problem = xstrdup("a time was expected, and the file ends in this line: cut off?");
	else if (times->format)
		problem = xasprintf("a time was expected, in the form %s", times->format);
	else if (formats)
		problem = xasprintf("a time was expected; is it %s", formats);
	else if (strchr(text, ':') && !text[strspn(text, "0123456789:.")])
		problem = xstrdup("a time of day alone, a date with it was expected, in one column (--time-column)");
	else
		problem = xstrdup("a time was expected, in seconds or as 2011-11-21T08:26:00 (others: --time-format)");
	table_reject(table, column, problem);
	free(problem);
	free(formats);
}

static char *place(const struct table *table)
{
	return xasprintf("line %lld of %s", (long long)table_line(table), table_name(table));
}

/* False: the unit is not that of the times before. */
static bool same_unit(struct time_column *times, struct table *table, int column, enum time_unit unit)
{
	if (!times->unit) {
		times->unit = unit;
		times->first = place(table);
	}
	if (times->unit == unit)
		return true;
	char *problem = xasprintf("two units of time: %s, but %s has %s (--time-format says which it is)", units[unit].name,
		times->first, units[times->unit].name);
	table_reject(table, column, problem);
	free(problem);
	return false;
}

static void note_compact(struct time_column *times, const struct table *table, const char *text, size_t length)
{
	times->n_numbers++;
	if (!is_compact_date(text, length))
		return;
	if (!times->n_compact++) {
		times->compact_line = table_line(table);
		times->compact = xstrdup(text);
	}
}

/* The last line of a file that was cut off has digits less than others. */
static bool is_cut(const struct time_column *times, const struct table *table, int column, size_t length)
{
	return table_open_end(table) && column == table_columns(table) - 1 && length < times->shortest;
}

static void count_odd(struct odd_times *odd, const struct table *table, const char *text)
{
	if (odd->n++)
		return;
	char *where = place(table);
	odd->first = xasprintf("%s: '%s'", where, text);
	free(where);
}

bool time_column_read(struct time_column *times, struct table *table, int column, struct time *time)
{
	size_t length;
	enum time_unit unit = UNIT_UNKNOWN;
	const char *text = table_field(table, column, &length);
	if (!(times->format ? parse_time_as(times->format, text, time) : parse_time(text, time, &unit))) {
		reject_text(times, table, column);
		return false;
	}
	if (unit && unit != times->unit && !same_unit(times, table, column, unit))
		return false;
	if (is_cut(times, table, column, length)) {
		table_reject(table, column,
			"shorter than every time before, and the file ends in this line: cut off? a line break behind it says that "
			"it is whole");
		return false;
	}
	if (!times->shortest || length < times->shortest)
		times->shortest = length;
	if (!times->format && is_digit(text[length - 1]) && (length < 5 || is_digit(text[4])))
		note_compact(times, table, text, length);
	if (time->seconds < 0)
		count_odd(&times->before_1970, table, text);
	else if (time->seconds >= YEAR_2100)
		count_odd(&times->from_2100, table, text);
	times->of_day |= time->nanoseconds || time->seconds % 86400;
	times->n_times++;
	return true;
}

void time_column_end_table(struct time_column *times, const struct table *table, int column)
{
	int64_t number;
	if (times->n_compact && times->n_compact * 10 >= times->n_numbers * 9 &&
		parse_int(times->compact, 0, INT64_MAX, &number)) {
		static const char *const parts[] = {"", "%H", "%H%M", "%H%M%S"};
		die("%s: line %lld, column %s: '%s': a date, or a number of %s? --time-format %%Y%%m%%d%s or --time-format %s",
			table_name(table), (long long)times->compact_line, table_column(table, column), times->compact,
			units[unit_of((double)number)].name, parts[strlen(times->compact) / 2 - 4],
			units[unit_of((double)number)].format[0] ? units[unit_of((double)number)].format : "s");
	}
	free(times->compact);
	times->compact = NULL;
	times->n_numbers = times->n_compact = 0;
	times->shortest = 0;
}

const char *time_column_unit(const struct time_column *times)
{
	return !times->format && times->unit > UNIT_SECONDS ? units[times->unit].name : NULL;
}

bool time_column_is_number(const struct time_column *times)
{
	return times->format ? unit_named(times->format) != UNIT_UNKNOWN : times->n_numbers > 0;
}

void time_column_free(struct time_column *times)
{
	free(times->first);
	free(times->before_1970.first);
	free(times->from_2100.first);
	free(times->compact);
	*times = (struct time_column){0};
}
