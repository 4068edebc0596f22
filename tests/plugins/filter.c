/* A native transform for tests: rot13, and whatever else its option "do" says. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pop3d_transform.h"

enum what { ROT13, IDENTITY, DOUBLE, SWALLOW, AT_END, ONE_BY_ONE, PASS, STOP, RAGGED, FAIL, TEMPORARY, PERMANENT, NONSENSE,
            CRASH, EXIT, HANG, BOMB, LOOP, EAT, WILD, ABORT, SEVEN, MINUS_NINE, LIE, FLOOD, NOISY, SLOW, NOWHERE,
            TOO_LONG };

static const char *const NAMES[] = { "rot13", "identity", "double", "swallow", "at-end", "one-by-one", "pass", "stop",
                                     "ragged", "fail", "temporary", "permanent", "nonsense", "crash", "exit", "hang",
                                     "bomb", "loop", "eat", "wild", "abort", "seven", "minus-nine", "lie", "flood",
                                     "noisy", "slow", "nowhere", "too-long" };

/* Digits at the beginning of a message: after how many octets FAIL fails. */
#define DIGITS 9

struct state {
    enum what what;
    size_t after; /* octets after which it fails */
};

struct instance {
    const struct state *state;
    size_t seen;
    uint8_t *kept;
    size_t length;
    size_t sent;
    uint32_t random;
};

#ifdef WAITS_FOR
/* Loading takes until a file is there. That it has begun is shown by another one. */
#include <fcntl.h>
__attribute__((constructor)) static void wait_for_a_file(void)
{
    close(open(WAITS_FOR ".begun", O_CREAT | O_WRONLY, 0600));
    while (access(WAITS_FOR, F_OK) != 0)
        usleep(1000);
}
#endif

#ifdef TEST_CONSTRUCTOR
/* Goes wrong while it is loaded. */
__attribute__((constructor)) static void go_wrong(void)
{
    TEST_CONSTRUCTOR;
}
#endif

static int say(const pop3d_host *host, const char *text)
{
    host->error(host->ctx, (const uint8_t *)text, strlen(text));
    return POP3D_PERMANENT;
}

/* Keeps octets for later. */
static void keep(struct instance *instance, const uint8_t *octets, size_t length)
{
    instance->kept = realloc(instance->kept, instance->length + length);
    memcpy(instance->kept + instance->length, octets, length);
    instance->length += length;
}

/* Copies as many octets as the message says by its digits, then fails: for a while or for good, by turns. */
static int32_t copy_and_fail(struct instance *instance, const pop3d_host *host, const uint8_t *octets, size_t length)
{
    size_t edge = 0;
    keep(instance, octets, length);
    if (instance->length < DIGITS)
        return POP3D_MORE;
    for (size_t i = 0; i < DIGITS; i++)
        edge = edge * 10 + (instance->kept[i] - '0');
    size_t upto = edge < instance->length ? edge : instance->length;
    host->write(host->ctx, instance->kept + instance->sent, upto - instance->sent);
    instance->sent = upto;
    if (upto < edge)
        return POP3D_MORE;
    say(host, "as the message says");
    return edge % 2 == 0 ? POP3D_TEMPORARY : POP3D_PERMANENT;
}

static int is(pop3d_str text, const char *name)
{
    return text.len == strlen(name) && memcmp(text.ptr, name, text.len) == 0;
}

static int32_t configure(const pop3d_host *host, const pop3d_option *options, size_t count, void **made)
{
    struct state *state = calloc(1, sizeof *state);
    for (size_t i = 0; i < count; i++) {
        if (is(options[i].key, "do")) {
            size_t name = 0;
            while (name < sizeof NAMES / sizeof *NAMES && !is(options[i].value, NAMES[name]))
                name++;
            if (name == sizeof NAMES / sizeof *NAMES) {
                free(state);
                return say(host, "no such thing to do");
            }
            state->what = (enum what)name;
        } else if (is(options[i].key, "after")) {
            char digits[32] = { 0 };
            memcpy(digits, options[i].value.ptr, options[i].value.len < 31 ? options[i].value.len : 31);
            state->after = strtoul(digits, NULL, 10);
        } else {
            free(state);
            return say(host, "unknown option");
        }
    }
    *made = state;
    return 0;
}

static void release(void *state)
{
    free(state);
}

static int32_t begin(void *state, const pop3d_host *host, const pop3d_message *message, void **made)
{
    struct instance *instance = calloc(1, sizeof *instance);
    instance->state = state;
    instance->random = 1;
    *made = instance;
#ifdef TEST_MARK
    host->write(host->ctx, (const uint8_t *)TEST_MARK "\n", sizeof TEST_MARK);
#endif
    host->log(host->ctx, POP3D_LOG_INFO, message->user.ptr, message->user.len);
    if (instance->state->what == PASS) {
        host->write(host->ctx, (const uint8_t *)"X-Passed: yes\n", 14);
        return POP3D_PASS;
    }
    return POP3D_MORE;
}

static int32_t push(void *self, const pop3d_host *host, const uint8_t *octets, size_t length)
{
    struct instance *instance = self;
    enum what what = instance->state->what;
    uint8_t turned[65536];
    instance->seen += length;
    if (what >= TEMPORARY && instance->seen <= instance->state->after)
        return host->write(host->ctx, octets, length);
    switch (what) {
    case ROT13:
        for (size_t i = 0; i < length; i++) {
            uint8_t letter = octets[i] | 32;
            turned[i] = letter < 'a' || letter > 'z' ? octets[i] : octets[i] + (letter < 'n' ? 13 : -13);
        }
        return host->write(host->ctx, turned, length);
    case IDENTITY:
    case PASS:
        return host->write(host->ctx, octets, length);
    case DOUBLE:
        for (size_t i = 0; i < length; i++) {
            uint8_t two[2] = { octets[i], octets[i] };
            host->write(host->ctx, two, 2);
        }
        return POP3D_MORE;
    case SWALLOW:
        return POP3D_MORE;
    case AT_END:
        keep(instance, octets, length);
        return POP3D_MORE;
    case ONE_BY_ONE:
        for (size_t i = 0; i < length; i++)
            host->write(host->ctx, octets + i, 1);
        return POP3D_MORE;
    case STOP:
        host->write(host->ctx, octets, length < 10 ? length : 10);
        return POP3D_STOP;
    case RAGGED:
        /* In pieces of any length: mostly short ones, now and then a long one. */
        while (length > 0) {
            instance->random = instance->random * 1103515245u + 12345u;
            size_t piece = instance->random >> 8 & (instance->random >> 30 ? 63 : 16383);
            piece = piece < length ? piece : length;
            host->write(host->ctx, octets, piece);
            octets += piece;
            length -= piece;
        }
        return POP3D_MORE;
    case FAIL:
        return copy_and_fail(instance, host, octets, length);
    case TEMPORARY:
        say(host, "later");
        return POP3D_TEMPORARY;
    case PERMANENT:
        return say(host, "never");
    case NONSENSE:
        return 77;
    case CRASH:
        /* The program may have a handler that returns. */
        signal(SIGSEGV, SIG_DFL);
        raise(SIGSEGV);
        return POP3D_MORE;
    case EXIT:
        exit(0);
    case HANG:
        for (;;)
            pause();
    case BOMB:
        while (host->write(host->ctx, turned, sizeof turned) == 0)
            ;
        return POP3D_MORE;
    case FLOOD:
        /* Whatever it is told. */
        for (;;)
            host->write(host->ctx, turned, sizeof turned);
    case NOISY:
        /* Without a line end first, then in lines. */
        for (size_t i = 0; i < 1 << 20; i++)
            fputs("noise on standard error ", stderr);
        for (size_t i = 0; i < 1 << 16; i++)
            fputs("\nnoise", stderr);
        return host->write(host->ctx, octets, length);
    case LOOP:
        for (volatile unsigned i = 0;; i++)
            ;
    case SLOW:
        /* Longer than one that never waits may take. */
        usleep(100000);
        return host->write(host->ctx, octets, length);
    case EAT:
        for (uint8_t *more; (more = malloc(1 << 20)) != NULL;)
            memset(more, 1, 1 << 20);
        abort();
    case WILD:
        *(volatile uint8_t *)(uintptr_t)0x123456789a = 1;
        return POP3D_MORE;
    case ABORT:
        abort();
    case SEVEN:
        return 7;
    case MINUS_NINE:
        return -9;
    case LIE:
        /* What it says is nowhere, or no text and too long, and it goes on as if nothing were wrong. */
        memset(turned, 0xFF, sizeof turned);
        host->error(host->ctx, turned, sizeof turned);
        host->error(host->ctx, NULL, 5);
        host->log(host->ctx, 99, turned, sizeof turned);
        host->log(host->ctx, -99, NULL, 5);
        host->write(host->ctx, NULL, 0);
        return host->write(host->ctx, octets, length);
    case NOWHERE:
    case TOO_LONG:
        /* What it writes is nowhere, and it goes on as if nothing were wrong. */
        host->write(host->ctx, what == NOWHERE ? NULL : octets, what == NOWHERE ? 5 : SIZE_MAX);
        host->write(host->ctx, octets, length);
        return POP3D_MORE;
    }
    return POP3D_MORE;
}

static int32_t finish(void *self, const pop3d_host *host)
{
    struct instance *instance = self;
    if (instance->state->what == AT_END)
        host->write(host->ctx, instance->kept, instance->length);
#ifdef TEST_MARK
    host->write(host->ctx, (const uint8_t *)TEST_MARK "\n", sizeof TEST_MARK);
#endif
    /* Nobody cares which of the answers this is, as long as it is one of the good ones. */
    return instance->state->what == LIE ? POP3D_PASS : POP3D_MORE;
}

static void end(void *self)
{
    struct instance *instance = self;
    free(instance->kept);
    free(instance);
}

#ifndef TEST_ABI
#define TEST_ABI POP3D_TRANSFORM_ABI
#endif
#ifndef TEST_SIZE
#define TEST_SIZE sizeof(pop3d_transform)
#endif
#ifndef TEST_FLAGS
#define TEST_FLAGS 0
#endif
#ifndef TEST_NAME
#define TEST_NAME "filter"
#endif

/* Functions that are left out. */
#ifndef TEST_CONFIGURE
#define TEST_CONFIGURE configure
#endif
#ifndef TEST_RELEASE
#define TEST_RELEASE release
#endif
#ifndef TEST_OPEN
#define TEST_OPEN begin
#endif
#ifndef TEST_PUSH
#define TEST_PUSH push
#endif
#ifndef TEST_FINISH
#define TEST_FINISH finish
#endif
#ifndef TEST_CLOSE
#define TEST_CLOSE end
#endif

#ifndef TEST_NO_SYMBOL
POP3D_EXPORT const pop3d_transform pop3d_transform_v1 = {
    TEST_ABI, TEST_SIZE, TEST_FLAGS, TEST_NAME, "1", "for tests", TEST_CONFIGURE, TEST_RELEASE, TEST_OPEN,
    TEST_PUSH, TEST_FINISH, TEST_CLOSE,
};
#endif
