/*
 * HTTP, as far as a server of questions needs it: questions are JSON objects, in the body of a POST or made of the
 * parameters of a GET; answers are computed by a fixed number of threads. The only file that knows libmicrohttpd.
 *
 * One thread talks to all connections and never computes, so nobody waits for who is slow. A request that is not all
 * there after HTTP_SECONDS, an answer that is not taken in that time, and a connection on which nothing is asked are
 * closed; where there are too many connections, the one that has been waited for longest is.
 *
 * Questions that wait for a thread are handed to it together, where their route has an advantage from that.
 *
 * What is wrong with a request is one line of JSON, {"error": ...}, with a code of 400 to 503. What is no HTTP at all
 * is answered by the library.
 */
#ifndef RECPIPE_HTTP_H
#define RECPIPE_HTTP_H

#include "rank/metrics.h"
#include "stream/json.h"

enum {
	HTTP_SECONDS = 10,
	HTTP_BODY_BYTES = 1 << 20,
	HTTP_HEADER_BYTES = 16 << 10, /* with the address */
	HTTP_CONNECTIONS = 512,
	HTTP_TOGETHER = 16
};

/* Zeroed is empty. */
struct http_reply {
	unsigned status;
	const char *type; /* of its content */
	char model[17];   /* what was asked; "": nothing was */
	struct buffer body;
};
void http_reply_json(struct http_reply *reply, unsigned status, json_t *document); /* steals it */
void http_reply_error(struct http_reply *reply, unsigned status, const char *format, ...) PRINTF_LIKE(3, 4);

/* A parameter of a GET that has another type than text, or may be there several times. */
enum http_type { HTTP_TEXT, HTTP_NUMBER, HTTP_BOOLEAN, HTTP_LIST };
struct http_parameter {
	const char *name; /* NULL: the last */
	enum http_type type;
};

struct http_question {
	json_t *json; /* an object */
	struct http_reply reply;
};
/* Its reply is complete. The question is gone then. */
void http_send(struct http_question *question);

struct http_route {
	const char *path; /* NULL: the last */
	/* What is said at once, whatever is asked; NULL: it takes questions, in a POST too, ... */
	void (*tell)(void *context, struct http_reply *reply);
	/* ... which the threads answer, at most so many together. Each is sent by http_send(). */
	void (*answer)(void *context, struct http_question *const questions[], int n);
	int together; /* from 1 to HTTP_TOGETHER */
};

/* Loads libmicrohttpd, before http_new(). Dies where it is not there. */
void http_load(void);

/*
 * A socket at [HOST:]PORT, of the loopback interface without HOST; port 0: any that is free. Nobody is let in yet. url:
 * "http://127.0.0.1:8080/", to be freed. Dies where it is not to be had, as wrong usage where it is no address.
 */
int http_bind(const char *address, char **url);

struct http;
/* Lets them in. routes, parameters and metrics are borrowed; the socket is taken. */
struct http *http_new(int fd, int threads, const struct http_route *routes, const struct http_parameter *parameters,
	void *context, struct metrics *metrics);
/* To be called every second or so. */
void http_close_slow(struct http *http);
/* Takes no more connections, answers what was asked, and frees everything. */
void http_end(struct http *http);

#endif
