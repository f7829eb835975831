#include "stream/ranks.h"

#include <stdlib.h>
#include <unistd.h>

static bool launched;
static int own, all = 1;

bool ranks_launched(void)
{
	return launched;
}

bool ranks_speaks(void)
{
	return !getenv("PMIX_RANK");
}

int ranks_index(void)
{
	return own;
}

int ranks_count(void)
{
	return all;
}

void ranks_share(int64_t n, int64_t unit, int64_t *from, int64_t *to)
{
	int64_t units = (n + unit - 1) / unit;
	*from = units * own / all * unit;
	*to = own == all - 1 ? n : units * (own + 1) / all * unit;
}

#ifdef RECPIPE_MPI

#include <fcntl.h>
#include <mpi.h>
#include <stdlib.h>

#include "stream/util.h"

#define PIECE ((int64_t)1 << 28) /* of what MPI counts in ints */
#define GRACE 2                  /* seconds rank 0 has to say what happened to all */
#define IMPATIENT 1000           /* looks before one sleeps in between */

static int own_stderr;
static int *rows_of, *first_of; /* by rank */

static void end(void)
{
	MPI_Finalize();
}

/* What happens to all ranks, rank 0 tells; the others are heard only where it does not end them meanwhile. */
static void let_first_speak(void)
{
	if (!own)
		return;
	sleep(GRACE);
	dup2(own_stderr, STDERR_FILENO);
}

static void end_all(int status)
{
	MPI_Abort(MPI_COMM_WORLD, status);
}

static void be_silent(void)
{
	int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
	own_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (nowhere < 0 || own_stderr < 0 || dup2(nowhere, STDOUT_FILENO) < 0 || dup2(nowhere, STDERR_FILENO) < 0)
		die_errno("/dev/null");
	close(nowhere);
}

void ranks_begin(void)
{
	int level;
	launched = getenv("PMIX_RANK");
	if (!launched)
		return;
	MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &level);
	MPI_Comm_rank(MPI_COMM_WORLD, &own);
	MPI_Comm_size(MPI_COMM_WORLD, &all);
	atexit(end);
	die_waits = let_first_speak;
	die_leaves = end_all;
	rows_of = xcalloc((size_t)all, sizeof *rows_of);
	first_of = xcalloc((size_t)all, sizeof *first_of);
	if (own)
		be_silent();
}

/* Rank 0's input may be long in coming, and MPI's own waiting would keep a processor busy. */
static void copy_piece(void *data, int size)
{
	MPI_Request request;
	int done = 0;
	MPI_Ibcast(data, size, MPI_BYTE, 0, MPI_COMM_WORLD, &request);
	for (int64_t looks = 0; !done; looks++) {
		if (looks > IMPATIENT)
			usleep(1000);
		MPI_Test(&request, &done, MPI_STATUS_IGNORE);
	}
}

void ranks_copy(void *data, size_t size)
{
	for (size_t at = 0; all > 1 && at < size; at += PIECE)
		copy_piece((char *)data + at, (int)(size - at < PIECE ? size - at : PIECE));
}

/* Summed in one place: on mixed processors too all decide alike by it. */
void ranks_sum(double *number, int n)
{
	if (all == 1)
		return;
	MPI_Reduce(own ? number : MPI_IN_PLACE, number, n, MPI_DOUBLE, MPI_SUM, 0, MPI_COMM_WORLD);
	MPI_Bcast(number, n, MPI_DOUBLE, 0, MPI_COMM_WORLD);
}

void ranks_sum_floats(float *number, int64_t n)
{
	for (int64_t at = 0; all > 1 && at < n; at += PIECE)
		MPI_Allreduce(MPI_IN_PLACE, number + at, (int)(n - at < PIECE ? n - at : PIECE), MPI_FLOAT, MPI_SUM,
			MPI_COMM_WORLD);
}

void ranks_gather(float *rows, int64_t width, int64_t from, int64_t to)
{
	if (all == 1)
		return;
	const int n = (int)(to - from);
	MPI_Datatype row;
	MPI_Allgather(&n, 1, MPI_INT, rows_of, 1, MPI_INT, MPI_COMM_WORLD);
	for (int rank = 1; rank < all; rank++)
		first_of[rank] = first_of[rank - 1] + rows_of[rank - 1];
	MPI_Type_contiguous((int)width, MPI_FLOAT, &row);
	MPI_Type_commit(&row);
	MPI_Allgatherv(MPI_IN_PLACE, 0, row, rows, rows_of, first_of, row, MPI_COMM_WORLD);
	MPI_Type_free(&row);
}

#else

void ranks_begin(void)
{
}

void ranks_copy(void *data, size_t size)
{
	(void)data, (void)size;
}

void ranks_sum(double *number, int n)
{
	(void)number, (void)n;
}

void ranks_sum_floats(float *number, int64_t n)
{
	(void)number, (void)n;
}

void ranks_gather(float *rows, int64_t width, int64_t from, int64_t to)
{
	(void)rows, (void)width, (void)from, (void)to;
}

#endif
