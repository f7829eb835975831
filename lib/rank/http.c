#include "rank/http.h"

#include <dlfcn.h>
#include <microhttpd.h>
#include <omp.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define POOL_BYTES (64 << 10) /* of a connection: of what it sends, all but the body stands in there */
#define SPARE_CONNECTIONS 8   /* so many are kept free */

struct client {
	struct client *next, *previous;
	int fd;
	bool waited_for; /* it is the client's turn, to ask or to take an answer */
	double since;
};

struct request {
	struct http_question question; /* first */
	struct http *http;
	struct MHD_Connection *connection;
	struct client *client;
	int route; /* behind the last: there is no such path */
	bool is_post, is_too_large, has_reply;
	struct buffer body;
	double started, asked;
	struct request *next;
};

struct http {
	struct MHD_Daemon *daemon;
	const struct http_route *routes;
	const struct http_parameter *parameters;
	void *context;
	struct metrics *metrics;
	int n_routes, threads;
	pthread_t *thread;
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t asked, fewer;
	struct request *first, *last; /* asked, and not yet taken by a thread */
	int n_waiting, n_idle;        /* of these requests; threads that wait for some */
	struct client *clients;
	int n_clients, n_requests;
	bool is_ending, no_more;
};

/* --- the library: loaded where somebody listens, as the TLS that comes with it takes longest to start --- */

#define LIBRARY "libmicrohttpd.so.12"
#define FUNCTIONS(OF)                                                                                                  \
	OF(add_response_header)                                                                                            \
	OF(create_response_from_buffer)                                                                                    \
	OF(destroy_response)                                                                                               \
	OF(get_connection_info)                                                                                            \
	OF(get_connection_values_n)                                                                                        \
	OF(queue_response)                                                                                                 \
	OF(quiesce_daemon)                                                                                                 \
	OF(resume_connection)                                                                                              \
	OF(set_panic_func)                                                                                                 \
	OF(start_daemon)                                                                                                   \
	OF(stop_daemon)                                                                                                    \
	OF(suspend_connection)

#define POINTER(name) __typeof__(MHD_##name) *name;
static struct {
	FUNCTIONS(POINTER)
} mhd;

static void *function(void *library, const char *name)
{
	void *found = dlsym(library, name);
	if (!found)
		die("%s", dlerror());
	return found;
}

void http_load(void)
{
	void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (!library)
		die("%s: --listen needs this library, which Debian's package libmicrohttpd-dev brings", dlerror());
#define LOAD(name) mhd.name = function(library, "MHD_" #name);
	FUNCTIONS(LOAD)
}

static void lock(struct http *http)
{
	pthread_mutex_lock(&http->lock);
}

static void unlock(struct http *http)
{
	pthread_mutex_unlock(&http->lock);
}

/* --- replies --- */

void http_reply_json(struct http_reply *reply, unsigned status, json_t *document)
{
	char *text = json_text(document);
	reply->status = status;
	reply->type = "application/json";
	reply->body.size = 0;
	buffer_append(&reply->body, text, strlen(text));
	free(text);
	json_decref(document);
}

void http_reply_error(struct http_reply *reply, unsigned status, const char *format, ...)
{
	char text[512];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	json_t *document = json_object();
	json_set(document, "error", json_any_text(text));
	http_reply_json(reply, status, document);
}

static void add_header(struct MHD_Response *response, const char *name, const char *value)
{
	if (mhd.add_response_header(response, name, value) != MHD_YES)
		die("out of memory for the header of an answer");
}

static enum MHD_Result send_reply(struct request *request)
{
	struct http *http = request->http;
	struct http_reply *reply = &request->question.reply;
	struct MHD_Response *response = mhd.create_response_from_buffer(reply->body.size, reply->body.data,
		MHD_RESPMEM_MUST_FREE);
	if (!response)
		die("out of memory for an answer of %zu bytes", reply->body.size);
	reply->body = (struct buffer){0};
	add_header(response, "Content-Type", reply->type);
	add_header(response, "X-Content-Type-Options", "nosniff");
	add_header(response, "Content-Security-Policy",
		"default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; "
		"frame-ancestors 'none'");
	if (*reply->model)
		add_header(response, "Recpipe-Model", reply->model);
	if (reply->status == MHD_HTTP_METHOD_NOT_ALLOWED)
		add_header(response, "Allow", http->routes[request->route].tell ? "GET, HEAD" : "GET, HEAD, POST");
	lock(http);
	if (http->is_ending)
		add_header(response, "Connection", "close");
	request->client->waited_for = true;
	request->client->since = seconds_now();
	unlock(http);
	metrics_count(http->metrics, request->route, reply->status, seconds_now() - request->started);
	enum MHD_Result result = mhd.queue_response(request->connection, reply->status, response);
	mhd.destroy_response(response);
	return result;
}

/* --- questions --- */

/* A parameter of the address as a member of the question. */
static enum MHD_Result add_parameter(void *of, enum MHD_ValueKind kind, const char *key, size_t key_size,
	const char *value, size_t size)
{
	struct request *request = of;
	const struct http_parameter *parameter = request->http->parameters;
	int64_t number;
	(void)kind;
	while (parameter->name && strcmp(parameter->name, key) != 0)
		parameter++;
	json_t *text = value ? json_stringn(value, size) : json_string("");
	if (!text || strlen(key) != key_size || (value && strlen(value) != size)) {
		json_decref(text);
		http_reply_error(&request->question.reply, 400, "parameter \"%.40s\": UTF-8 without NUL was expected", key);
		return MHD_NO;
	}
	json_t *there = json_object_get(request->question.json, key);
	if (parameter->name && parameter->type == HTTP_LIST) {
		if (!there)
			json_set(request->question.json, key, there = json_array());
		json_append(there, text);
		return MHD_YES;
	}
	if (there) {
		json_decref(text);
		http_reply_error(&request->question.reply, 400, "parameter \"%.40s\" is there twice", key);
		return MHD_NO;
	}
	json_t *member = text;
	if (parameter->type == HTTP_NUMBER && value && parse_int(value, INT64_MIN, INT64_MAX, &number))
		member = json_integer(number);
	else if (parameter->type == HTTP_BOOLEAN && value && (!strcmp(value, "true") || !strcmp(value, "false")))
		member = json_boolean(*value == 't');
	if (member != text)
		json_decref(text);
	json_set(request->question.json, key, member);
	return MHD_YES;
}

static bool read_question(struct request *request)
{
	if (!request->is_post) {
		request->question.json = json_object();
		mhd.get_connection_values_n(request->connection, MHD_GET_ARGUMENT_KIND, add_parameter, request);
		return !request->question.reply.status;
	}
	json_error_t error;
	request->question.json = json_loadb(request->body.data ? request->body.data : "", request->body.size,
		JSON_REJECT_DUPLICATES, &error);
	if (request->question.json && json_is_object(request->question.json))
		return true;
	if (request->question.json)
		http_reply_error(&request->question.reply, 400, "a JSON object was expected");
	else
		http_reply_error(&request->question.reply, 400, "not JSON: line %d, column %d: %s", error.line, error.column,
			json_problem(&error));
	return false;
}

/* What can be said before the body is there. */
static void check_header(struct request *request, const char *url, const char *method)
{
	const struct http *http = request->http;
	const bool is_get = !strcmp(method, "GET") || !strcmp(method, "HEAD");
	const union MHD_ConnectionInfo *header = mhd.get_connection_info(request->connection,
		MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
	request->is_post = !strcmp(method, "POST");
	if (header && header->header_size > HTTP_HEADER_BYTES)
		http_reply_error(&request->question.reply, 431, "address and header: more than %d bytes", HTTP_HEADER_BYTES);
	else if (request->route == http->n_routes)
		http_reply_error(&request->question.reply, 404, "there is no %.100s", url);
	else if (!is_get && (!request->is_post || http->routes[request->route].tell))
		http_reply_error(&request->question.reply, 405, "%.20s does not apply to %s", method,
			http->routes[request->route].path);
}

static void take_body(struct request *request, const char *data, size_t size)
{
	request->is_too_large |= size > HTTP_BODY_BYTES - request->body.size;
	if (!request->is_too_large && !request->question.reply.status)
		buffer_append(&request->body, data, size);
}

/* --- the threads that answer --- */

static void enqueue(struct request *request)
{
	struct http *http = request->http;
	mhd.suspend_connection(request->connection);
	lock(http);
	if (http->first)
		http->last->next = request;
	else
		http->first = request;
	http->last = request;
	http->n_waiting++;
	pthread_cond_signal(&http->asked);
	unlock(http);
}

/*
 * Under the lock. Takes the first that waits, and of those behind
 * it the next with the same route, up to `most` of them.
 */
static int take_first(struct http *http, int most, struct http_question *taken[])
{
	struct request **link = &http->first, *last = NULL;
	const int route = http->first->route;
	int n = 0;
	for (struct request *request; (request = *link) && n < most;) {
		if (request->route == route) {
			taken[n++] = &request->question;
			*link = request->next;
		} else {
			last = request;
			link = &request->next;
		}
	}
	if (!*link)
		http->last = last;
	http->n_waiting -= n;
	return n;
}

/*
 * Questions of one route, that have waited longest. Threads that have nothing to do get their share, those at work
 * none: who waits for them waits longer than for one more in this pass. 0: there will be no more.
 */
static int dequeue(struct http *http, struct http_question *taken[HTTP_TOGETHER])
{
	int n = 0;
	lock(http);
	http->n_idle++;
	while (!http->first && !http->no_more)
		pthread_cond_wait(&http->asked, &http->lock);
	if (http->first) {
		const int together = http->routes[http->first->route].together;
		const int share = (http->n_waiting + http->n_idle - 1) / http->n_idle;
		n = take_first(http, share < together ? share : together, taken);
	}
	http->n_idle--;
	unlock(http);
	return n;
}

void http_send(struct http_question *question)
{
	struct request *request = (struct request *)question;
	request->has_reply = true;
	mhd.resume_connection(request->connection);
}

/* Those that have not waited too long; the others are told so. */
static int drop_late(struct http_question *questions[], int n)
{
	const double now = seconds_now();
	int kept = 0;
	for (int i = 0; i < n; i++) {
		if (now - ((struct request *)questions[i])->asked <= HTTP_SECONDS) {
			questions[kept++] = questions[i];
			continue;
		}
		http_reply_error(&questions[i]->reply, 503, "busy: not answered within %d seconds", HTTP_SECONDS);
		http_send(questions[i]);
	}
	return kept;
}

static void *answer_requests(void *of)
{
	struct http *http = of;
	struct http_question *taken[HTTP_TOGETHER];
	/* each computes alone: the others have requests of their own */
	omp_set_num_threads(1);
	for (int n; (n = dequeue(http, taken));) {
		const struct http_route *route = &http->routes[((struct request *)taken[0])->route];
		if ((n = drop_late(taken, n)))
			route->answer(http->context, taken, n);
	}
	return NULL;
}

/* --- connections; all of these are called by the one thread that talks --- */

static struct client *client_of(struct MHD_Connection *connection)
{
	return mhd.get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

static struct request *request_new(struct http *http, struct MHD_Connection *connection, const char *url)
{
	struct request *request = xcalloc(1, sizeof *request);
	request->http = http;
	request->connection = connection;
	request->client = client_of(connection);
	request->started = seconds_now();
	while (request->route < http->n_routes && strcmp(http->routes[request->route].path, url) != 0)
		request->route++;
	lock(http);
	http->n_requests++;
	unlock(http);
	return request;
}

/* It is all there: from now on it is the server's turn. */
static enum MHD_Result answer_whole(struct request *request)
{
	struct http *http = request->http;
	if (request->is_too_large)
		http_reply_error(&request->question.reply, 413, "body: more than %d bytes", HTTP_BODY_BYTES);
	if (request->question.reply.status)
		return send_reply(request);
	const struct http_route *route = &http->routes[request->route];
	if (route->tell) {
		route->tell(http->context, &request->question.reply);
		return send_reply(request);
	}
	if (!read_question(request))
		return send_reply(request);
	lock(http);
	request->client->waited_for = false;
	unlock(http);
	request->asked = seconds_now();
	enqueue(request);
	return MHD_YES;
}

static enum MHD_Result handle(void *of, struct MHD_Connection *connection, const char *url, const char *method,
	const char *version, const char *data, size_t *size, void **slot)
{
	struct request *request = *slot;
	(void)version;
	if (!request) {
		*slot = request = request_new(of, connection, url);
		/* a body that nobody wants is read all the same: who is still sending could not read the answer */
		check_header(request, url, method);
		return MHD_YES;
	}
	if (*size) {
		take_body(request, data, *size);
		*size = 0;
		return MHD_YES;
	}
	return request->has_reply ? send_reply(request) : answer_whole(request);
}

static void request_done(void *of, struct MHD_Connection *connection, void **slot, enum MHD_RequestTerminationCode how)
{
	struct http *http = of;
	struct request *request = *slot;
	(void)connection;
	(void)how;
	if (!request)
		return;
	*slot = NULL;
	lock(http);
	request->client->waited_for = true;
	request->client->since = seconds_now();
	http->n_requests--;
	pthread_cond_signal(&http->fewer);
	unlock(http);
	json_decref(request->question.json);
	buffer_free(&request->body);
	buffer_free(&request->question.reply.body);
	free(request);
}

/* Under the lock. The library sees the end of the connection, and frees it. */
static void hang_up(struct http *http, struct client *client)
{
	client->waited_for = false;
	http->metrics->closed++;
	shutdown(client->fd, SHUT_RDWR);
}

/* Under the lock. Whoever has been waited for longest makes room. */
static void make_room(struct http *http)
{
	struct client *oldest = NULL;
	for (struct client *client = http->clients; client; client = client->next)
		if (client->waited_for && (!oldest || client->since <= oldest->since))
			oldest = client;
	if (oldest)
		hang_up(http, oldest);
}

static void connection_changed(void *of, struct MHD_Connection *connection, void **slot,
	enum MHD_ConnectionNotificationCode how)
{
	struct http *http = of;
	struct client *client = *slot;
	lock(http);
	if (how == MHD_CONNECTION_NOTIFY_STARTED) {
		if (http->n_clients >= HTTP_CONNECTIONS - SPARE_CONNECTIONS)
			make_room(http);
		*slot = client = xcalloc(1, sizeof *client);
		*client = (struct client){.next = http->clients, .waited_for = true, .since = seconds_now()};
		client->fd = mhd.get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
		if (client->next)
			client->next->previous = client;
		http->clients = client;
		http->n_clients++;
	} else {
		*(client->previous ? &client->previous->next : &http->clients) = client->next;
		if (client->next)
			client->next->previous = client->previous;
		http->n_clients--;
		free(client);
	}
	http->metrics->connections = http->n_clients;
	unlock(http);
}

void http_close_slow(struct http *http)
{
	const double now = seconds_now();
	lock(http);
	for (struct client *client = http->clients; client; client = client->next)
		if (client->waited_for && now - client->since > HTTP_SECONDS)
			hang_up(http, client);
	unlock(http);
}

/* --- the whole --- */

/* Of what clients do wrong nobody needs to hear. */
static void say_nothing(void *of, const char *format, va_list arguments)
{
	(void)of;
	(void)format;
	(void)arguments;
}

static _Noreturn void panic(void *of, const char *file, unsigned line, const char *reason)
{
	(void)of;
	die("libmicrohttpd: %s:%u: %s", file, line, reason ? reason : "it cannot go on");
}

struct http *http_new(int fd, int threads, const struct http_route *routes, const struct http_parameter *parameters,
	void *context, struct metrics *metrics)
{
	struct http *http = xcalloc(1, sizeof *http);
	http->routes = routes;
	http->parameters = parameters;
	http->context = context;
	http->metrics = metrics;
	http->threads = threads;
	while (routes[http->n_routes].path)
		http->n_routes++;
	pthread_mutex_init(&http->lock, NULL);
	pthread_cond_init(&http->asked, NULL);
	pthread_cond_init(&http->fewer, NULL);
	http->thread = xcalloc((size_t)threads, sizeof *http->thread);
	for (int i = 0; i < threads; i++)
		if (pthread_create(&http->thread[i], NULL, answer_requests, http))
			die("-j %d: no thread is to be had", threads);
	if (listen(fd, SOMAXCONN))
		die_errno("listen");
	mhd.set_panic_func(panic, NULL);
	http->daemon = mhd.start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME |
			MHD_USE_ERROR_LOG,
		0, NULL, NULL, handle, http, MHD_OPTION_EXTERNAL_LOGGER, say_nothing, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTP_CONNECTIONS, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL_BYTES,
		MHD_OPTION_NOTIFY_COMPLETED, request_done, http, MHD_OPTION_NOTIFY_CONNECTION, connection_changed, http,
		MHD_OPTION_END);
	if (!http->daemon)
		die("the HTTP server cannot be started: threads or descriptors are short");
	return http;
}

/* Until all that was asked is answered, or hung up. */
static void drain(struct http *http)
{
	lock(http);
	http->is_ending = true;
	while (http->n_requests) {
		struct timespec until;
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec++;
		pthread_cond_timedwait(&http->fewer, &http->lock, &until);
		unlock(http);
		http_close_slow(http);
		lock(http);
	}
	http->no_more = true;
	pthread_cond_broadcast(&http->asked);
	unlock(http);
}

void http_end(struct http *http)
{
	close(mhd.quiesce_daemon(http->daemon));
	drain(http);
	for (int i = 0; i < http->threads; i++)
		pthread_join(http->thread[i], NULL);
	mhd.stop_daemon(http->daemon);
	pthread_cond_destroy(&http->asked);
	pthread_cond_destroy(&http->fewer);
	pthread_mutex_destroy(&http->lock);
	free(http->thread);
	free(http);
}
