/* What each of the programs for event ports needs: the first thing that does not hold ends it. */
#include <errno.h>
#include <poll.h>
#include <port.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHECK(holds) do { \
	if (!(holds)) { \
		fprintf(stderr, "%s:%d: %s (errno: %s)\n", __FILE__, __LINE__, #holds, strerror(errno)); \
		exit(1); \
	} \
} while (0)

/* The one event that is there, or comes. No wait lasts longer. */
static inline port_event_t one(int port)
{
	struct timespec deadline = { 10, 0 };
	port_event_t event;

	CHECK(port_get(port, &event, &deadline) == 0);
	return event;
}
