#include "rank/server.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rank/endpoints.h"
#include "stream/descriptor.h"
#include "stream/process.h"
#include "stream/progress.h"

struct server {
	struct endpoints endpoints; /* first: routes know no more */
	const struct server_options *options;
	pthread_mutex_t lock;
	struct holding *now;
	pthread_t loader;
	bool has_loader, is_loading; /* under the lock */
};

/* --- what is served, and who uses it --- */

static struct holding *take(struct endpoints *endpoints)
{
	struct server *server = (struct server *)endpoints;
	pthread_mutex_lock(&server->lock);
	struct holding *holding = server->now;
	holding->users++;
	pthread_mutex_unlock(&server->lock);
	return holding;
}

static void put_back(struct endpoints *endpoints, struct holding *holding)
{
	struct server *server = (struct server *)endpoints;
	pthread_mutex_lock(&server->lock);
	bool is_last = !--holding->users;
	pthread_mutex_unlock(&server->lock);
	if (is_last)
		holding_free(holding);
}

static void replace(struct server *server, struct holding *holding)
{
	holding->users = 1; /* the server itself */
	pthread_mutex_lock(&server->lock);
	struct holding *before = server->now;
	server->now = holding;
	pthread_mutex_unlock(&server->lock);
	if (before)
		put_back(&server->endpoints, before);
}

/* --- a new model --- */

extern char **environ;

/* Starts the command, whose stderr is read from *fd. */
static bool start_trial(char *const command[], pid_t *process, int *fd)
{
	posix_spawn_file_actions_t actions;
	int ends[2];
	if (pipe2(ends, O_CLOEXEC))
		return false;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
	errno = posix_spawn(process, "/proc/self/exe", &actions, NULL, command, environ);
	const int error = errno;
	posix_spawn_file_actions_destroy(&actions);
	close(ends[1]);
	*fd = ends[0];
	if (error)
		close(ends[0]);
	errno = error;
	return !error;
}

/* The last line of text that ends with NUL, cut in place. */
static const char *last_line(char *text)
{
	size_t length = strlen(text);
	while (length && text[length - 1] == '\n')
		text[--length] = 0;
	const char *line = strrchr(text, '\n');
	return line ? line + 1 : text;
}

/* Whether the command ends with 0; where not, says why. */
static bool passes_trial(char *const command[])
{
	struct buffer said = {0};
	pid_t process;
	int fd, status = -1;
	ssize_t got;
	if (!start_trial(command, &process, &fd)) {
		warn("SIGHUP: no process to try the new model in: %s; the old one stays", strerror(errno));
		return false;
	}
	do {
		char *room = buffer_add(&said, 4096);
		got = descriptor_read(fd, room, 4096);
		said.size -= 4096 - (size_t)(got > 0 ? got : 0);
	} while (got > 0);
	close(fd);
	buffer_append(&said, "", 1);
	while (waitpid(process, &status, 0) < 0 && errno == EINTR)
		;
	if (status)
		warn("SIGHUP: the new model is not taken, the old one stays: %s",
			*last_line(said.data) ? last_line(said.data) : "the process that tried it was killed");
	buffer_free(&said);
	return !status;
}

static struct holding *load(const struct server *server)
{
	return holding_new(server->options->load(server->options->context));
}

static void *load_again(void *of)
{
	struct server *server = of;
	if (passes_trial(server->options->trial)) {
		struct holding *holding = load(server);
		notice("SIGHUP: the model is now %s, of %s", holding->served->model_id,
			counted(holding->served->advisor.catalog->n_items, "items"));
		replace(server, holding);
		server->endpoints.metrics.taken++;
	} else {
		server->endpoints.metrics.refused++;
	}
	pthread_mutex_lock(&server->lock);
	server->is_loading = false;
	pthread_mutex_unlock(&server->lock);
	return NULL;
}

static void join_loader(struct server *server)
{
	if (server->has_loader)
		pthread_join(server->loader, NULL);
	server->has_loader = false;
}

/* False: one is being loaded still. */
static bool start_loading(struct server *server)
{
	pthread_mutex_lock(&server->lock);
	const bool is_loading = server->is_loading;
	server->is_loading = true;
	pthread_mutex_unlock(&server->lock);
	if (is_loading)
		return false;
	join_loader(server);
	server->has_loader = !pthread_create(&server->loader, NULL, load_again, server);
	if (!server->has_loader) {
		warn("SIGHUP: no thread to load the new model: the old one stays");
		server->is_loading = false;
	}
	return true;
}

/* --- the whole --- */

/* Until it is to end. */
static void wait_for_signals(struct server *server, struct http *http, int signals)
{
	bool wants_new = false;
	for (;;) {
		struct pollfd poll_signals = {.fd = signals, .events = POLLIN};
		unsigned char number = 0;
		if (poll(&poll_signals, 1, 1000) > 0 && descriptor_read(signals, &number, 1) != 1)
			number = 0;
		if (number == SIGTERM || number == SIGINT)
			return;
		wants_new |= number == SIGHUP;
		if (wants_new && start_loading(server))
			wants_new = false;
		http_close_slow(http);
	}
}

void server_run(const struct server_options *options)
{
	/* SIGPIPE so that it does not end us */
	static const int numbers[] = {SIGHUP, SIGTERM, SIGINT, SIGPIPE, 0};
	struct server *server = xcalloc(1, sizeof *server);
	char *url;
	int fd = http_bind(options->address, &url);
	http_load();
	server->options = options;
	server->endpoints.take = take;
	server->endpoints.put_back = put_back;
	pthread_mutex_init(&server->lock, NULL);
	replace(server, load(server));
	int signals = process_signals(numbers);
	struct http *http = http_new(fd, options->threads, endpoint_routes, endpoint_parameters, server,
		&server->endpoints.metrics);
	notice("ready: %s, listening on %s", counted(server->now->served->advisor.catalog->n_items, "items"), url);
	wait_for_signals(server, http, signals);
	notice("ending: answering what was asked");
	http_end(http);
	join_loader(server);
	put_back(&server->endpoints, server->now);
	pthread_mutex_destroy(&server->lock);
	free(url);
	free(server);
}
