/* "The queue is not inherited by a child created with fork(2)", which can make one of its own. */
#include <sys/wait.h>

#include "check.h"

int main(void)
{
	struct kevent change, event;
	int kq, own, status;
	pid_t child;

	CHECK((kq = kqueue()) >= 0);
	EV_SET(&change, 1, EVFILT_USER, EV_ADD, 0, 0, NULL);
	CHECK(kevent(kq, &change, 1, NULL, 0, NULL) == 0);
	CHECK((child = fork()) >= 0);
	if (child == 0) {
		EV_SET(&change, 1, EVFILT_USER, EV_DELETE, 0, 0, NULL);
		CHECK(kevent(kq, &change, 1, NULL, 0, NULL) == -1 && errno == EBADF);
		CHECK((own = kqueue()) >= 0);
		EV_SET(&change, 2, EVFILT_TIMER, EV_ADD, 0, 1, NULL);
		CHECK(kevent(own, &change, 1, &event, 1, &DEADLINE) == 1 && event.ident == 2);
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	EV_SET(&change, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, NULL);
	CHECK(kevent(kq, &change, 1, &event, 1, &DEADLINE) == 1 && event.ident == 1);
	return 0;
}
