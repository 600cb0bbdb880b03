/* A child, a signal and a timer in one wait. */
#include <signal.h>
#include <sys/wait.h>

#include "check.h"

int main(void)
{
	struct kevent changes[3], events[3];
	int kq, count, seen = 0, status;
	pid_t child;

	CHECK((kq = kqueuex(KQUEUE_CLOEXEC)) >= 0);
	CHECK((child = fork()) >= 0);
	if (child == 0) {
		pause();
		_exit(1);
	}
	signal(SIGUSR1, SIG_IGN);
	EV_SET(&changes[0], child, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, NULL);
	EV_SET(&changes[1], SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0, NULL);
	EV_SET(&changes[2], 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_USECONDS, 500, NULL);
	CHECK(kevent(kq, changes, 3, NULL, 0, NULL) == 0);
	raise(SIGUSR1);
	raise(SIGUSR1);
	CHECK(kill(child, SIGTERM) == 0);
	while (seen != 7) {
		CHECK((count = kevent(kq, NULL, 0, events, 3, &DEADLINE)) > 0);
		while (count-- > 0) {
			struct kevent *event = &events[count];
			switch (event->filter) {
			case EVFILT_PROC:
				CHECK(event->ident == (uintptr_t)child && (event->fflags & NOTE_EXIT));
				CHECK(WIFSIGNALED(event->data) && WTERMSIG(event->data) == SIGTERM);
				seen |= 1;
				break;
			case EVFILT_SIGNAL:
				CHECK(event->ident == SIGUSR1 && event->data == 2);
				seen |= 2;
				break;
			case EVFILT_TIMER:
				CHECK(event->ident == 1 && event->data == 1);
				seen |= 4;
				break;
			}
		}
	}
	CHECK(waitpid(child, &status, 0) == child);
	return 0;
}
