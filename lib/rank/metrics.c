#include "rank/metrics.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "stream/descriptor.h"

static const unsigned codes[METRICS_N_CODES] = METRICS_CODES;
static const double buckets[METRICS_N_BUCKETS] = METRICS_BUCKETS;

void metrics_count(struct metrics *metrics, int path, unsigned code, double seconds)
{
	int which = 0, bucket = 0;
	while (which < METRICS_N_CODES - 1 && codes[which] != code)
		which++;
	while (bucket < METRICS_N_BUCKETS && seconds > buckets[bucket])
		bucket++;
	metrics->requests[path][which]++;
	metrics->faster[path][bucket]++;
	metrics->nanoseconds[path] += (long long)(seconds * 1e9);
}

static void PRINTF_LIKE(2, 3) add(struct buffer *text, const char *format, ...)
{
	char line[256];
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(line, sizeof line, format, arguments);
	va_end(arguments);
	buffer_append(text, line, length < (int)sizeof line ? (size_t)length : sizeof line - 1);
}

static void add_histogram(struct metrics *metrics, int path, const char *name, struct buffer *text)
{
	long long sum = 0;
	for (int i = 0; i <= METRICS_N_BUCKETS; i++) {
		sum += metrics->faster[path][i];
		if (i < METRICS_N_BUCKETS)
			add(text, "recpipe_request_seconds_bucket{path=\"%s\",le=\"%g\"} %lld\n", name, buckets[i], sum);
		else
			add(text, "recpipe_request_seconds_bucket{path=\"%s\",le=\"+Inf\"} %lld\n", name, sum);
	}
	add(text, "recpipe_request_seconds_sum{path=\"%s\"} %.9g\n", name, 1e-9 * (double)metrics->nanoseconds[path]);
	add(text, "recpipe_request_seconds_count{path=\"%s\"} %lld\n", name, sum);
}

static void add_counter(struct buffer *text, const char *name, long long value)
{
	add(text, "# TYPE %s counter\n%s %lld\n", name, name, value);
}

void metrics_gauge(struct buffer *text, const char *name, const char *labels, double value)
{
	add(text, "# TYPE %s gauge\n%s%s %.15g\n", name, name, labels, value);
}

/* What the process has in memory now; 0 where there is no /proc. */
static double resident_bytes(void)
{
	char line[128] = "";
	int fd = descriptor_open("/proc/self/statm", O_RDONLY);
	ssize_t got = fd < 0 ? 0 : descriptor_read(fd, line, sizeof line - 1);
	if (fd >= 0 && !descriptor_close(fd))
		got = 0;
	long long pages = 0;
	return got > 0 && sscanf(line, "%*d %lld", &pages) == 1 ? (double)pages * (double)sysconf(_SC_PAGESIZE) : 0;
}

void metrics_write(struct metrics *metrics, const char *const paths[], struct buffer *text)
{
	add(text, "# TYPE recpipe_requests_total counter\n");
	for (int path = 0; paths[path]; path++)
		for (int i = 0; i < METRICS_N_CODES; i++)
			if (metrics->requests[path][i])
				add(text, "recpipe_requests_total{path=\"%s\",code=\"%u\"} %lld\n", paths[path], codes[i],
					(long long)metrics->requests[path][i]);
	add(text, "# TYPE recpipe_request_seconds histogram\n");
	for (int path = 0; paths[path]; path++)
		add_histogram(metrics, path, paths[path], text);
	add(text,
		"# TYPE recpipe_new_models_total counter\nrecpipe_new_models_total{result=\"taken\"} %lld\n"
		"recpipe_new_models_total{result=\"refused\"} %lld\n",
		(long long)metrics->taken, (long long)metrics->refused);
	add_counter(text, "recpipe_unknown_ids_total", metrics->unknown);
	add_counter(text, "recpipe_connections_closed_total", metrics->closed);
	metrics_gauge(text, "recpipe_connections", "", (double)metrics->connections);
	metrics_gauge(text, "process_resident_memory_bytes", "", resident_bytes());
}
