#include "rank/endpoints.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- what is served --- */

static char **attribute_names(const struct catalog *catalog)
{
	const json_t *names = json_object_get(catalog->group.meta, "attributes");
	const size_t n = catalog->text ? json_array_size(names) : 0;
	char **list = xcalloc(n + 1, sizeof *list);
	for (size_t i = 0; i < n; i++)
		list[i] = xstrdup(json_string_value(json_array_get(names, i)));
	return list;
}

struct holding *holding_new(struct served *served)
{
	struct holding *holding = xcalloc(1, sizeof *holding);
	holding->served = served;
	holding->similar = similar_new(&served->advisor);
	holding->attributes = attribute_names(served->advisor.catalog);
	holding->finder = item_finder_new(served->advisor.catalog, holding->attributes);
	return holding;
}

void holding_free(struct holding *holding)
{
	similar_free(holding->similar);
	item_finder_free(holding->finder);
	for (char **name = holding->attributes; *name; name++)
		free(*name);
	free(holding->attributes);
	holding->served->free(holding->served);
	free(holding);
}

/* --- what the questions have in common --- */

/* One question, from its JSON to its reply. */
struct asking {
	struct endpoints *endpoints;
	struct holding *holding;
	const struct advisor *advisor;
	const json_t *json;
	struct http_reply *reply;
	struct listing listing;
	const char **fields; /* NULL-terminated; those of the catalog's attributes that are asked for */
	struct answer answer;
};

static struct asking asking_begin(struct endpoints *endpoints, const json_t *json, struct http_reply *reply)
{
	struct asking asking = {.endpoints = endpoints, .json = json, .reply = reply};
	asking.holding = endpoints->take(endpoints);
	asking.advisor = &asking.holding->served->advisor;
	asking.listing = (struct listing){
		.format = LISTING_JSON,
		.catalog = asking.advisor->catalog,
		.fields = asking.holding->served->fields,
	};
	snprintf(reply->model, sizeof reply->model, "%s", asking.holding->served->model_id);
	return asking;
}

static void asking_end(struct asking *asking)
{
	answer_free(&asking->answer);
	free(asking->fields);
	asking->endpoints->put_back(asking->endpoints, asking->holding);
}

static const char *attribute_named(const struct holding *holding, const char *name)
{
	for (char **known = holding->attributes; *known; known++)
		if (name && !strcmp(*known, name))
			return *known;
	return NULL;
}

/* False: it is answered with an error. */
static bool read_fields(struct asking *asking)
{
	const json_t *names = json_object_get(asking->json, "fields");
	if (!names)
		return true;
	if (!json_is_array(names) || json_array_size(names) > METRICS_PATHS) {
		http_reply_error(asking->reply, 400, "\"fields\": a list of at most %d attributes was expected", METRICS_PATHS);
		return false;
	}
	asking->fields = xcalloc(json_array_size(names) + 1, sizeof *asking->fields);
	for (size_t i = 0; i < json_array_size(names); i++) {
		const char *name = json_string_value(json_array_get(names, i));
		asking->fields[i] = attribute_named(asking->holding, name);
		if (!asking->fields[i]) {
			http_reply_error(asking->reply, 400, "\"fields\": the catalog has no attribute \"%.100s\"",
				name ? name : "");
			return false;
		}
	}
	asking->listing.fields = (char *const *)(uintptr_t)asking->fields;
	return true;
}

/* The one text that the question has to have, besides k and fields; NULL: it is answered with an error. */
static const char *read_text(struct asking *asking, const char *expected, int32_t *k)
{
	const char *key;
	json_t *value;
	char reason[REASON];
	json_object_foreach ((json_t *)(uintptr_t)asking->json, key, value)
		if (strcmp(key, expected) != 0 && strcmp(key, "k") != 0 && strcmp(key, "fields") != 0) {
			http_reply_error(asking->reply, 400, "\"%.40s\" is not known; %s, k and fields are", key, expected);
			return NULL;
		}
	const char *text = json_string_value(json_object_get(asking->json, expected));
	if (!text)
		http_reply_error(asking->reply, 400, "\"%s\": text was expected", expected);
	else if (!question_count(asking->advisor, asking->json, "k", k, reason))
		http_reply_error(asking->reply, 400, "%s", reason);
	else if (read_fields(asking))
		return text;
	return NULL;
}

static void refuse_scores(struct asking *asking)
{
	http_reply_error(asking->reply, 500, "the model's scores are not finite");
}

/* --- /recommend --- */

static bool is_within(struct asking *asking, const char *key, size_t longest)
{
	size_t n = json_array_size(json_object_get(asking->json, key));
	if (n > longest)
		http_reply_error(asking->reply, 400, "\"%s\": %zu items, and at most %zu were expected", key, n, longest);
	return n <= longest;
}

static void answer_question(struct asking *asking, struct question *question)
{
	char reason[REASON];
	const size_t n = question->history.size / sizeof(int32_t);
	if (!question_of_json(question, asking->advisor, asking->json, reason))
		http_reply_error(asking->reply, 400, "%s", reason);
	else if (question->wants_why && question->history.size / sizeof(int32_t) > SERVER_WHY)
		http_reply_error(asking->reply, 400, "\"why\": of histories of at most %d items, and this has %zu", SERVER_WHY,
			n);
	else if (!answer_find(&asking->answer, asking->advisor, question))
		refuse_scores(asking);
	else
		http_reply_json(asking->reply, 200, answer_json(&asking->answer, question, &asking->listing, NULL));
	asking->endpoints->metrics.unknown += question->n_unknown;
}

static void answer_recommend(void *context, const json_t *json, struct http_reply *reply)
{
	struct asking asking = asking_begin(context, json, reply);
	struct question question = {0};
	if (is_within(&asking, "history", SERVER_HISTORY) && is_within(&asking, "exclude", SERVER_EXCLUDE) &&
		read_fields(&asking))
		answer_question(&asking, &question);
	question_free(&question);
	asking_end(&asking);
}

/* --- /similar and /items --- */

static void answer_similar(void *context, const json_t *json, struct http_reply *reply)
{
	struct asking asking = asking_begin(context, json, reply);
	int32_t k;
	const char *id = read_text(&asking, "item", &k);
	const int64_t item = id ? strings_find(&asking.advisor->catalog->item_id, id, strlen(id)) : -1;
	if (id && item < 0) {
		http_reply_error(reply, 404, "item \"%.100s\" is not known", id);
		asking.endpoints->metrics.unknown++;
	} else if (id && !similar_find(asking.holding->similar, (int32_t)item, k, &asking.answer)) {
		refuse_scores(&asking);
	} else if (id) {
		json_t *items = listing_json(&asking.listing, asking.answer.item, asking.answer.score, asking.answer.n, NULL);
		http_reply_json(reply, 200, json_build("{s:s, s:o}", "item", id, "items", items));
	}
	asking_end(&asking);
}

static void answer_items(void *context, const json_t *json, struct http_reply *reply)
{
	struct asking asking = asking_begin(context, json, reply);
	int32_t k;
	const char *text = read_text(&asking, "q", &k);
	if (text) {
		int32_t *item = xreallocarray(NULL, (size_t)k, sizeof *item);
		int32_t n = item_finder_find(asking.holding->finder, text, k, item);
		json_t *items = json_array();
		for (int32_t i = 0; i < n; i++) {
			json_t *entry = json_build("{s:s}", "item", strings_at(&asking.advisor->catalog->item_id, item[i]));
			listing_set_fields(&asking.listing, entry, item[i]);
			json_append(items, entry);
		}
		http_reply_json(reply, 200, json_build("{s:o}", "items", items));
		free(item);
	}
	asking_end(&asking);
}

/* --- about the server --- */

static void answer_health(void *context, const json_t *json, struct http_reply *reply)
{
	struct asking asking = asking_begin(context, json, reply);
	const struct advisor *advisor = asking.advisor;
	json_t *attributes = json_array();
	for (char **name = asking.holding->attributes; *name; name++)
		json_append(attributes, json_string(*name));
	http_reply_json(reply, 200,
		json_build("{s:s, s:s, s:s, s:I, s:I, s:I, s:o}", "status", "ok", "model", reply->model, "architecture",
			advisor->model->architecture->name, "items", (json_int_t)advisor->catalog->n_items, "recommendable",
			(json_int_t)recommender_offers(advisor->recommender), "users",
			(json_int_t)(advisor->users ? advisor->users->n_users : 0), "attributes", attributes));
	asking_end(&asking);
}

static void answer_metrics(void *context, const json_t *json, struct http_reply *reply)
{
	struct asking asking = asking_begin(context, json, reply);
	const char *paths[METRICS_PATHS] = {NULL};
	int n = 0;
	char labels[128];
	for (; endpoint_routes[n].path; n++)
		paths[n] = endpoint_routes[n].path;
	paths[n] = "other";
	metrics_write(&asking.endpoints->metrics, paths, &reply->body);
	snprintf(labels, sizeof labels, "{id=\"%s\",architecture=\"%s\"}", reply->model,
		asking.advisor->model->architecture->name);
	metrics_gauge(&reply->body, "recpipe_model_info", labels, 1);
	metrics_gauge(&reply->body, "recpipe_items", "", (double)asking.advisor->catalog->n_items);
	metrics_gauge(&reply->body, "recpipe_items_recommendable", "",
		(double)recommender_offers(asking.advisor->recommender));
	reply->status = 200;
	reply->type = "text/plain; version=0.0.4";
	asking_end(&asking);
}

static void answer_page(void *context, const json_t *json, struct http_reply *reply)
{
	(void)context;
	(void)json;
	buffer_append(&reply->body, page_html, strlen(page_html));
	reply->status = 200;
	reply->type = "text/html; charset=utf-8";
}

const struct http_route endpoint_routes[] = {
	{"/recommend", true, answer_recommend},
	{"/similar", true, answer_similar},
	{"/items", true, answer_items},
	{"/healthz", false, answer_health},
	{"/metrics", false, answer_metrics},
	{"/", false, answer_page},
	{0},
};

const struct http_parameter endpoint_parameters[] = {
	{"history", HTTP_LIST},
	{"exclude", HTTP_LIST},
	{"fields", HTTP_LIST},
	{"k", HTTP_NUMBER},
	{"why", HTTP_BOOLEAN},
	{0},
};
