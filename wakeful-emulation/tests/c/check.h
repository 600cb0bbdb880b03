/* What each of the programs needs: the first thing that does not hold ends it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/event.h>
#include <unistd.h>

#define CHECK(holds) do { \
	if (!(holds)) { \
		fprintf(stderr, "%s:%d: %s (errno: %s)\n", __FILE__, __LINE__, #holds, strerror(errno)); \
		exit(1); \
	} \
} while (0)

/* No wait lasts longer. */
static const struct timespec DEADLINE = { 10, 0 };
