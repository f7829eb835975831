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
	const struct holding *holding;
	const struct advisor *advisor;
	struct http_question *http;
	const json_t *json;
	struct http_reply *reply;
	struct listing listing;
	struct buffer fields; /* that the listing borrows */
};

static void name_model(struct http_reply *reply, const struct holding *holding)
{
	snprintf(reply->model, sizeof reply->model, "%s", holding->served->model_id);
}

static struct asking asking_begin(struct endpoints *endpoints, const struct holding *holding,
	struct http_question *http)
{
	struct asking asking = {.endpoints = endpoints, .holding = holding, .http = http};
	asking.advisor = &holding->served->advisor;
	asking.json = http->json;
	asking.reply = &http->reply;
	asking.listing = (struct listing){
		.format = LISTING_JSON,
		.catalog = asking.advisor->catalog,
		.fields = holding->served->fields,
	};
	name_model(asking.reply, holding);
	return asking;
}

static void asking_end(struct asking *asking)
{
	buffer_free(&asking->fields);
	http_send(asking->http);
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
	else if (!question_count(asking->advisor, asking->json, "k", k, reason) ||
		!question_fields(asking->advisor, asking->json, &asking->fields, reason))
		http_reply_error(asking->reply, 400, "%s", reason);
	else {
		if (asking->fields.size)
			asking->listing.fields = (char *const *)asking->fields.data;
		return text;
	}
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
		http_reply_error(asking->reply, 400, "\"%s\": %s, and at most %zu were expected", key,
			counted((int64_t)n, "items"), longest);
	return n <= longest;
}

/* False: it is answered with an error. */
static bool read_question(struct asking *asking, struct question *question)
{
	char reason[REASON];
	if (!is_within(asking, "history", SERVER_HISTORY) || !is_within(asking, "exclude", SERVER_EXCLUDE))
		return false;
	const bool is_right = question_of_json(question, asking->advisor, asking->json, reason);
	const size_t n = question->history.size / sizeof(int32_t);
	asking->endpoints->metrics.unknown += question->n_unknown;
	if (!is_right)
		http_reply_error(asking->reply, 400, "%s", reason);
	else if (question->wants_why && n > SERVER_WHY)
		http_reply_error(asking->reply, 400,
			"\"why\": false was expected: this history has %zu items, and at most %d are explained", n, SERVER_WHY);
	return is_right && !asking->reply->status;
}

static void reply_list(struct asking *asking, struct answer *answer, const struct question *question)
{
	answer_explain(answer, asking->advisor, question);
	if (answer->n < 0)
		refuse_scores(asking);
	else
		http_reply_json(asking->reply, 200, answer_json(answer, question, &asking->listing, NULL));
	asking_end(asking);
}

/* Each is sent as soon as it is there; those that are explained, which takes long, after all others. */
static void answer_recommend(void *context, struct http_question *const questions[], int n)
{
	struct endpoints *endpoints = context;
	struct holding *holding = endpoints->take(endpoints);
	struct asking asking[HTTP_TOGETHER];
	struct question question[HTTP_TOGETHER] = {0};
	struct answer answer[HTTP_TOGETHER] = {0};
	int right = 0;
	for (int i = 0; i < n; i++) {
		asking[right] = asking_begin(endpoints, holding, questions[i]);
		if (read_question(&asking[right], &question[right]))
			right++;
		else
			asking_end(&asking[right]);
	}
	if (right)
		answer_find_all(answer, &holding->served->advisor, question, right);
	for (int explained = 0; explained < 2; explained++)
		for (int i = 0; i < right; i++)
			if (question[i].wants_why == explained)
				reply_list(&asking[i], &answer[i], &question[i]);
	for (int i = 0; i < n; i++) {
		question_free(&question[i]);
		answer_free(&answer[i]);
	}
	endpoints->put_back(endpoints, holding);
}

/* --- /similar and /items --- */

static void answer_similar(struct asking *asking)
{
	struct answer answer = {0};
	int32_t k;
	const char *id = read_text(asking, "item", &k);
	const int64_t item = id ? strings_find(&asking->advisor->catalog->item_id, id, strlen(id)) : -1;
	if (id && item < 0) {
		http_reply_error(asking->reply, 404, "item \"%.100s\" is not known", id);
		asking->endpoints->metrics.unknown++;
	} else if (id && !similar_find(asking->holding->similar, (int32_t)item, k, &answer)) {
		refuse_scores(asking);
	} else if (id) {
		json_t *items = listing_json(&asking->listing, answer.item, answer.score, answer.n, NULL);
		http_reply_json(asking->reply, 200, json_build("{s:s, s:o}", "item", id, "items", items));
	}
	answer_free(&answer);
}

static void answer_items(struct asking *asking)
{
	int32_t k;
	const char *text = read_text(asking, "q", &k);
	if (!text)
		return;
	int32_t *item = xreallocarray(NULL, (size_t)k, sizeof *item);
	int32_t n = item_finder_find(asking->holding->finder, text, k, item);
	json_t *items = json_array();
	for (int32_t i = 0; i < n; i++) {
		json_t *entry = json_build("{s:s}", "item", strings_at(&asking->advisor->catalog->item_id, item[i]));
		listing_set_fields(&asking->listing, entry, item[i]);
		json_append(items, entry);
	}
	http_reply_json(asking->reply, 200, json_build("{s:o}", "items", items));
	free(item);
}

static void answer_each(struct endpoints *endpoints, struct http_question *const questions[], int n,
	void (*answer)(struct asking *asking))
{
	struct holding *holding = endpoints->take(endpoints);
	for (int i = 0; i < n; i++) {
		struct asking asking = asking_begin(endpoints, holding, questions[i]);
		answer(&asking);
		asking_end(&asking);
	}
	endpoints->put_back(endpoints, holding);
}

static void answer_all_similar(void *context, struct http_question *const questions[], int n)
{
	answer_each(context, questions, n, answer_similar);
}

static void answer_all_items(void *context, struct http_question *const questions[], int n)
{
	answer_each(context, questions, n, answer_items);
}

/* --- about the server --- */

static void tell_health(void *context, struct http_reply *reply)
{
	struct endpoints *endpoints = context;
	struct holding *holding = endpoints->take(endpoints);
	const struct advisor *advisor = &holding->served->advisor;
	json_t *attributes = json_array();
	name_model(reply, holding);
	for (char **name = holding->attributes; *name; name++)
		json_append(attributes, json_string(*name));
	http_reply_json(reply, 200,
		json_build("{s:s, s:s, s:s, s:I, s:I, s:I, s:o}", "status", "ok", "model", reply->model, "architecture",
			advisor->model->architecture->name, "items", (json_int_t)advisor->catalog->n_items, "recommendable",
			(json_int_t)recommender_offers(advisor->recommender), "users",
			(json_int_t)(advisor->users ? advisor->users->n_users : 0), "attributes", attributes));
	endpoints->put_back(endpoints, holding);
}

static void tell_metrics(void *context, struct http_reply *reply)
{
	struct endpoints *endpoints = context;
	struct holding *holding = endpoints->take(endpoints);
	const struct advisor *advisor = &holding->served->advisor;
	const char *paths[METRICS_PATHS] = {NULL};
	int n = 0;
	char labels[128];
	name_model(reply, holding);
	for (; endpoint_routes[n].path; n++)
		paths[n] = endpoint_routes[n].path;
	paths[n] = "other";
	metrics_write(&endpoints->metrics, paths, &reply->body);
	snprintf(labels, sizeof labels, "{id=\"%s\",architecture=\"%s\"}", reply->model,
		advisor->model->architecture->name);
	metrics_gauge(&reply->body, "recpipe_model_info", labels, 1);
	metrics_gauge(&reply->body, "recpipe_items", "", (double)advisor->catalog->n_items);
	metrics_gauge(&reply->body, "recpipe_items_recommendable", "", (double)recommender_offers(advisor->recommender));
	reply->status = 200;
	reply->type = "text/plain; version=0.0.4";
	endpoints->put_back(endpoints, holding);
}

static void tell_page(void *context, struct http_reply *reply)
{
	(void)context;
	buffer_append(&reply->body, page_html, strlen(page_html));
	reply->status = 200;
	reply->type = "text/html; charset=utf-8";
}

const struct http_route endpoint_routes[] = {
	{"/recommend", .answer = answer_recommend, .together = HTTP_TOGETHER},
	{"/similar", .answer = answer_all_similar, .together = 1},
	{"/items", .answer = answer_all_items, .together = 1},
	{"/healthz", .tell = tell_health},
	{"/metrics", .tell = tell_metrics},
	{"/", .tell = tell_page},
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
