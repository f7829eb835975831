#include "rank/listing.h"

#include <stdlib.h>
#include <string.h>

#include "stream/json.h"

static const char *const format_names[] = {LISTING_FORMATS};

void listing_check(const struct listing *listing)
{
	for (int i = 0; listing->fields && listing->fields[i]; i++) {
		if (catalog_text(listing->catalog, 0, listing->fields[i]))
			continue;
		json_t *names = json_object_get(listing->catalog->group.meta, "attributes");
		char *known = names ? json_dumps(names, JSON_ENSURE_ASCII) : NULL;
		die("%s: catalog: no text called \"%s\"%s%s", group_source(&listing->catalog->group), listing->fields[i],
			known ? ", of the attributes " : "; seq-tokenize --items gives it", known ? known : "");
	}
}

/* An id with a separator inside would be read as something else. */
static const char *plain(const struct listing *listing, const char *id)
{
	const bool is_trec = listing->format >= LISTING_TREC;
	const char *separators = is_trec ? LISTING_BLANKS : "\t";
	if (!*id || id[strcspn(id, separators)])
		die("id \"%s\": --format %s cannot hold an id that is empty or has %s; json and csv can", id,
			format_names[listing->format], is_trec ? "blanks" : "tabs");
	return id;
}

static void quoted(FILE *file, const char *text)
{
	if (!text[strcspn(text, ",\"\r\n")]) {
		fputs(text, file);
		return;
	}
	fputc('"', file);
	for (; *text; text++) {
		if (*text == '"')
			fputc('"', file);
		fputc(*text, file);
	}
	fputc('"', file);
}

static const char *id_of(const struct listing *listing, int32_t item)
{
	return item < 0 ? "" : strings_at(&listing->catalog->item_id, item);
}

/* What a list says of each item itself, in one format or another: an attribute of such a name goes by another. */
static const char *const own_names[] = {"user", "to", "rank", "item", "score", "why", "why_1", "why_2"};

/* To be freed. */
static char *field_name(const char *attribute)
{
	for (size_t i = 0; i < COUNT_OF(own_names); i++)
		if (!strcmp(attribute, own_names[i]))
			return xasprintf("%s-2", attribute);
	return xstrdup(attribute);
}

void listing_begin(const struct listing *listing)
{
	if (listing->format != LISTING_CSV)
		return;
	fprintf(listing->file, "%s,rank,item,score", listing->whose);
	for (int i = 0; listing->fields && listing->fields[i]; i++) {
		fputc(',', listing->file);
		char *name = field_name(listing->fields[i]);
		quoted(listing->file, name);
		free(name);
	}
	fprintf(listing->file, "%s\n", listing->has_why ? ",why_1,why_2" : "");
}

/* --- a line for each item --- */

static void add_csv(const struct listing *listing, const char *id, int32_t rank, int32_t item, float score,
	const struct why *why)
{
	quoted(listing->file, id);
	fprintf(listing->file, ",%d,", rank);
	quoted(listing->file, id_of(listing, item));
	fprintf(listing->file, ",%.9g", score);
	for (int i = 0; listing->fields && listing->fields[i]; i++) {
		fputc(',', listing->file);
		quoted(listing->file, catalog_text(listing->catalog, item, listing->fields[i]));
	}
	for (int i = 0; why && i < WHY_ITEMS; i++) {
		fputc(',', listing->file);
		quoted(listing->file, id_of(listing, why->item[i]));
	}
	fputc('\n', listing->file);
}

static void add_tsv(const struct listing *listing, const char *id, int32_t rank, int32_t item, float score,
	const struct why *why)
{
	fprintf(listing->file, "%s\t%d\t%s\t%.9g", plain(listing, id), rank, plain(listing, id_of(listing, item)), score);
	for (int i = 0; listing->fields && listing->fields[i]; i++)
		fprintf(listing->file, "\t%s", catalog_text(listing->catalog, item, listing->fields[i]));
	for (int i = 0; why && i < WHY_ITEMS; i++)
		fprintf(listing->file, "\t%s", id_of(listing, why->item[i]));
	fputc('\n', listing->file);
}

/* --- a document for each list --- */

void listing_set_fields(const struct listing *listing, json_t *entry, int32_t item)
{
	for (int i = 0; listing->fields && listing->fields[i]; i++) {
		char *name = field_name(listing->fields[i]);
		json_set(entry, name, json_string(catalog_text(listing->catalog, item, listing->fields[i])));
		free(name);
	}
}

static json_t *entry_json(const struct listing *listing, int32_t rank, int32_t item, float score, const struct why *why)
{
	json_t *entry = json_build("{s:i, s:s, s:f}", "rank", rank, "item", id_of(listing, item), "score", (double)score);
	listing_set_fields(listing, entry, item);
	if (!why)
		return entry;
	json_t *items = json_array();
	for (int i = 0; i < WHY_ITEMS && why->item[i] >= 0; i++)
		json_append(items, json_string(id_of(listing, why->item[i])));
	json_set(entry, "why", items);
	return entry;
}

json_t *listing_json(const struct listing *listing, const int32_t *item, const float *score, int32_t k,
	const struct why *why)
{
	json_t *entries = json_array();
	for (int32_t i = 0; i < k && item[i] >= 0; i++)
		json_append(entries, entry_json(listing, i + 1, item[i], score[i], why ? why + i : NULL));
	return entries;
}

static void add_json(const struct listing *listing, const char *id, const int32_t *item, const float *score, int32_t k,
	const struct why *why)
{
	json_t *list = json_build("{s:s, s:o}", listing->whose, id, "items", listing_json(listing, item, score, k, why));
	json_dumpf(list, listing->file, JSON_REAL_PRECISION(9));
	fputc('\n', listing->file);
	json_decref(list);
}

void listing_add(const struct listing *listing, const char *id, const int32_t *item, const float *score, int32_t k,
	const struct why *why)
{
	if (listing->format == LISTING_JSON) {
		add_json(listing, id, item, score, k, why);
		return;
	}
	for (int32_t i = 0; i < k && item[i] >= 0; i++) {
		if (listing->format == LISTING_CSV)
			add_csv(listing, id, i + 1, item[i], score[i], why ? why + i : NULL);
		else if (listing->format == LISTING_TSV)
			add_tsv(listing, id, i + 1, item[i], score[i], why ? why + i : NULL);
		else
			fprintf(listing->file, "%s Q0 %s %d %.9g %s\n", plain(listing, id), plain(listing, id_of(listing, item[i])),
				i + 1, score[i], listing->run_name);
	}
}

void listing_target(const struct listing *listing, const char *id, int32_t item)
{
	fprintf(listing->file, "%s 0 %s 1\n", plain(listing, id), plain(listing, id_of(listing, item)));
}
