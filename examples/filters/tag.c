/* Puts "[ext] " before the subject, as a native plugin. Octets come in pieces cut anywhere, so that what is
 * known of the line so far is kept between the calls. */
#include <stdlib.h>

#include "pop3d_transform.h"

static const char field[] = "subject:";
static const uint8_t tag[] = " [ext]";

struct message {
    size_t matched; /* octets of `field` that the line began with */
    int other;      /* the line is another field */
    int empty;      /* nothing but CR so far */
};

static int32_t configure(const pop3d_host *host, const pop3d_option *options, size_t count, void **state) {
    (void)host, (void)options, (void)count;
    *state = NULL;
    return 0;
}

static void release(void *state) { (void)state; }

static void begin_line(struct message *m) {
    m->matched = 0;
    m->other = 0;
    m->empty = 1;
}

static int32_t open_message(void *state, const pop3d_host *host, const pop3d_message *message, void **instance) {
    (void)state, (void)host, (void)message;
    struct message *m = malloc(sizeof *m);
    if (m == NULL)
        return POP3D_TEMPORARY;
    begin_line(m);
    *instance = m;
    return POP3D_MORE;
}

/* After the subject, or the header, the rest needs no look: the host copies it, once this piece is written. */
static int32_t push(void *instance, const pop3d_host *host, const uint8_t *ptr, size_t len) {
    struct message *m = instance;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = ptr[i];
        if (c == '\n') {
            if (m->empty)
                return host->write(host->ctx, ptr, len) ? POP3D_CLOSED : POP3D_PASS;
            begin_line(m);
            continue;
        }
        if (c != '\r')
            m->empty = 0;
        if (m->other)
            continue;
        uint8_t lower = c >= 'A' && c <= 'Z' ? c + 32 : c;
        if (lower != (uint8_t)field[m->matched]) {
            m->other = 1;
        } else if (++m->matched == sizeof field - 1) {
            if (host->write(host->ctx, ptr, i + 1) || host->write(host->ctx, tag, sizeof tag - 1) ||
                (i + 1 < len && host->write(host->ctx, ptr + i + 1, len - i - 1)))
                return POP3D_CLOSED;
            return POP3D_PASS;
        }
    }
    return host->write(host->ctx, ptr, len) ? POP3D_CLOSED : POP3D_MORE;
}

static int32_t finish(void *instance, const pop3d_host *host) {
    (void)instance, (void)host;
    return POP3D_MORE;
}

POP3D_EXPORT const pop3d_transform pop3d_transform_v1 = {
    POP3D_TRANSFORM_ABI, sizeof(pop3d_transform), 0, "tag", "1", "puts [ext] before the subject",
    configure, release, open_message, push, finish, free,
};
