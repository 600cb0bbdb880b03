/* A file that is written to, renamed and removed. */
#include <fcntl.h>

#include "check.h"

static unsigned told(int kq)
{
	struct kevent event;

	CHECK(kevent(kq, NULL, 0, &event, 1, &DEADLINE) == 1);
	CHECK(event.filter == EVFILT_VNODE);
	return event.fflags;
}

int main(void)
{
	char name[] = "/tmp/wakeful-XXXXXX", renamed[sizeof name + 2];
	struct kevent change;
	int fd, kq;

	CHECK((fd = mkstemp(name)) >= 0);
	CHECK((kq = kqueue1(O_CLOEXEC)) >= 0);
	CHECK(fcntl(kq, F_GETFD) & FD_CLOEXEC);
	EV_SET(&change, fd, EVFILT_VNODE, EV_ADD | EV_CLEAR,
	    NOTE_WRITE | NOTE_EXTEND | NOTE_RENAME | NOTE_DELETE, 0, NULL);
	CHECK(kevent(kq, &change, 1, NULL, 0, NULL) == 0);
	CHECK(write(fd, "hello world", 11) == 11);
	CHECK(told(kq) == (NOTE_WRITE | NOTE_EXTEND));
	snprintf(renamed, sizeof renamed, "%s-2", name);
	CHECK(rename(name, renamed) == 0);
	CHECK(told(kq) == NOTE_RENAME);
	CHECK(unlink(renamed) == 0);
	CHECK(told(kq) == NOTE_DELETE);
	return 0;
}
