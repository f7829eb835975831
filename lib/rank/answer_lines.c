#include "rank/answer_lines.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stream/descriptor.h"

/* Lines of stdin, and the answer to the one at hand. */
struct service {
	const struct advisor *advisor;
	const struct listing *listing;
	char input[1 << 16]; /* read and not yet taken: [taken, filled) */
	size_t taken, filled;
	char *line; /* QUESTION_BYTES */
	size_t length;
	int64_t number;
	bool is_too_long, is_told;
	struct question question;
	struct answer found;
	struct buffer answer;
};

/* The next byte of stdin; EOF at its end. */
static int next_byte(struct service *service)
{
	if (service->taken == service->filled) {
		ssize_t got = descriptor_read(STDIN_FILENO, service->input, sizeof service->input);
		if (got < 0)
			die_errno("stdin");
		service->taken = 0;
		service->filled = (size_t)got;
		if (!got)
			return EOF;
	}
	return (unsigned char)service->input[service->taken++];
}

/* The next line of stdin; false at the end. Of an over-long line the rest is skipped. */
static bool read_line(struct service *service)
{
	int byte;
	service->length = 0;
	service->is_too_long = false;
	while ((byte = next_byte(service)) != EOF && byte != '\n') {
		if (service->length < QUESTION_BYTES)
			service->line[service->length++] = (char)byte;
		else
			service->is_too_long = true;
	}
	if (service->length && service->line[service->length - 1] == '\r')
		service->length--;
	service->number++;
	return byte != EOF || service->length;
}

static void tell_unknown(const struct service *service)
{
	const struct question *question = &service->question;
	if (question->n_unknown == 1)
		warn("stdin: line %" PRId64 ": unknown item \"%.200s\"", service->number, question->unknown.data);
	else if (question->n_unknown)
		warn("stdin: line %" PRId64 ": %s, the first is \"%.200s\"", service->number,
			counted(question->n_unknown, "unknown items"), question->unknown.data);
}

/* Whether the answer's entries need tabs between them. */
static bool wants_tabs(const struct service *service)
{
	const char *tab = memchr(service->line, '\t', service->length);
	if (tab && memchr(tab + 1, '\t', service->length - (size_t)(tab + 1 - service->line)))
		return true;
	for (int32_t i = 0; i < service->found.n; i++)
		if (strchr(strings_at(&service->advisor->catalog->item_id, service->found.item[i]), ' '))
			return true;
	return false;
}

static void write_entries(struct service *service)
{
	const char *separator = wants_tabs(service) ? "\t" : " ";
	for (int32_t i = 0; i < service->found.n; i++) {
		const char *id = strings_at(&service->advisor->catalog->item_id, service->found.item[i]);
		const size_t room = strlen(id) + 32;
		char *text = buffer_add(&service->answer, room);
		int used = snprintf(text, room, "%s%s:%.9g", i ? separator : "", id, service->found.score[i]);
		service->answer.size -= room - (size_t)used;
	}
	buffer_append(&service->answer, "\n", 1);
}

static void write_json(struct service *service, const char *reason)
{
	json_t *answer = answer_json(&service->found, &service->question, service->listing, reason);
	char *text = json_text(answer);
	buffer_append(&service->answer, text, strlen(text));
	free(text);
	json_decref(answer);
}

static void find(struct service *service)
{
	if (!answer_find(&service->found, service->advisor, &service->question))
		die("model: the scores for user %s are not finite", service->question.user.data);
}

/* Once: what was asked for beside each item is not in a line of items. */
static void tell_places(struct service *service)
{
	const struct listing *listing = service->listing;
	const char *option = listing->has_why ? "--why" : listing->fields ? "--fields" : NULL;
	if (option && !service->is_told)
		warn("stdin: line %" PRId64 ": what %s adds stands in answers to JSON alone: {\"user\": ...}, or "
			 "{\"history\": [...]}",
			service->number, option);
	service->is_told = true;
}

static void answer_line(struct service *service)
{
	char reason[REASON];
	const bool is_json = service->length && *service->line == '{';
	if (!is_json)
		tell_places(service);
	bool is_right = !service->is_too_long &&
		question_of_line(&service->question, service->advisor, service->line, service->length, reason);
	if (service->is_too_long) {
		question_clear(&service->question, service->advisor);
		snprintf(reason, sizeof reason, "longer than %d bytes: not answered", QUESTION_BYTES);
	}
	if (!is_right)
		warn("stdin: line %" PRId64 ": %s", service->number, reason);
	else
		tell_unknown(service);
	service->found.n = 0;
	if (is_right)
		find(service);
	service->answer.size = 0;
	if (is_json) {
		write_json(service, is_right ? NULL : reason);
		return;
	}
	const char *tab = memchr(service->line, '\t', service->length);
	buffer_append(&service->answer, service->line, tab ? (size_t)(tab - service->line) : service->length);
	buffer_append(&service->answer, "\t", 1);
	write_entries(service);
}

void answer_lines(const struct advisor *advisor, const struct listing *listing, struct output *output)
{
	struct service *service = xcalloc(1, sizeof *service);
	service->advisor = advisor;
	service->listing = listing;
	service->line = xmalloc(QUESTION_BYTES);
	while (read_line(service)) {
		answer_line(service);
		output_write(output, service->answer.data, service->answer.size);
	}
	question_free(&service->question);
	buffer_free(&service->answer);
	free(service->line);
	answer_free(&service->found);
	free(service);
}
