#include "stream/version.h"

/* both come from the Makefile */
const char recpipe_version[] = VERSION;
const char recpipe_commit[] = COMMIT;
