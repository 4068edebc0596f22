// libetpan's low-level POP3, which Claws Mail has its name from and other mail programs are built on.
#include <libetpan/libetpan.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(int status, const char *what)
{
    if (status != MAILPOP3_NO_ERROR) {
        fprintf(stderr, "%s: error %d\n", what, status);
        exit(1);
    }
}

int main(int count, char **arguments)
{
    const char *host = arguments[1], *user = arguments[3], *password = arguments[4];
    const char *security = arguments[6], *mechanism = arguments[7];
    unsigned short port = atoi(arguments[2]);
    int delete = arguments[5][0] == '1';
    mailpop3 *pop = mailpop3_new(0, NULL);
    carray *list;
    (void)count;
    mailpop3_set_timeout(pop, 60);
    if (strcmp(security, "pop3s") == 0)
        check(mailpop3_ssl_connect(pop, host, port), "connect");
    else
        check(mailpop3_socket_connect(pop, host, port), "connect");
    if (strcmp(security, "stls") == 0)
        check(mailpop3_socket_starttls(pop), "STLS");
    if (strcmp(mechanism, "user") == 0)
        check(mailpop3_login(pop, user, password), "login");
    else if (strcmp(mechanism, "apop") == 0)
        check(mailpop3_login_apop(pop, user, password), "APOP");
    else
        check(mailpop3_auth(pop, mechanism, host, NULL, NULL, user, user, password, NULL), mechanism);
    mailpop3_list(pop, &list);
    for (unsigned at = 0; at < carray_count(list); at++) {
        struct mailpop3_msg_info *info = carray_get(list, at);
        char *message, name[32];
        size_t octets;
        check(mailpop3_retr(pop, info->msg_index, &message, &octets), "RETR");
        snprintf(name, sizeof name, "out/%u", info->msg_index);
        FILE *file = fopen(name, "wb");
        fwrite(message, 1, octets, file);
        fclose(file);
        mailpop3_retr_free(message);
        if (delete)
            check(mailpop3_dele(pop, info->msg_index), "DELE");
    }
    check(mailpop3_quit(pop), "QUIT");
    mailpop3_free(pop);
    return 0;
}
