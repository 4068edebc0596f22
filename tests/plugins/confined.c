/* A native transform for tests: puts before the message what the kernel answers to calls that a filter has no use for, and to
 * some that it needs. With PROGRAM a program that does the same, from standard input to standard output: its argument is the
 * file that nobody may write; a second one is where it says all that, in place of standard output, and ends. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
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

/* A kernel that does not have it has not refused it. */
static int present(int result)
{
    return result == -1 && errno == EAFNOSUPPORT ? 0 : result;
}

static void *nothing(void *argument)
{
    return argument;
}

static int thread_done(void)
{
    pthread_t thread;
    errno = pthread_create(&thread, NULL, nothing, NULL);
    if (errno != 0)
        return -1;
    return pthread_join(thread, NULL) == 0 ? 0 : -1;
}

static int memory_done(void)
{
    void *memory = mmap(NULL, 1 << 24, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? -1 : munmap(memory, 1 << 24);
}

/* What the kernel answers: what matters is whether it looks at the call at all, so that some have arguments that are wrong. */
static void try_all(const pop3d_host *host)
{
    struct rlimit limit;
    struct timespec now;
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
    tell(host, "handle", syscall(SYS_name_to_handle_at, AT_FDCWD, "/", NULL, NULL, 0) == -1 && errno == EFAULT ? 0 : -1);
    /* As they are: set, and not changed. */
    if (prlimit(getppid(), RLIMIT_NOFILE, NULL, &limit) != 0)
        getrlimit(RLIMIT_NOFILE, &limit);
    tell(host, "limits", prlimit(getppid(), RLIMIT_NOFILE, &limit, NULL));
    tell(host, "own limits", getrlimit(RLIMIT_NOFILE, &limit) == 0 ? prlimit(getpid(), RLIMIT_NOFILE, NULL, &limit) : -1);
    tell(host, "ciphers", present(socket(AF_ALG, SOCK_SEQPACKET, 0)));
    tell(host, "typing", ioctl(-1, TIOCSTI, "x") == -1 && errno == EBADF ? 0 : -1);
    tell(host, "thread", thread_done());
    tell(host, "memory", memory_done());
    tell(host, "time", clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now));
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
    try_all(host);
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

#ifdef PROGRAM
static int32_t write_out(void *ctx, const uint8_t *octets, size_t length)
{
    return fwrite(octets, 1, length, ctx) == length ? 0 : -1;
}

int main(int count, char **arguments)
{
    char octets[4096];
    size_t length;
    FILE *to = count > 2 ? fopen(arguments[2], "w") : stdout;
    pop3d_host host = { sizeof host, POP3D_TRANSFORM_ABI, to, write_out, NULL, NULL };
    if (to == NULL)
        return 1;
    if (count > 1)
        snprintf(elsewhere, sizeof elsewhere, "%s", arguments[1]);
    try_all(&host);
    while (count <= 2 && (length = fread(octets, 1, sizeof octets, stdin)) > 0)
        fwrite(octets, 1, length, to);
    return fclose(to) == 0 ? 0 : 1;
}
#endif
