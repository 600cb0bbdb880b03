/* Signals that are counted: whatever their disposition is, whenever it is set, and blocked ones each time. */
#include <sys/event.h>

#include <signal.h>
#include <unistd.h>

#include "check.h"

static volatile sig_atomic_t handled;

static void handler(int signal)
{
	(void)signal;
	handled++;
}

static int queue;

static void add(int signal)
{
	struct kevent change;
	EV_SET(&change, signal, EVFILT_SIGNAL, EV_ADD, 0, 0, NULL);
	CHECK(kevent(queue, &change, 1, NULL, 0, NULL) == 0);
}

/* How often a signal came, without waiting for it. */
static int count(int signal)
{
	struct timespec now = { 0, 0 };
	struct kevent event;
	int found = kevent(queue, NULL, 0, &event, 1, &now);
	CHECK(found == 0 || (found == 1 && event.ident == (uintptr_t)signal));
	return found == 0 ? 0 : (int)event.data;
}

/* As libevent does it: the event first, and a signal at once. */
static void dispositions(void)
{
	struct sigaction action = { .sa_handler = SIG_IGN }, old;
	add(SIGUSR1);
	CHECK(sigaction(SIGUSR1, &action, &old) == 0 && old.sa_handler == SIG_DFL);
	CHECK(kill(getpid(), SIGUSR1) == 0 && raise(SIGUSR1) == 0);
	CHECK(count(SIGUSR1) == 2 && count(SIGUSR1) == 0);
	CHECK(signal(SIGUSR1, handler) == SIG_IGN);
	CHECK(raise(SIGUSR1) == 0 && handled == 1 && count(SIGUSR1) == 1);
	action.sa_handler = handler;
	action.sa_flags = SA_RESTART;
	CHECK(sigaction(SIGUSR1, &action, &old) == 0 && old.sa_handler == handler);
	CHECK(sigaction(SIGUSR1, NULL, &old) == 0 && old.sa_handler == handler);
	CHECK((old.sa_flags & (SA_RESTART | SA_SIGINFO)) == SA_RESTART);
	CHECK(raise(SIGUSR1) == 0 && handled == 2 && count(SIGUSR1) == 1);
	CHECK(signal(SIGUSR1, SIG_DFL) == handler && signal(SIGUSR1, SIG_IGN) == SIG_DFL);
	CHECK(raise(SIGUSR1) == 0 && count(SIGUSR1) == 1 && handled == 2);
	CHECK(signal(SIGUSR1, SIG_ERR) == SIG_ERR && signal(1000, SIG_IGN) == SIG_ERR);
}

/* Each is counted, and one stays pending, as elsewhere. */
static void blocked(void)
{
	sigset_t set, pending;
	struct timespec now = { 0, 0 };
	struct kevent event;
	int i, taken = 0, other;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	add(SIGUSR2);
	CHECK(count(SIGUSR2) == 0);
	for (i = 0; i < 3; i++) {
		CHECK(kill(getpid(), SIGUSR2) == 0);
		CHECK(count(SIGUSR2) == 1 && count(SIGUSR2) == 0);
		CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGUSR2) == 1);
		/* Another signal is not mistaken for it. */
		CHECK(raise(SIGURG) == 0 && count(SIGUSR2) == 0);
	}
	/* Each queue reports it. */
	CHECK((other = kqueue()) >= 0);
	EV_SET(&event, SIGUSR2, EVFILT_SIGNAL, EV_ADD, 0, 0, NULL);
	CHECK(kevent(other, &event, 1, NULL, 0, NULL) == 0);
	CHECK(kill(getpid(), SIGUSR2) == 0 && count(SIGUSR2) == 1);
	CHECK(kevent(other, NULL, 0, &event, 1, &now) == 1 && event.data == 1);
	CHECK(kevent(other, NULL, 0, &event, 1, &now) == 0 && count(SIGUSR2) == 0);
	CHECK(close(other) == 0);
	CHECK(sigwait(&set, &taken) == 0 && taken == SIGUSR2);
	CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGUSR2) == 0);
	CHECK(count(SIGUSR2) == 0);
	for (i = 0; i < 3; i++) {
		CHECK(raise(SIGUSR2) == 0);
		CHECK(count(SIGUSR2) == 1 && count(SIGUSR2) == 0);
	}
	/* Unblocked, it is delivered, as it was sent. */
	handled = 0;
	CHECK(signal(SIGUSR2, handler) == SIG_DFL);
	CHECK(sigprocmask(SIG_UNBLOCK, &set, NULL) == 0 && handled == 1);
	/* Of those that are ignored none is kept. */
	CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	CHECK(signal(SIGUSR2, SIG_IGN) == handler);
	count(SIGUSR2);
	for (i = 0; i < 3; i++) {
		CHECK(kill(getpid(), SIGUSR2) == 0 && count(SIGUSR2) == 1);
		CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGUSR2) == 0);
	}
}

/* Each of these stays pending, and is counted once by each queue that was there. */
static void real_time(void)
{
	struct timespec now = { 0, 0 };
	struct kevent event;
	sigset_t set;
	int i, other, signal = SIGRTMIN + 2;
	sigemptyset(&set);
	sigaddset(&set, signal);
	CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	add(signal);
	for (i = 0; i < 3; i++)
		CHECK(sigqueue(getpid(), signal, (union sigval){ .sival_int = i }) == 0);
	CHECK(count(signal) == 3 && count(signal) == 0);
	CHECK((other = kqueue()) >= 0);
	EV_SET(&event, signal, EVFILT_SIGNAL, EV_ADD, 0, 0, NULL);
	CHECK(kevent(other, &event, 1, NULL, 0, NULL) == 0);
	CHECK(sigqueue(getpid(), signal, (union sigval){ .sival_int = i }) == 0);
	CHECK(kevent(other, NULL, 0, &event, 1, &now) == 1 && event.data == 1);
	CHECK(count(signal) == 1 && count(signal) == 0);
	for (i = 0; i < 4; i++) {
		siginfo_t info;
		CHECK(sigtimedwait(&set, &info, &now) == signal && info.si_value.sival_int == i);
	}
	CHECK(close(other) == 0);
}

int main(void)
{
	queue = kqueue();
	CHECK(queue >= 0);
	dispositions();
	blocked();
	real_time();
	return 0;
}
