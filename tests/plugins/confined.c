/* A native transform for tests: puts before the message what the kernel answers to calls that a filter has no use for. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pop3d_transform.h"

/* The file that nobody may write. */
static char elsewhere[4096];

static void tell(const pop3d_host *host, const char *what, long result)
{
    char line[128];
    int length = snprintf(line, sizeof line, "%s: %s\n", what, result >= 0 ? "done" : strerrorname_np(errno));
    host->write(host->ctx, (const uint8_t *)line, (size_t)length);
}

static int32_t configure(const pop3d_host *host, const pop3d_option *options, size_t count, void **made)
{
    (void)host;
    for (size_t i = 0; i < count; i++)
        if (options[i].key.len == 9 && options[i].value.len < sizeof elsewhere)
            memcpy(elsewhere, options[i].value.ptr, options[i].value.len);
    *made = elsewhere;
    return 0;
}

static void release(void *state)
{
    (void)state;
}

static int32_t begin(void *state, const pop3d_host *host, const pop3d_message *message, void **made)
{
    (void)message;
    *made = state;
    tell(host, "unshare", syscall(SYS_unshare, 0));
    tell(host, "keyctl", syscall(SYS_keyctl, 0, 0, 0));
    tell(host, "ptrace", ptrace(PTRACE_CONT, getpid(), 0, 0));
    tell(host, "io_uring", syscall(SYS_io_uring_setup, 1, NULL));
    tell(host, "signal", kill(getppid(), 0));
    tell(host, "own signal", kill(getpid(), 0));
    tell(host, "packets", socket(AF_NETLINK, SOCK_RAW, 0));
    tell(host, "connection", socket(AF_INET, SOCK_STREAM, 0));
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    tell(host, "fork", child);
    if (child > 0)
        waitpid(child, NULL, 0);
    tell(host, "write", open(elsewhere, O_WRONLY | O_CREAT, 0600));
    return POP3D_MORE;
}

static int32_t push(void *self, const pop3d_host *host, const uint8_t *octets, size_t length)
{
    (void)self;
    return host->write(host->ctx, octets, length);
}

static int32_t finish(void *self, const pop3d_host *host)
{
    (void)self;
    (void)host;
    return POP3D_MORE;
}

static void end(void *self)
{
    (void)self;
}

POP3D_EXPORT const pop3d_transform pop3d_transform_v1 = {
    POP3D_TRANSFORM_ABI, sizeof(pop3d_transform), 0, "confined", "1", "for tests", configure, release, begin,
    push, finish, end,
};
