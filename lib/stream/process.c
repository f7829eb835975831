#include "stream/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "stream/descriptor.h"
#include "stream/ranks.h"
#include "stream/json.h"
#include "stream/util.h"

/* Descriptors are given out from below: as long as this gets one of the three, one of them was closed. */
static void take_standard_descriptors(void)
{
	int fd;
	/* opened the wrong way round: reading a stdin and writing a stdout that are not there has to fail */
	static const int flags[] = {O_WRONLY, O_RDONLY, O_WRONLY};
	for (int standard = STDIN_FILENO; standard <= STDERR_FILENO; standard++) {
		if (fcntl(standard, F_GETFD) >= 0)
			continue;
		fd = open("/dev/null", flags[standard]);
		if (fd != standard)
			die_errno("/dev/null in place of the closed descriptor %d", standard);
	}
}

/* --- stderr --- */

/* Some libraries begin their last words with an empty line. */
static ssize_t write_lines(void *unused, const char *data, size_t size)
{
	static bool in_line;
	size_t skip = 0;
	(void)unused;
	while (!in_line && skip < size && data[skip] == '\n')
		skip++;
	if (size > skip)
		in_line = data[size - 1] != '\n';
	return descriptor_write(STDERR_FILENO, data + skip, size - skip) ? (ssize_t)size : 0;
}

static void make_stderr_lines(void)
{
	FILE *lines = fopencookie(NULL, "w", (cookie_io_functions_t){.write = write_lines});
	if (!lines)
		die_errno("stderr");
	setvbuf(lines, NULL, _IONBF, 0);
	stderr = lines;
}

/* --- the end --- */

static const struct {
	int number;
	const char *words; /* NULL: none */
} ends[] = {
	{SIGINT, "interrupted"},
	{SIGTERM, "ended by SIGTERM"},
	{SIGHUP, "ended by SIGHUP: its terminal is gone"},
	{SIGQUIT, "ended by SIGQUIT"},
	{SIGXCPU, "ended by SIGXCPU: its processor time (ulimit -t) is used up"},
	{SIGALRM, "ended by SIGALRM"},
	{SIGUSR1, "ended by SIGUSR1"},
	{SIGUSR2, "ended by SIGUSR2"},
	{SIGPIPE, NULL},
};

static bool speaks = true;

/* Requests to come to an end: whether they are taken as such, and the first that came. */
static volatile sig_atomic_t stoppable, awaits, asked, left_to_others;
static struct timespec when_asked;

/* Whether the signal is one of these requests, or the same one again. */
static bool is_request(int number)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	const double since = (double)(now.tv_sec - when_asked.tv_sec) + 1e-9 * (double)(now.tv_nsec - when_asked.tv_nsec);
	if (number != SIGINT && number != SIGTERM)
		return false;
	if (asked || left_to_others)
		return since < .5;
	when_asked = now;
	if (stoppable)
		asked = true;
	else if (awaits && number == SIGINT)
		left_to_others = true;
	return asked || left_to_others;
}

/* As ever it is the signal that the parent sees. */
static void end_by_signal(int number)
{
	if (is_request(number))
		return;
	unfinished_remove();
	for (size_t i = 0; i < COUNT_OF(ends); i++)
		if (ends[i].number == number && ends[i].words && speaks)
			last_words(ends[i].words);
	signal(number, SIG_DFL);
	raise(number);
}

/* Of a file that is mapped: an error as any other of reading. */
static void end_by_lost_file(int number)
{
	(void)number;
	last_words("a file became shorter, or its disk failed, while it was in use (SIGBUS)");
	leave(1);
}

/* What the parent has ignored stays so. */
static void handle_signals(void)
{
	const struct sigaction action = {.sa_handler = end_by_signal, .sa_flags = SA_RESTART};
	struct sigaction before;
	speaks = ranks_speaks();
	for (size_t i = 0; i < COUNT_OF(ends); i++)
		if (sigaction(ends[i].number, NULL, &before) || before.sa_handler == SIG_IGN ||
			sigaction(ends[i].number, &action, NULL))
			continue;
	signal(SIGXFSZ, SIG_IGN);
	signal(SIGBUS, end_by_lost_file);
}

/* --- signals that are requests --- */

void process_stoppable(bool is)
{
	stoppable = is;
}

bool process_stop_asked(void)
{
	return asked;
}

static void leave_interrupted(int status)
{
	(void)status;
	if (left_to_others) {
		signal(SIGINT, SIG_DFL);
		raise(SIGINT);
	}
}

void process_awaits(bool does)
{
	if (ranks_launched())
		return;
	awaits = does;
	die_leaves = does ? leave_interrupted : NULL;
	if (!does)
		left_to_others = false;
}

static int signal_pipe[2] = {-1, -1};

static void write_number(int number)
{
	const unsigned char byte = (unsigned char)number;
	const int before = errno;
	ssize_t written = write(signal_pipe[1], &byte, 1); /* where the pipe is full there is enough to do */
	(void)written;
	errno = before;
}

int process_signals(const int numbers[])
{
	const struct sigaction action = {.sa_handler = write_number, .sa_flags = SA_RESTART};
	if (pipe2(signal_pipe, O_CLOEXEC | O_NONBLOCK))
		die_errno("pipe");
	for (; *numbers; numbers++)
		if (sigaction(*numbers, &action, NULL))
			die_errno("signal %d", *numbers);
	return signal_pipe[0];
}

static void check_stdout(void)
{
	die_status = 1;
	/* an output (output.h) may have closed it, and one that was interrupted is closed */
	if (fflush(stdout) || (fclose(stdout) && errno != EBADF && errno != EINTR))
		die_errno("stdout");
}

void process_begin(void)
{
	program_name = program_invocation_short_name;
	take_standard_descriptors();
	json_set_alloc_funcs(xmalloc, free);
	make_stderr_lines();
	handle_signals();
	if (atexit(check_stdout))
		die_memory(0, 0);
}
