#include "nn/blas.h"

#include <cblas.h>
#include <limits.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nn/cpu.h"
#include "stream/util.h"

/* Other libraries than OpenBLAS do not have them. */
extern char *openblas_get_corename(void) __attribute__((weak));
extern int openblas_get_parallel(void) __attribute__((weak));
extern void openblas_set_num_threads(int) __attribute__((weak));

/* LAPACK's, as Fortran compilers call it: everything by address, and the lengths of strings behind. */
extern void dsyevd_(const char *job, const char *triangle, const int *n, double *a, const int *stride, double *values,
	double *work, const int *work_size, int *integers, const int *n_integers, int *info, size_t, size_t);
extern void spotrf_(const char *triangle, const int *n, float *a, const int *stride, int *info, size_t);
extern void spotri_(const char *triangle, const int *n, float *a, const int *stride, int *info, size_t);

const char *blas_name(void)
{
	return openblas_get_corename ? openblas_get_corename() : "other";
}

/* OpenBLAS's kernels by the level they need; the first of each is what every processor of that level can run. */
static const struct {
	enum cpu level;
	const char *names[4];
} kernels[] = {{CPU_AVX512, {"SkylakeX", "Cooperlake", "SapphireRapids"}}, {CPU_AVX2, {"Haswell", "Zen", "Excavator"}},
	{CPU_NONE, {"Prescott"}}};

/* The entry of kernels[] that has the name; the last where none does. */
static size_t entry_named(const char *name)
{
	size_t entry = 0;
	for (; entry + 1 < COUNT_OF(kernels); entry++)
		for (int i = 0; kernels[entry].names[i]; i++)
			if (!strcasecmp(name, kernels[entry].names[i]))
				return entry;
	return entry;
}

static void choose_kernels(char **argv)
{
#ifdef __x86_64__
	if (!openblas_get_corename || getenv("OPENBLAS_CORETYPE"))
		return;
	size_t wanted = 0;
	while (kernels[wanted].level > cpu_level())
		wanted++;
	if (entry_named(openblas_get_corename()) == wanted || setenv("OPENBLAS_CORETYPE", kernels[wanted].names[0], 1))
		return;
	/* by its own path: started as /proc/self/exe it would be called "exe" by ps and pkill */
	char path[PATH_MAX];
	const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
	if (length < 0)
		return;
	path[length] = '\0';
	execv(path, argv); /* where that fails we are slow, not wrong */
#else
	(void)argv;
#endif
}

/*
 * Of the flavour with threads of its own, that would fight ours: how many it is to use now; 0: the one with OpenMP's.
 */
static int own_threads;

void blas_init(char **argv)
{
	choose_kernels(argv);
	if (openblas_get_parallel && openblas_set_num_threads && openblas_get_parallel() == 1)
		openblas_set_num_threads(own_threads = 1);
}

static int of_large_products = 1;

void blas_set_threads(int threads)
{
	of_large_products = threads;
}

/* Left alone, OpenBLAS would start as many as OpenMP allows even in a team of one. Returns how many there were. */
static int set_threads(int threads)
{
	if (omp_in_parallel())
		return threads;
	int before = own_threads ? own_threads : omp_get_max_threads();
	if (threads == before)
		return before;
	if (own_threads)
		openblas_set_num_threads(own_threads = threads);
	else
		omp_set_num_threads(threads);
	return before;
}

#define WORTH_THREADS (1 << 24) /* multiplications of a product */

int blas_threads(int64_t m, int64_t n, int64_t k)
{
	return omp_in_parallel() || (double)m * (double)n * (double)k < WORTH_THREADS ? 1 : of_large_products;
}

void blas_gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
	int64_t stride_a, const float *b, int64_t stride_b, float beta, float *c, int64_t stride_c)
{
	if (!m || !n)
		return;
	if (m > INT_MAX || n > INT_MAX || k > INT_MAX || stride_a > INT_MAX || stride_b > INT_MAX || stride_c > INT_MAX)
		die("a product of %lld x %lld x %lld is too large", (long long)m, (long long)n, (long long)k);
	int before = set_threads(blas_threads(m, n, k));
	cblas_sgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans, transpose_b ? CblasTrans : CblasNoTrans, (int)m,
		(int)n, (int)k, alpha, a, (int)stride_a, b, (int)stride_b, beta, c, (int)stride_c);
	set_threads(before);
}

#define ROWS_AT_ONCE 128 /* converted to double at a time */

void gram(const float *x, int64_t rows, int64_t n, int64_t stride, double *g)
{
	if (n > INT_MAX / ROWS_AT_ONCE)
		die("a product of %lld x %lld is too large", (long long)n, (long long)n);
	double *block = xaligned((size_t)(ROWS_AT_ONCE * n), sizeof *block);
	int before = set_threads(1);
	for (int64_t from = 0; from < rows; from += ROWS_AT_ONCE) {
		int64_t some = rows - from < ROWS_AT_ONCE ? rows - from : ROWS_AT_ONCE;
		for (int64_t row = 0; row < some; row++)
			for (int64_t i = 0; i < n; i++)
				block[row * n + i] = (double)x[(from + row) * stride + i];
		cblas_dsyrk(CblasRowMajor, CblasLower, CblasTrans, (int)n, (int)some, 1, block, (int)n, 1, g, (int)n);
	}
	set_threads(before);
	free(block);
	for (int64_t i = 0; i < n; i++)
		for (int64_t j = i + 1; j < n; j++)
			g[i * n + j] = g[j * n + i];
}

void symmetric_eigen(double *a, int64_t n, double *values)
{
	if (!n)
		return;
	int size = (int)n, info, n_integers = 0, work_size = -1, query = -1;
	double work_needed;
	if (n > 16384)
		die("eigenvalues of %lld x %lld are too many", (long long)n, (long long)n);
	/* by columns, LAPACK's order, the upper triangle is our lower one, and eigenvectors are our rows */
	dsyevd_("V", "U", &size, a, &size, values, &work_needed, &work_size, &n_integers, &query, &info, 1, 1);
	work_size = (int)work_needed;
	double *work = xcalloc((size_t)work_size, sizeof *work);
	int *integers = xcalloc((size_t)n_integers, sizeof *integers);
	int before = set_threads(1);
	dsyevd_("V", "U", &size, a, &size, values, work, &work_size, integers, &n_integers, &info, 1, 1);
	set_threads(before);
	if (info)
		die("eigenvalues of %lld x %lld: no convergence", (long long)n, (long long)n);
	free(work);
	free(integers);
}

bool positive_inverse(float *a, int64_t n)
{
	int size = (int)n, info = 0;
	if (n > INT_MAX)
		die("an inverse of %lld x %lld is too large", (long long)n, (long long)n);
	int before = set_threads(blas_threads(n, n, n));
	/* by columns, LAPACK's order, the lower triangle is our upper one */
	spotrf_("L", &size, a, &size, &info, 1);
	if (!info)
		spotri_("L", &size, a, &size, &info, 1);
	set_threads(before);
	return !info;
}

void inverse_root(double *a, int64_t n, double ridge, double flat, float *root)
{
	double *values = xreallocarray(NULL, (size_t)n, sizeof *values);
	float *left = xaligned((size_t)(n * n), sizeof *left), *right = xaligned((size_t)(n * n), sizeof *right);
	symmetric_eigen(a, n, values);
	for (int64_t k = 0; k < n; k++) {
		double value = fmax(values[k], 0) + ridge,
			   factor = value > flat * (values[n - 1] + ridge) ? 1 / sqrt(value) : 0;
		for (int64_t i = 0; i < n; i++) {
			left[k * n + i] = (float)(factor * a[k * n + i]);
			right[k * n + i] = (float)a[k * n + i];
		}
	}
	blas_gemm(true, false, n, n, n, 1, left, n, right, n, 0, root, n);
	free(values);
	free(left);
	free(right);
}
