/* Which recpipe this is. */
#ifndef RECPIPE_VERSION_H
#define RECPIPE_VERSION_H

/* As "0.2.0". */
extern const char recpipe_version[];
/* What it was built from, as git abbreviates it, with + where more was changed than committed; "" from a tarball. */
extern const char recpipe_commit[];

#endif
