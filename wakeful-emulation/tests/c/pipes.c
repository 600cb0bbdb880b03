/* A pipe: bytes to read, room to write, and the end of it. */
#include "check.h"

int main(void)
{
	int ends[2], kq;
	struct kevent changes[2], events[4];
	char buffer[16];

	CHECK(pipe(ends) == 0);
	CHECK((kq = kqueue()) >= 0);
	EV_SET(&changes[0], ends[0], EVFILT_READ, EV_ADD, 0, 0, "reader");
	EV_SET(&changes[1], ends[1], EVFILT_WRITE, EV_ADD | EV_ONESHOT, 0, 0, "writer");
	CHECK(kevent(kq, changes, 2, events, 4, &DEADLINE) == 1);
	CHECK(strcmp(events[0].udata, "writer") == 0 && events[0].data > 0);

	CHECK(write(ends[1], "hello", 5) == 5);
	CHECK(kevent(kq, NULL, 0, events, 4, &DEADLINE) == 1);
	CHECK(events[0].ident == (uintptr_t)ends[0] && events[0].filter == EVFILT_READ);
	CHECK(events[0].data == 5 && strcmp(events[0].udata, "reader") == 0);
	CHECK(read(ends[0], buffer, sizeof buffer) == 5);

	close(ends[1]);
	CHECK(kevent(kq, NULL, 0, events, 4, NULL) == 1);
	CHECK(events[0].flags & EV_EOF);

	/* What is wrong is said where there is room for it, else by errno. */
	EV_SET(&changes[0], 1000, EVFILT_READ, EV_ADD, 0, 0, NULL);
	CHECK(kevent(kq, changes, 1, events, 4, NULL) == 1);
	CHECK((events[0].flags & EV_ERROR) && events[0].data == EBADF);
	CHECK(kevent(kq, changes, 1, NULL, 0, NULL) == -1 && errno == EBADF);
	close(kq);
	CHECK(kevent(kq, NULL, 0, events, 4, &DEADLINE) == -1 && errno == EBADF);
	return 0;
}
