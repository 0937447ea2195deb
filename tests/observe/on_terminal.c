/* SPDX-License-Identifier: MIT */
/*
 * on_terminal ROWS COLUMNS KEYS COMMAND...: run a command on a terminal of its own. The keys
 * are pressed one by one, with 0.4 seconds before each. What the command drew goes to the standard
 * output, and its exit code is the exit code.
 */
#include <poll.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int main(int argc, char **argv)
{
	struct winsize size = {0};
	const char *keys;
	long next;
	int fd, status;
	pid_t pid;

	if (argc < 5)
		return 2;
	alarm(60);
	next = now_ms() + 400;
	size.ws_row = (unsigned short)atoi(argv[1]);
	size.ws_col = (unsigned short)atoi(argv[2]);
	keys = argv[3];
	pid = forkpty(&fd, NULL, NULL, &size);
	if (!pid) {
		execvp(argv[4], argv + 4);
		_exit(127);
	}
	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		char buf[4096];
		ssize_t n;

		if (*keys && now_ms() >= next) {
			if (write(fd, keys++, 1) != 1)
				break;
			next += 400;
		}
		if (!poll(&p, 1, 50))
			continue;
		n = read(fd, buf, sizeof(buf)); /* EIO: the command has ended */
		if (n <= 0)
			break;
		fwrite(buf, 1, (size_t)n, stdout);
	}
	close(fd);
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
