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

	/* Nobody adds one by hand. */
	EV_SET(&event, (uintptr_t)&operation, EVFILT_AIO, EV_ADD, 0, 0, NULL);
	CHECK(kevent(kq, &event, 1, NULL, 0, &now) == -1);
	return 0;
}
