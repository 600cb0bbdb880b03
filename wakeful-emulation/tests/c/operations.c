/* Asynchronous operations that tell a kqueue: EVFILT_AIO. */
#include <aio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/event.h>
#include <unistd.h>

#include "check.h"

int main(void)
{
	char path[] = "/tmp/operations.XXXXXX";
	char out[] = "content", in[16] = "";
	struct timespec deadline = { 10, 0 }, now = { 0, 0 };
	struct aiocb operation;
	struct kevent event;
	int kq = kqueue();
	int fd = mkstemp(path);

	CHECK(kq >= 0 && fd >= 0);
	CHECK(unlink(path) == 0);
	memset(&operation, 0, sizeof operation);
	operation.aio_fildes = fd;
	operation.aio_buf = out;
	operation.aio_nbytes = 7;
	operation.aio_sigevent.sigev_notify = SIGEV_KEVENT;
	operation.aio_sigevent.sigev_notify_kqueue = kq;
	operation.aio_sigevent.sigev_value.sival_ptr = in;
	CHECK(aio_write(&operation) == 0);
	CHECK(kevent(kq, NULL, 0, &event, 1, &deadline) == 1);
	CHECK(event.filter == EVFILT_AIO && event.ident == (uintptr_t)&operation && event.udata == in);
	CHECK(event.flags & EV_EOF);
	CHECK(aio_error(&operation) == 0);
	CHECK(aio_return(&operation) == 7);
	CHECK(kevent(kq, NULL, 0, &event, 1, &now) == 0);

	/* The same struct again, as it is. */
	operation.aio_buf = in;
	operation.aio_nbytes = sizeof in;
	CHECK(aio_read(&operation) == 0);
	CHECK(kevent(kq, NULL, 0, &event, 1, &deadline) == 1);
	CHECK(aio_return(&operation) == 7 && strcmp(in, out) == 0);

	/* A list: an event for all, until all results are taken, and one for each that asks for it. */
	{
		struct aiocb second = operation;
		struct aiocb *list[] = { &operation, &second };
		struct sigevent all;
		struct kevent events[4];
		int i;
		memset(&all, 0, sizeof all);
		all.sigev_notify = SIGEV_KEVENT;
		all.sigev_notify_kqueue = kq;
		all.sigev_value.sival_ptr = list;
		operation.aio_lio_opcode = second.aio_lio_opcode = LIO_READ;
		operation.aio_sigevent.sigev_notify = SIGEV_NONE;
		second.aio_sigevent.sigev_notify = SIGEV_KEVENT;
		second.aio_sigevent.sigev_notify_kqueue = kq;
		second.aio_sigevent.sigev_value.sival_ptr = out;
		for (i = 0; i < 2; i++) {
			int seen = 0;
			CHECK(lio_listio(LIO_NOWAIT, list, 2, &all) == 0);
			while (seen != 3) {
				int count = kevent(kq, NULL, 0, events, 4, &deadline);
				CHECK(count > 0);
				while (count-- > 0) {
					struct kevent *found = &events[count];
					if (found->filter == EVFILT_LIO) {
						CHECK(found->ident == (uintptr_t)list && found->udata == list);
						CHECK((found->flags & EV_EOF) == 0);
						seen |= 1;
					} else {
						CHECK(found->filter == EVFILT_AIO && found->udata == out);
						CHECK(found->ident == (uintptr_t)&second);
						seen |= 2;
					}
				}
			}
			CHECK(aio_return(&second) == 7);
			CHECK(kevent(kq, NULL, 0, events, 4, &now) == 1 && events[0].filter == EVFILT_LIO);
			CHECK(aio_return(&operation) == 7);
			CHECK(kevent(kq, NULL, 0, events, 4, &now) == 0);
		}
	}

	/* Nobody adds one by hand. */
	EV_SET(&event, (uintptr_t)&operation, EVFILT_AIO, EV_ADD, 0, 0, NULL);
	CHECK(kevent(kq, &event, 1, NULL, 0, &now) == -1);
	return 0;
}
