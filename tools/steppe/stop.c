/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/steppe/stop.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "tools/steppe/exitcode.h"

static atomic_bool asked;
static int bell[2] = {-1, -1};

static void on_signal(int number)
{
	(void)number;
	int saved = errno;
	if (atomic_exchange(&asked, true))
		_exit(ENDED_INTERRUPTED);
	stop_ring();
	errno = saved;
}

int stop_catch(void)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	if (bell[0] < 0 && pipe2(bell, O_CLOEXEC | O_NONBLOCK))
		return -errno;
	sigemptyset(&action.sa_mask);
	const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	for (int i = 0; i < 3; i++)
		if (sigaction(signals[i], &action, NULL))
			return -errno;
	return 0;
}

bool stop_asked(void)
{
	return atomic_load_explicit(&asked, memory_order_relaxed);
}

void stop_wait(int ms)
{
	struct pollfd p = {.fd = bell[0], .events = POLLIN};
	char drained[64];
	if (poll(&p, 1, ms) == 1 && p.revents)
		while (read(bell[0], drained, sizeof(drained)) > 0)
			;
}

void stop_ring(void)
{
	/* a full pipe rings anyway */
	if (bell[1] >= 0 && write(bell[1], "", 1) < 0)
		return;
}
