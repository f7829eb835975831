#include "stream/ahead.h"

#include <pthread.h>
#include <string.h>

struct ahead {
	const struct ahead_work *work;
	void *const *batches;
	int n_batches;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int64_t made, taken;
	bool is_last; /* batch made - 1 is */
};

static _Thread_local struct ahead *of_this_thread;

static void publish(struct ahead *ahead, bool is_last)
{
	pthread_mutex_lock(&ahead->lock);
	ahead->made++;
	ahead->is_last = is_last;
	pthread_cond_signal(&ahead->changed);
	pthread_mutex_unlock(&ahead->lock);
}

/* Waits until fewer than `most` batches are made and not taken. */
static void wait_for_room(struct ahead *ahead, int64_t most)
{
	pthread_mutex_lock(&ahead->lock);
	while (ahead->made - ahead->taken >= most)
		pthread_cond_wait(&ahead->changed, &ahead->lock);
	pthread_mutex_unlock(&ahead->lock);
}

/* What was made of the batch at hand is taken, too. */
static void die_behind_batches(void)
{
	struct ahead *ahead = of_this_thread;
	die_in_turn = NULL;
	if (ahead->n_batches == 1) {
		ahead->work->take(ahead->work->context, ahead->batches[0]);
		return;
	}
	publish(ahead, false);
	wait_for_room(ahead, 1);
}

static bool make(struct ahead *ahead, void *batch)
{
	of_this_thread = ahead;
	die_in_turn = die_behind_batches;
	const bool goes_on = ahead->work->make(ahead->work->context, batch);
	die_in_turn = NULL;
	return goes_on;
}

static void *make_all(void *data)
{
	struct ahead *ahead = data;
	bool goes_on = true;
	for (int64_t i = 0; goes_on; i++) {
		wait_for_room(ahead, ahead->n_batches);
		goes_on = make(ahead, ahead->batches[i % ahead->n_batches]);
		publish(ahead, !goes_on);
	}
	return NULL;
}

/* Waits for batch i; false: it is the last. */
static bool wait_for_batch(struct ahead *ahead, int64_t i)
{
	pthread_mutex_lock(&ahead->lock);
	while (ahead->made <= i)
		pthread_cond_wait(&ahead->changed, &ahead->lock);
	const bool is_last = ahead->is_last && ahead->made == i + 1;
	pthread_mutex_unlock(&ahead->lock);
	return !is_last;
}

static void give_back(struct ahead *ahead)
{
	pthread_mutex_lock(&ahead->lock);
	ahead->taken++;
	pthread_cond_signal(&ahead->changed);
	pthread_mutex_unlock(&ahead->lock);
}

static void run_alone(struct ahead *ahead)
{
	bool goes_on;
	do {
		goes_on = make(ahead, ahead->batches[0]);
		ahead->work->take(ahead->work->context, ahead->batches[0]);
	} while (goes_on);
}

static void run_beside(struct ahead *ahead)
{
	pthread_t thread;
	pthread_mutex_init(&ahead->lock, NULL);
	pthread_cond_init(&ahead->changed, NULL);
	const int problem = pthread_create(&thread, NULL, make_all, ahead);
	if (problem)
		die("no thread to read by: %s (-j1 needs none)", strerror(problem));
	bool goes_on = true;
	for (int64_t i = 0; goes_on; i++) {
		goes_on = wait_for_batch(ahead, i);
		ahead->work->take(ahead->work->context, ahead->batches[i % ahead->n_batches]);
		give_back(ahead);
	}
	pthread_join(thread, NULL);
	pthread_mutex_destroy(&ahead->lock);
	pthread_cond_destroy(&ahead->changed);
}

void ahead_run(const struct ahead_work *work, void *const batches[], int n)
{
	struct ahead ahead = {.work = work, .batches = batches, .n_batches = n};
	if (n == 1)
		run_alone(&ahead);
	else
		run_beside(&ahead);
}
