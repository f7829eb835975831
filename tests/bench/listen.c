/*
 * Load for seq-rank --listen: listen PORT CLIENTS REQUESTS ITEMS. So many clients on connections that stay, each asking
 * one question after another: POST /recommend with 50 random items of "0" ... "ITEMS - 1". Prints the median, 99 % and
 * 99.9 % of the milliseconds from sending a question to having its answer, and requests a second. Anything but ten
 * items in an answer ends it.
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "stream/descriptor.h"
#include "stream/util.h"

#define HISTORY 50

struct client {
	pthread_t thread;
	int port;
	uint64_t number, n_items;
	int64_t requests;
	double *seconds;
};

static size_t write_question(char *text, size_t room, struct rng *rng, uint64_t n_items)
{
	char body[1024];
	int length = snprintf(body, sizeof body, "{\"history\":[");
	for (int i = 0; i < HISTORY; i++)
		length += snprintf(body + length, sizeof body - (size_t)length, "%s\"%llu\"", i ? "," : "",
			(unsigned long long)rng_below(rng, n_items));
	length += snprintf(body + length, sizeof body - (size_t)length, "]}");
	return (size_t)snprintf(text, room, "POST /recommend HTTP/1.1\r\nHost: bench\r\nContent-Length: %d\r\n\r\n%s",
		length, body);
}

/* One whole answer of the connection, ended by NUL. */
static void read_answer(int fd, char *text, size_t room)
{
	size_t filled = 0, expected = 0;
	while (!expected || filled < expected) {
		ssize_t got = descriptor_read(fd, text + filled, room - 1 - filled);
		if (got <= 0)
			die("the server hung up");
		filled += (size_t)got;
		text[filled] = 0;
		const char *end = strstr(text, "\r\n\r\n"), *length = strcasestr(text, "Content-Length: ");
		if (end && length)
			expected = (size_t)(end + 4 - text) + strtoul(length + 16, NULL, 10);
	}
}

static int count_items(const char *text)
{
	int n = 0;
	while ((text = strstr(text, "\"item\":"))) {
		text++;
		n++;
	}
	return n;
}

static void *ask(void *of)
{
	struct client *client = of;
	struct rng rng;
	char text[1 << 14];
	const struct sockaddr_in place = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)client->port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&place, sizeof place))
		die_errno("port %d", client->port);
	rng_seed(&rng, client->number);
	for (int64_t i = 0; i < client->requests; i++) {
		size_t size = write_question(text, sizeof text, &rng, client->n_items);
		double started = seconds_now();
		if (!descriptor_write(fd, text, size))
			die_errno("port %d", client->port);
		read_answer(fd, text, sizeof text);
		client->seconds[i] = seconds_now() - started;
		if (strncmp(text, "HTTP/1.1 200 ", 13) != 0 || count_items(text) != 10)
			die("ten items were expected: %s", text);
	}
	close(fd);
	return NULL;
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

static int64_t number(const char *text, int64_t low)
{
	int64_t value;
	if (!parse_int(text, low, INT32_MAX, &value))
		die("%s: a number was expected", text);
	return value;
}

int main(int argc, char **argv)
{
	program_name = "listen";
	if (argc != 5)
		die("PORT CLIENTS REQUESTS ITEMS were expected");
	const int64_t clients = number(argv[2], 1), each = number(argv[3], 1) / clients;
	struct client *client = xcalloc((size_t)clients, sizeof *client);
	double *seconds = xcalloc((size_t)(clients * each), sizeof *seconds);
	const double started = seconds_now();
	for (int64_t i = 0; i < clients; i++) {
		client[i] = (struct client){.port = (int)number(argv[1], 1),
			.number = (uint64_t)i + 1,
			.n_items = (uint64_t)number(argv[4], 1),
			.requests = each,
			.seconds = seconds + i * each};
		if (pthread_create(&client[i].thread, NULL, ask, &client[i]))
			die("no thread for client %d", (int)i);
	}
	for (int64_t i = 0; i < clients; i++)
		pthread_join(client[i].thread, NULL);
	const double took = seconds_now() - started, n = (double)(clients * each);
	qsort(seconds, (size_t)n, sizeof *seconds, compare);
	printf("%.2f %.2f %.2f %.0f\n", 1000 * seconds[(int64_t)(n * .5)], 1000 * seconds[(int64_t)(n * .99)],
		1000 * seconds[(int64_t)(n * .999)], n / took);
	free(seconds);
	free(client);
	return 0;
}
