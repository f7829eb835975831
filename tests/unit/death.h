/* That a program ends as it should: with one line. */
#ifndef RECPIPE_TEST_DEATH_H
#define RECPIPE_TEST_DEATH_H

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs body(context) in a child, which must end with `status` and one line that holds `says`. */
static void expect_end(void (*body)(const void *), const void *context, int expected, const char *says)
{
	int said[2], status;
	char line[4096];
	assert_int_equal(pipe(said), 0);
	fflush(stdout);
	pid_t child = fork();
	if (!child) {
		dup2(said[1], STDERR_FILENO);
		body(context);
		_exit(0);
	}
	close(said[1]);
	size_t size = 0;
	for (ssize_t got; (got = read(said[0], line + size, sizeof line - 1 - size)) > 0;)
		size += (size_t)got;
	line[size] = '\0';
	close(said[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != expected || !strstr(line, says) ||
		strchr(line, '\n') != line + size - 1)
		fail_msg("\"%s\" was expected, status %d and this came: %s", says, status, line);
}

/* The same for what die() does. */
static inline void expect_death(void (*body)(const void *), const void *context, const char *says)
{
	expect_end(body, context, 1, says);
}

#endif
