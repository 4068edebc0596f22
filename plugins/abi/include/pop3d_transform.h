/* pop3d_transform.h - the C ABI of native pop3d transforms, version 1.
 *
 * A native transform is a shared library that exports ONE data symbol:
 *
 *     const pop3d_transform pop3d_transform_v1 = { ... };
 *
 * Text is UTF-8 as (pointer, length), not NUL-terminated, unless it says so.
 * Memory belongs to whoever allocated it; no pointer outlives the call it was passed to.
 */
#ifndef POP3D_TRANSFORM_H
#define POP3D_TRANSFORM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define POP3D_TRANSFORM_ABI 1u

#if defined(__GNUC__)
#define POP3D_EXPORT __attribute__((visibility("default")))
#else
#define POP3D_EXPORT
#endif

typedef struct pop3d_str {
    const uint8_t *ptr; /* may be NULL when len is 0 */
    size_t len;
} pop3d_str;

typedef struct pop3d_option {
    pop3d_str key;
    pop3d_str value; /* strings as they are; other TOML values as JSON text */
} pop3d_option;

/* Results. 0, 1, 2 say what to do with the rest of the input; negative ones are failures. */
enum {
    POP3D_MORE = 0,       /* keep calling push */
    POP3D_PASS = 1,       /* call finish, then copy the rest of the message unchanged */
    POP3D_STOP = 2,       /* ignore the rest of the input, call finish */
    POP3D_TEMPORARY = -1, /* failed; trying again later may help  (-ERR [SYS/TEMP]) */
    POP3D_PERMANENT = -2, /* failed; an administrator has to act  (-ERR [SYS/PERM]) */
    POP3D_CLOSED = -3     /* host -> transform only: the client is gone, return at once */
};

enum { POP3D_RETR = 0, POP3D_TOP = 1 };
enum { POP3D_LOG_ERROR = 0, POP3D_LOG_WARN = 1, POP3D_LOG_INFO = 2, POP3D_LOG_DEBUG = 3 };

typedef struct pop3d_message {
    uint32_t size;      /* sizeof this struct in the host; read no field beyond it */
    uint32_t number;    /* message number in the session, from 1 */
    uint64_t octets;    /* octets of the message as stored */
    uint32_t command;   /* POP3D_RETR or POP3D_TOP */
    uint32_t top_lines; /* body lines asked for by TOP, else 0 */
    pop3d_str user;
    pop3d_str uid;
    pop3d_str remote;
} pop3d_message;

/* The host's side of one call: valid only until that call returns, only on that thread. */
typedef struct pop3d_host {
    uint32_t size; /* sizeof this struct in the host */
    uint32_t abi;  /* POP3D_TRANSFORM_ABI of the host */
    void *ctx;     /* pass it back as the first argument */
    /* Append output. 0, or POP3D_CLOSED. */
    int32_t (*write)(void *ctx, const uint8_t *ptr, size_t len);
    /* Say why the call is about to fail (kept: the last one, 1,024 bytes). */
    void (*error)(void *ctx, const uint8_t *ptr, size_t len);
    /* One line for the server's log. */
    void (*log)(void *ctx, int32_t level, const uint8_t *ptr, size_t len);
} pop3d_host;

#define POP3D_FLAG_NONBLOCKING 1u /* push never blocks and costs < 1 microsecond per KiB:
                                     the host may call it on its event thread */

typedef struct pop3d_transform {
    uint32_t abi;            /* POP3D_TRANSFORM_ABI */
    uint32_t size;           /* sizeof(pop3d_transform) in the plugin */
    uint64_t flags;          /* POP3D_FLAG_* */
    const char *name;        /* NUL-terminated, [a-z0-9_-]{1,32} */
    const char *version;     /* NUL-terminated, free text */
    const char *description; /* NUL-terminated, one line */

    /* Check the options and make the shared state. Called once per configured transform,
     * again on reload. On failure set nothing, call host->error, return < 0. */
    int32_t (*configure)(const pop3d_host *host, const pop3d_option *options, size_t count,
                         void **state);
    /* Free the state. Called after the last instance was closed. Never NULL. */
    void (*release)(void *state);

    /* Begin one message. May write. `state` is shared: several threads may be in open(), and
     * in push() of other instances, at the same time. On failure no instance exists. */
    int32_t (*open)(void *state, const pop3d_host *host, const pop3d_message *message,
                    void **instance);
    /* The next 1..65536 bytes as stored. One instance is used by one thread at a time,
     * not always the same one. */
    int32_t (*push)(void *instance, const pop3d_host *host, const uint8_t *ptr, size_t len);
    /* End of input. POP3D_MORE on success. */
    int32_t (*finish)(void *instance, const pop3d_host *host);
    /* Free the instance. Always called exactly once after a successful open, whatever happened. */
    void (*close)(void *instance);
} pop3d_transform;

#ifdef __cplusplus
}
#endif
#endif
