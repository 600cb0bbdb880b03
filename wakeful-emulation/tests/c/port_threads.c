/* Threads that wait at one port: each event goes to one of them, an alert to all. */
#include <pthread.h>

#include "check_port.h"

#define THREADS 4
#define EVENTS 1000

static int port;

static void *work(void *argument)
{
	long *sum = argument;

	for (;;) {
		port_event_t event = one(port);

		if (event.portev_source == PORT_SOURCE_ALERT)
			return NULL;
		*sum += (long)(intptr_t)event.portev_user;
	}
}

int main(void)
{
	pthread_t threads[THREADS];
	long sums[THREADS] = { 0 }, sum = 0;
	int i, ports[2], errors[2];
	unsigned int left = 1;

	CHECK((port = port_create()) >= 0);
	for (i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, work, &sums[i]) == 0);
	for (i = 1; i <= EVENTS; i++)
		CHECK(port_send(port, i, (void *)(intptr_t)i) == 0);
	while (left > 0)
		CHECK(port_getn(port, NULL, 0, &left, NULL) == 0);
	CHECK(port_alert(port, PORT_ALERT_SET, 1, NULL) == 0);
	for (i = 0; i < THREADS; i++) {
		CHECK(pthread_join(threads[i], NULL) == 0);
		sum += sums[i];
	}
	CHECK(sum == (long)EVENTS * (EVENTS + 1) / 2);
	ports[0] = port;
	ports[1] = -1;
	CHECK(port_sendn(ports, errors, 2, 1, NULL) == 1 && errors[0] == 0 && errors[1] == EBADF);
	close(port);
	return 0;
}
