/* One thread waits, another says that there is something, with flags. */
#include <pthread.h>

#include "check.h"

static void *other(void *at)
{
	struct kevent change;

	EV_SET(&change, 7, EVFILT_USER, 0, NOTE_TRIGGER | NOTE_FFOR | 0x10, 42, NULL);
	CHECK(kevent(*(int *)at, &change, 1, NULL, 0, NULL) == 0);
	return NULL;
}

int main(void)
{
	struct kevent event;
	pthread_t thread;
	int kq;

	CHECK((kq = kqueue()) >= 0);
	EV_SET(&event, 7, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_FFCOPY | 1, 0, NULL);
	CHECK(kevent(kq, &event, 1, NULL, 0, NULL) == 0);
	CHECK(pthread_create(&thread, NULL, other, &kq) == 0);
	CHECK(kevent(kq, NULL, 0, &event, 1, &DEADLINE) == 1);
	CHECK(event.ident == 7 && event.fflags == 0x11 && event.data == 42);
	CHECK(pthread_join(thread, NULL) == 0);
	return 0;
}
