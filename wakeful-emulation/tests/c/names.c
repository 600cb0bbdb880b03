/* Names that programs for FreeBSD use, as its header has them; filters that there are none of here are refused. */
#include <sys/event.h>

#include "check.h"

int main(void)
{
	static const short refused[] = { EVFILT_PROCDESC, EVFILT_FS, EVFILT_SENDFILE, -EVFILT_SYSCOUNT - 1 };
	struct kevent change;
	unsigned i;
	int kq = kqueue();

	CHECK(EVFILT_PROCDESC == -8 && EVFILT_FS == -9 && EVFILT_LIO == -10 && EVFILT_SENDFILE == -12);
	CHECK(EVFILT_EMPTY == -13 && EVFILT_SYSCOUNT == 13);
	CHECK(EV_SYSFLAGS == 0xf000 && EV_DROP == 0x1000 && EV_FLAG1 == 0x2000 && EV_FLAG2 == 0x4000);
	for (i = 0; i < sizeof refused / sizeof *refused; i++) {
		EV_SET(&change, 0, refused[i], EV_ADD, 0, 0, NULL);
		CHECK(kevent(kq, &change, 1, NULL, 0, NULL) == -1 && errno == EINVAL);
	}
	/* What was reported can be given back as a change, as libuv does with EV_FLAG1 in it. */
	EV_SET(&change, 1, EVFILT_USER, EV_ADD | EV_FLAG1, 0, 0, NULL);
	CHECK(kevent(kq, &change, 1, NULL, 0, NULL) == 0);
	return 0;
}
