#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "rank/http.h"
#include "stream/descriptor.h"
#include "stream/option.h"

struct place {
	char *host; /* NULL: the loopback interface */
	const char *port;
};

/* Cuts "[HOST:]PORT" in place. */
static struct place place_of(char *address, const char *given)
{
	struct place place = {.port = address};
	char *colon = strrchr(address, ':');
	int64_t port;
	if (colon) {
		*colon = 0;
		place.host = address;
		place.port = colon + 1;
		size_t length = strlen(address);
		if (*address == '[' && address[length - 1] == ']') {
			address[length - 1] = 0;
			place.host++;
		}
	}
	if (!parse_int(place.port, 0, 65535, &port) || (place.host && !*place.host))
		die_usage("--listen %s: [HOST:]PORT with a port from 0 to 65535 was expected", given);
	return place;
}

static char *url_of(int fd, const char *given)
{
	struct sockaddr_storage bound;
	socklen_t size = sizeof bound;
	char host[NI_MAXHOST], port[NI_MAXSERV];
	if (getsockname(fd, (struct sockaddr *)&bound, &size) ||
		getnameinfo((struct sockaddr *)&bound, size, host, sizeof host, port, sizeof port,
			NI_NUMERICHOST | NI_NUMERICSERV))
		die_errno("--listen %s", given);
	return xasprintf(bound.ss_family == AF_INET6 ? "http://[%s]:%s/" : "http://%s:%s/", host, port);
}

int http_bind(const char *address, char **url)
{
	char *copy = xstrdup(address);
	const struct place place = place_of(copy, address);
	struct addrinfo *found, hints = {.ai_socktype = SOCK_STREAM, .ai_family = place.host ? AF_UNSPEC : AF_INET};
	int error = getaddrinfo(place.host, place.port, &hints, &found);
	if (error)
		die("--listen %s: %s; the name or number of an interface of this machine was expected", address,
			gai_strerror(error));
	int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) ||
		bind(fd, found->ai_addr, found->ai_addrlen))
		die_errno("--listen %s", address);
	freeaddrinfo(found);
	free(copy);
	*url = url_of(fd, address);
	return fd;
}
