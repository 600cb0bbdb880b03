/*
 * Event ports on Linux: illumos' interface, by wakeful-emulation.
 *
 * Poll bits and error numbers are this system's own. Timers and asynchronous operations that ask for SIGEV_PORT are
 * begun by functions of this library, all others by the system's: hence the names that are redefined below.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef WAKEFUL_PORT_H
#define WAKEFUL_PORT_H

#include <aio.h>
#include <signal.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef WAKEFUL_NO_ILLUMOS_TYPES
/* What illumos' own headers call them. */
typedef unsigned int uint_t;
typedef unsigned short ushort_t;
typedef struct timespec timespec_t;
typedef struct timespec timestruc_t;
typedef struct itimerspec itimerspec_t;
#endif

/* An event that was retrieved. */
typedef struct port_event {
	int portev_events;            /* what happened: by source */
	unsigned short portev_source; /* PORT_SOURCE_* */
	unsigned short portev_pad;
	uintptr_t portev_object;      /* what it is about: by source */
	void *portev_user;            /* the caller's */
} port_event_t;

/* Where a timer or an asynchronous operation reports: what sigev_value points to. */
typedef struct port_notify {
	int portnfy_port;
	void *portnfy_user;
} port_notify_t;

/* A file to watch, and its times as the caller knows them; those that are zero are not compared. */
typedef struct file_obj {
	struct timespec fo_atime;
	struct timespec fo_mtime;
	struct timespec fo_ctime;
	uintptr_t fo_pad[3];
	char *fo_name;                /* its path */
} file_obj_t;

#define PORT_SOURCE_AIO   1 /* the object is a struct aiocb * */
#define PORT_SOURCE_TIMER 2 /* the object is the timer's number */
#define PORT_SOURCE_USER  3 /* there is no object */
#define PORT_SOURCE_FD    4 /* the object is the descriptor */
#define PORT_SOURCE_ALERT 5 /* there is no object */
#define PORT_SOURCE_MQ    6
#define PORT_SOURCE_FILE  7 /* the object is a struct file_obj * */

#define PORT_ALERT_SET    0x01
#define PORT_ALERT_UPDATE 0x02
#define PORT_ALERT_INVALID (PORT_ALERT_SET | PORT_ALERT_UPDATE)

#define SIGEV_PORT 0x504f /* sigev_notify; 4 is something else on Linux */

#define FILE_ACCESS      0x00000001
#define FILE_MODIFIED    0x00000002
#define FILE_ATTRIB      0x00000004
#define FILE_DELETE      0x00000010
#define FILE_RENAME_TO   0x00000020
#define FILE_RENAME_FROM 0x00000040
#define FILE_TRUNC       0x00100000
#define FILE_NOFOLLOW    0x10000000
#define UNMOUNTED        0x20000000
#define MOUNTEDOVER      0x40000000
#define FILE_EXCEPTION (UNMOUNTED | FILE_DELETE | FILE_RENAME_TO | FILE_RENAME_FROM | MOUNTEDOVER)

int port_create(void);
int port_associate(int port, int source, uintptr_t object, int events, void *user);
int port_dissociate(int port, int source, uintptr_t object);
int port_send(int port, int events, void *user);
int port_sendn(int ports[], int errors[], unsigned int nent, int events, void *user);
int port_alert(int port, int flags, int events, void *user);
int port_get(int port, port_event_t *event, struct timespec *timeout);
int port_getn(int port, port_event_t list[], unsigned int max, unsigned int *nget, struct timespec *timeout);

int wakeful_timer_create(clockid_t clock, struct sigevent *sigevent, timer_t *timer);
int wakeful_timer_settime(timer_t timer, int flags, const struct itimerspec *value, struct itimerspec *old);
int wakeful_timer_gettime(timer_t timer, struct itimerspec *value);
int wakeful_timer_getoverrun(timer_t timer);
int wakeful_timer_delete(timer_t timer);
int wakeful_aio_read(struct aiocb *operation);
int wakeful_aio_write(struct aiocb *operation);
int wakeful_aio_fsync(int how, struct aiocb *operation);
ssize_t wakeful_aio_return(struct aiocb *operation);
int wakeful_lio_listio(int mode, struct aiocb *const list[], int count, struct sigevent *sigevent);

#define timer_create     wakeful_timer_create
#define timer_settime    wakeful_timer_settime
#define timer_gettime    wakeful_timer_gettime
#define timer_getoverrun wakeful_timer_getoverrun
#define timer_delete     wakeful_timer_delete
#define aio_read         wakeful_aio_read
#define aio_write        wakeful_aio_write
#define aio_fsync        wakeful_aio_fsync
#define aio_return       wakeful_aio_return
#define lio_listio       wakeful_lio_listio

/* illumos' steady clock. */
#ifndef CLOCK_HIGHRES
#define CLOCK_HIGHRES CLOCK_MONOTONIC
#endif

#ifdef __cplusplus
}
#endif

#endif
