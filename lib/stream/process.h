/*
 * A process of ours before it does anything, and how it ends. The only file that handles signals.
 */
#ifndef RECPIPE_PROCESS_H
#define RECPIPE_PROCESS_H

#include <stdbool.h>

/*
 * To be called first in main(). From then on
 * - descriptors 0, 1 and 2 are taken, so that no file of ours gets one of them. One that was closed cannot be read or
 *   written, as before, but for 2, which swallows what is said.
 * - libraries that cannot get memory die as we do, and what they say on stderr is lines;
 * - a signal that ends the process removes unfinished files and says so in a line (SIGPIPE: says nothing). A limit on
 *   the size of files (SIGXFSZ) becomes an error of the write that meets it, a mapped file that goes away (SIGBUS) is
 *   one too;
 * - at the end, what could not be written to stdout is an error.
 */
void process_begin(void);
/*
 * Between true and false the first SIGINT or SIGTERM is a request to come to an end, which process_stop_asked() tells
 * from then on; the next one ends the process as ever. What comes within half a second counts as one: timeout(1) sends
 * its signal to the process and to its group.
 */
void process_stoppable(bool is);
bool process_stop_asked(void);
/*
 * Between true and false a stream comes from another process, which a Ctrl-C has reached too: the first SIGINT is left
 * to that, which may end its stream by what it has so far. Where it breaks it off instead, and this process dies of
 * that, it ends by the SIGINT.
 */
void process_awaits(bool does);
/*
 * From now on these signals, 0 behind the last, do not end the process, not even those its parent has ignored. Returns
 * a descriptor, never waiting, from which the numbers of those that come are read, a byte each. To be called once.
 */
int process_signals(const int numbers[]);

#endif
