#include "stream/progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

bool progress_quiet;

void progress_start(struct progress *progress, const char *what, int64_t total)
{
	*progress = (struct progress){.what = what, .total = total};
	progress->started = progress->last = seconds_now();
}

void progress_at(struct progress *progress, int64_t done, const char *note)
{
	if (progress_quiet)
		return;
	double now = seconds_now();
	bool terminal = isatty(STDERR_FILENO);
	if (now - progress->last < (terminal ? 0.2 : 30))
		return;
	progress->last = now;
	double rate = (double)done / (now - progress->started);
	char total[32] = "", left[32] = "";
	if (progress->total > 0 && rate > 0) {
		snprintf(total, sizeof total, " of %lld", (long long)progress->total);
		snprintf(left, sizeof left, ", %.0f s left", (double)(progress->total - done) / rate);
	}
	fprintf(stderr, "%s%s: %lld%s %s, %.*f/s%s%s%s%s", terminal ? "\r\033[K" : "", program_name, (long long)done, total,
		progress->what, rate < 10 ? 1 : 0, rate, left, note ? ", " : "", note ? note : "", terminal ? "" : "\n");
	progress->drawn = terminal;
}

void progress_end(struct progress *progress)
{
	if (progress->drawn)
		fputs("\r\033[K", stderr);
	progress->drawn = false;
}

void notice(const char *format, ...)
{
	if (progress_quiet)
		return;
	char text[1024];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	fprintf(stderr, "%s%s: %s\n", isatty(STDERR_FILENO) ? "\r\033[K" : "", program_name, text);
}
