/*
 * An event loop as the well-known libraries have it for event ports: what is wanted of each descriptor is kept,
 * every event ends its association, and what is still wanted is associated again before the next wait.
 */
#include "check_port.h"

#define MOST 16

static int port;
static int wanted[MOST * 8];

static void modify(int fd, int events)
{
	if (events)
		CHECK(port_associate(port, PORT_SOURCE_FD, fd, events, &wanted[fd]) == 0);
	else
		CHECK(port_dissociate(port, PORT_SOURCE_FD, fd) == 0 || errno == ENOENT);
	wanted[fd] = events;
}

int main(void)
{
	int pipes[MOST][2], i, total = 0;
	char byte;

	CHECK((port = port_create()) >= 0);
	for (i = 0; i < MOST; i++) {
		CHECK(pipe(pipes[i]) == 0);
		modify(pipes[i][0], POLLIN);
	}
	for (i = 0; i < MOST; i++)
		CHECK(write(pipes[i][1], "three", 3) == 3);

	/* Each is told of as long as there is something to read. */
	while (total < 3 * MOST) {
		port_event_t events[MOST];
		struct timespec timeout = { 10, 0 };
		unsigned int count = 1;

		CHECK(port_getn(port, events, MOST, &count, &timeout) == 0 && count >= 1);
		for (i = 0; i < (int)count; i++) {
			int fd = (int)events[i].portev_object;

			CHECK(events[i].portev_source == PORT_SOURCE_FD);
			CHECK(events[i].portev_events == POLLIN && events[i].portev_user == &wanted[fd]);
			CHECK(read(fd, &byte, 1) == 1);
			total++;
			modify(fd, wanted[fd]);
		}
	}
	/* Nothing is left, and the time is over, which is no success, with none. */
	{
		port_event_t events[MOST];
		struct timespec timeout = { 0, 1000000 };
		unsigned int count = 1;

		CHECK(port_getn(port, events, MOST, &count, &timeout) == -1);
		CHECK(errno == ETIME && count == 0);
	}
	for (i = 0; i < MOST; i++)
		modify(pipes[i][0], 0);
	CHECK(write(pipes[0][1], "x", 1) == 1);
	CHECK(port_send(port, 0, NULL) == 0);
	CHECK(one(port).portev_source == PORT_SOURCE_USER);
	close(port);
	return 0;
}
