/*
 * Files by what is in them: where results depend on a file, its path says too much and too little.
 */
#ifndef RECPIPE_CONTENTS_H
#define RECPIPE_CONTENTS_H

#include <stdint.h>

/*
 * Of a regular file its bytes; of a folder the names and bytes of the regular files in it, in the order of their names.
 * Dies where something cannot be read.
 */
uint64_t contents_fingerprint(const char *path);

#endif
