/* Puts "[ext] " before the subject, as a program from standard input to standard output. Of the library it needs
 * no more than reading and writing, so that it is as good in WebAssembly as it is by itself. */
#include <stdio.h>
#include <strings.h>

static const char field[] = "subject:";

int main(void) {
    char name[sizeof field];
    size_t known = 0; /* octets of the line that are in `name` */
    int in_header = 1, begins = 1, empty = 1, c;
    while ((c = getchar()) != EOF) {
        putchar(c);
        if (!in_header)
            continue;
        if (c == '\n') {
            in_header = !empty;
            begins = empty = 1;
            known = 0;
            continue;
        }
        if (c != '\r')
            empty = 0;
        if (!begins)
            continue;
        name[known++] = (char)c;
        if (known == sizeof field - 1) {
            if (strncasecmp(name, field, known) == 0) {
                fputs(" [ext]", stdout);
                in_header = 0;
            }
            begins = 0;
        }
    }
    return ferror(stdin) || fflush(stdout) || ferror(stdout);
}
