/* A native transform for tests: rot13, and whatever else its option "do" says. */

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pop3d_transform.h"

enum what { ROT13, IDENTITY, DOUBLE, SWALLOW, AT_END, ONE_BY_ONE, PASS, STOP, TEMPORARY, PERMANENT, NONSENSE, CRASH, EXIT,
            HANG, BOMB };

static const char *const NAMES[] = { "rot13", "identity", "double", "swallow", "at-end", "one-by-one", "pass", "stop",
                                     "temporary", "permanent", "nonsense", "crash", "exit", "hang", "bomb" };

struct state {
    enum what what;
    size_t after; /* octets after which it fails */
};

struct instance {
    const struct state *state;
    size_t seen;
    uint8_t *kept;
    size_t length;
};

static int say(const pop3d_host *host, const char *text)
{
    host->error(host->ctx, (const uint8_t *)text, strlen(text));
    return POP3D_PERMANENT;
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
    *made = instance;
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
        instance->kept = realloc(instance->kept, instance->length + length);
        memcpy(instance->kept + instance->length, octets, length);
        instance->length += length;
        return POP3D_MORE;
    case ONE_BY_ONE:
        for (size_t i = 0; i < length; i++)
            host->write(host->ctx, octets + i, 1);
        return POP3D_MORE;
    case STOP:
        host->write(host->ctx, octets, length < 10 ? length : 10);
        return POP3D_STOP;
    case TEMPORARY:
        say(host, "later");
        return POP3D_TEMPORARY;
    case PERMANENT:
        return say(host, "never");
    case NONSENSE:
        return 77;
    case CRASH:
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
    }
    return POP3D_MORE;
}

static int32_t finish(void *self, const pop3d_host *host)
{
    struct instance *instance = self;
    if (instance->length > 0)
        host->write(host->ctx, instance->kept, instance->length);
    return POP3D_MORE;
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
#ifndef TEST_NAME
#define TEST_NAME "filter"
#endif

#ifndef TEST_NO_SYMBOL
POP3D_EXPORT const pop3d_transform pop3d_transform_v1 = {
    TEST_ABI, TEST_SIZE, 0, TEST_NAME, "1", "for tests", configure, release, begin, push, finish, end,
};
#endif
