#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "nn/blas.h"
#include "stream/util.h"

/* Other libraries than OpenBLAS do not have them. */
extern void *blas_memory_alloc(int) __attribute__((weak));
extern void blas_memory_free(void *) __attribute__((weak));
extern char *openblas_get_config(void) __attribute__((weak));
extern int openblas_get_parallel(void) __attribute__((weak));
extern void openblas_set_num_threads(int) __attribute__((weak));

#define WITH_OPENMP 2 /* what openblas_get_parallel() says of that flavour */
#define LONG_ENOUGH 1 /* second of processor time for what takes milliseconds */

/*
 * With more threads than it was built for OpenBLAS writes a warning, once, when it makes room for more buffers; it says
 * nothing that one could do, and where there is no room it is the first of two lines. So it writes into nowhere then.
 */
static int kept_stderr = -1;

static bool is_built_for(int threads)
{
	const char *most = openblas_get_config ? strstr(openblas_get_config(), "MAX_THREADS=") : NULL;
	return !most || threads <= atoi(most + strlen("MAX_THREADS="));
}

static void mute(void)
{
	const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (nowhere < 0)
		return;
	kept_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (kept_stderr >= 0)
		dup2(nowhere, STDERR_FILENO);
	close(nowhere);
}

/* In handlers of signals, too. */
static void unmute(void)
{
	if (kept_stderr < 0)
		return;
	dup2(kept_stderr, STDERR_FILENO);
	close(kept_stderr);
	kept_stderr = -1;
}

/*
 * Where there is no room for a buffer OpenBLAS asks for it again, and again, for ever. So it gets its buffers while
 * time is kept: when it is loaded, which is before main(), and at once for all threads there will be.
 */
static void end_waiting(int signal_number)
{
	(void)signal_number;
	unmute();
	program_name = program_invocation_short_name;
	last_words("OpenBLAS gets no memory for its buffers: more address space (ulimit -v) or fewer threads (-j, and "
			   "OMP_NUM_THREADS when it starts) are needed");
	leave(1);
}

static void keep_time(bool on)
{
	const struct itimerval time = {.it_value.tv_sec = on ? LONG_ENOUGH : 0};
	if (on)
		signal(SIGPROF, end_waiting);
	setitimer(ITIMER_PROF, &time, NULL);
	if (!on)
		signal(SIGPROF, SIG_DFL);
}

#ifndef __SANITIZE_ADDRESS__ /* which is not ready so early */
static void before_libraries_start(int argc, char **argv, char **environment)
{
	(void)argc, (void)argv, (void)environment;
	keep_time(true);
}
__attribute__((section(".preinit_array"), used)) static void (*const before_libraries)(int, char **,
	char **) = before_libraries_start;
#endif

__attribute__((constructor)) static void after_libraries_started(void)
{
	keep_time(false);
}

void blas_reserve(int threads)
{
	if (!blas_memory_alloc || !blas_memory_free)
		return;
	void **buffer = xcalloc((size_t)threads, sizeof *buffer);
	keep_time(true);
	/* those it keeps for its own threads, in products outside of a team; besides, one for each member of a team */
	if (openblas_get_parallel && openblas_set_num_threads && openblas_get_parallel() == WITH_OPENMP)
		openblas_set_num_threads(threads);
	if (!is_built_for(threads))
		mute();
	int n = 0;
	while (n < threads && (buffer[n] = blas_memory_alloc(0)))
		n++;
	unmute();
	if (n < threads)
		die("-j %d: OpenBLAS has no buffers for so many threads", threads);
	for (int i = 0; i < threads; i++)
		blas_memory_free(buffer[i]);
	keep_time(false);
	free(buffer);
}
