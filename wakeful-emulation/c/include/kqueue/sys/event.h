/*
 * kqueue on Linux: FreeBSD's interface, by wakeful-emulation.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef WAKEFUL_SYS_EVENT_H
#define WAKEFUL_SYS_EVENT_H

#include <aio.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A change to make, or an event that happened. */
struct kevent {
	uintptr_t ident;    /* what it is about: most often a descriptor */
	short filter;       /* EVFILT_* */
	unsigned short flags; /* EV_* */
	unsigned int fflags; /* the filter's own flags: NOTE_* */
	int64_t data;       /* the filter's own number */
	void *udata;        /* the caller's */
	uint64_t ext[4];    /* for later, and zero */
};

#define EV_SET(at, ident_, filter_, flags_, fflags_, data_, udata_) do { \
	struct kevent *ev_set_at = (at); \
	ev_set_at->ident = (uintptr_t)(ident_); \
	ev_set_at->filter = (filter_); \
	ev_set_at->flags = (flags_); \
	ev_set_at->fflags = (fflags_); \
	ev_set_at->data = (int64_t)(data_); \
	ev_set_at->udata = (void *)(udata_); \
	ev_set_at->ext[0] = ev_set_at->ext[1] = ev_set_at->ext[2] = ev_set_at->ext[3] = 0; \
} while (0)


#define KQUEUE_CLOEXEC   0x1         /* kqueuex: closed at exec. */

#define EVFILT_READ      (-1)        /* Something can be read. */
#define EVFILT_WRITE     (-2)        /* Something can be written. */
#define EVFILT_AIO       (-3)        /* An asynchronous operation has ended: its SIGEV_KEVENT adds this. */
#define EVFILT_VNODE     (-4)        /* Something happens to a file. */
#define EVFILT_PROC      (-5)        /* A process ends. */
#define EVFILT_SIGNAL    (-6)        /* A signal arrives. */
#define EVFILT_TIMER     (-7)        /* A time is over. */
#define EVFILT_PROCDESC  (-8)        /* FreeBSD's process descriptors. Refused: Linux has none. */
#define EVFILT_FS        (-9)        /* File systems are mounted and unmounted. Refused. */
#define EVFILT_LIO       (-10)       /* All operations of a list have ended: the SIGEV_KEVENT of lio_listio adds this. */
#define EVFILT_USER      (-11)       /* The program says so. */
#define EVFILT_SENDFILE  (-12)       /* FreeBSD's own, of sendfile(2). Refused. */
#define EVFILT_EMPTY     (-13)       /* All that was written has left. */
#define EVFILT_SYSCOUNT  13          /* How many filters FreeBSD has: the others are not among them. */
#define EVFILT_EXCEPT    (-64)       /* There is out-of-band data. Not FreeBSD's: others have it, by other numbers. */

#define EV_ADD           0x1         /* Adds the event, or changes it. */
#define EV_DELETE        0x2         /* Takes it out. */
#define EV_ENABLE        0x4         /* Lets it be reported. */
#define EV_DISABLE       0x8         /* Keeps it from being reported. */
#define EV_ONESHOT       0x10        /* Reports it once, and takes it out. */
#define EV_CLEAR         0x20        /* Forgets its state when it has been reported. */
#define EV_RECEIPT       0x40        /* Answers each change with an EV_ERROR, 0 for success. */
#define EV_DISPATCH      0x80        /* Disables it when it has been reported. */
#define EV_FORCEONESHOT  0x100       /* Reports it now, once. */
#define EV_KEEPUDATA     0x200       /* Leaves the caller's pointer as it is. */
#define EV_SYSFLAGS      0xf000      /* What the system keeps for itself. */
#define EV_DROP          0x1000      /* The system's: it is taken out. */
#define EV_FLAG1         0x2000      /* The system's, by the filter. */
#define EV_FLAG2         0x4000      /* The system's, by the filter. */
#define EV_ERROR         0x4000      /* Reported only: the change failed, and data says why. */
#define EV_EOF           0x8000      /* Reported only: the end of the file, or the other side is gone. */

#define NOTE_LOWAT       0x1         /* EVFILT_READ, EVFILT_WRITE: only from so many bytes on. */
#define NOTE_FILE_POLL   0x2         /* EVFILT_READ: a regular file is always readable, as poll(2) has it. */
#define NOTE_OOB         0x2         /* EVFILT_EXCEPT: out-of-band data, which is what it is without any. */
#define NOTE_DELETE      0x1         /* EVFILT_VNODE: unlink(2) was called on it, or another file was renamed over it. */
#define NOTE_WRITE       0x2         /* EVFILT_VNODE: it was written to; of a directory, an entry came or went. */
#define NOTE_EXTEND      0x4         /* EVFILT_VNODE: it has grown; of a directory, an entry was moved in or out. */
#define NOTE_ATTRIB      0x8         /* EVFILT_VNODE: its attributes have changed. */
#define NOTE_LINK        0x10        /* EVFILT_VNODE: its number of links has changed; of a directory, one came into it or left it. */
#define NOTE_RENAME      0x20        /* EVFILT_VNODE: it was renamed. */
#define NOTE_REVOKE      0x40        /* EVFILT_VNODE: its file system was unmounted. */
#define NOTE_OPEN        0x80        /* EVFILT_VNODE: it was opened. */
#define NOTE_CLOSE       0x100       /* EVFILT_VNODE: one that could not write to it was closed. */
#define NOTE_CLOSE_WRITE 0x200       /* EVFILT_VNODE: one that could write to it was closed. */
#define NOTE_READ        0x400       /* EVFILT_VNODE: it was read. */
#define NOTE_EXIT        0x80000000  /* EVFILT_PROC: it has ended; data is its status, as wait(2) has it. */
#define NOTE_FORK        0x40000000  /* EVFILT_PROC: it has forked. */
#define NOTE_EXEC        0x20000000  /* EVFILT_PROC: it has executed another program. */
#define NOTE_TRACK       0x1         /* EVFILT_PROC: follow it when it forks. */
#define NOTE_TRACKERR    0x2         /* EVFILT_PROC: it could not be followed. */
#define NOTE_CHILD       0x4         /* EVFILT_PROC: it is the child of one that is followed. */
#define NOTE_PCTRLMASK   0xf0000000  /* EVFILT_PROC: which of these are flags. */
#define NOTE_PDATAMASK   0xfffff     /* EVFILT_PROC: which of these are a process. */
#define NOTE_SECONDS     0x1         /* EVFILT_TIMER: seconds. */
#define NOTE_MSECONDS    0x2         /* EVFILT_TIMER: milliseconds, which is also what it is without any. */
#define NOTE_USECONDS    0x4         /* EVFILT_TIMER: microseconds. */
#define NOTE_NSECONDS    0x8         /* EVFILT_TIMER: nanoseconds. */
#define NOTE_ABSTIME     0x10        /* EVFILT_TIMER: a time of day. */
#define NOTE_FFNOP       0x0         /* EVFILT_USER: do nothing to the flags. */
#define NOTE_FFAND       0x40000000  /* EVFILT_USER: and them. */
#define NOTE_FFOR        0x80000000  /* EVFILT_USER: or them. */
#define NOTE_FFCOPY      0xc0000000  /* EVFILT_USER: copy them. */
#define NOTE_FFCTRLMASK  0xc0000000  /* EVFILT_USER: which of these. */
#define NOTE_FFLAGSMASK  0xffffff    /* EVFILT_USER: the caller's. */
#define NOTE_TRIGGER     0x1000000   /* EVFILT_USER: report it. */

#ifndef SIGEV_KEVENT
#define SIGEV_KEVENT 3               /* sigev_notify: the kqueue in sigev_notify_kqueue is told. */
#define sigev_notify_kqueue sigev_signo
#endif

int kqueue(void);
int kqueue1(int flags);
int kqueuex(unsigned int flags);
int kevent(int kq, const struct kevent *changelist, int nchanges,
    struct kevent *eventlist, int nevents, const struct timespec *timeout);

/* Asynchronous operations are begun and ended by functions of this library, so that it can tell of them. */
int wakeful_aio_read(struct aiocb *operation);
int wakeful_aio_write(struct aiocb *operation);
int wakeful_aio_fsync(int how, struct aiocb *operation);
ssize_t wakeful_aio_return(struct aiocb *operation);
int wakeful_lio_listio(int mode, struct aiocb *const list[], int count, struct sigevent *sigevent);

#define aio_read         wakeful_aio_read
#define aio_write        wakeful_aio_write
#define aio_fsync        wakeful_aio_fsync
#define aio_return       wakeful_aio_return
#define lio_listio       wakeful_lio_listio

#ifdef __cplusplus
}
#endif

#endif
