/* A timer and an asynchronous operation that tell a port, by SIGEV_PORT. */
#include "check_port.h"

int main(void)
{
	int port, user;
	port_notify_t notify;
	struct sigevent sigevent;
	struct itimerspec every = { { 0, 2000000 }, { 0, 2000000 } };
	port_event_t event;
	timer_t timer;
	struct aiocb operation;
	char content[] = "content", path[] = "/tmp/port-timers-XXXXXX";
	int fd = mkstemp(path);

	CHECK((port = port_create()) >= 0);
	notify.portnfy_port = port;
	notify.portnfy_user = &user;
	memset(&sigevent, 0, sizeof sigevent);
	sigevent.sigev_notify = SIGEV_PORT;
	sigevent.sigev_value.sival_ptr = &notify;
	CHECK(timer_create(CLOCK_HIGHRES, &sigevent, &timer) == 0);
	CHECK(timer_settime(timer, 0, &every, NULL) == 0);
	usleep(20000);
	event = one(port);
	CHECK(event.portev_source == PORT_SOURCE_TIMER && event.portev_user == &user);
	CHECK(event.portev_events >= 5 && timer_getoverrun(timer) == event.portev_events - 1);
	CHECK(timer_delete(timer) == 0);

	CHECK(fd >= 0 && unlink(path) == 0);
	memset(&operation, 0, sizeof operation);
	operation.aio_fildes = fd;
	operation.aio_buf = content;
	operation.aio_nbytes = 7;
	operation.aio_sigevent = sigevent;
	CHECK(aio_write(&operation) == 0);
	event = one(port);
	CHECK(event.portev_source == PORT_SOURCE_AIO && event.portev_object == (uintptr_t)&operation);
	CHECK(aio_error(&operation) == 0 && aio_return(&operation) == 7);
	close(fd);
	close(port);
	return 0;
}
