/* The program of the tests' images: an HTTP server that tells what it sees, or a job.
 *
 *   server serve PORT        GET /healthz  200, or 503 while /tmp/sick exists or HEALTH=bad
 *                            GET /env      its environment       GET /id    uid:gid and host name
 *                            GET /read/P   the file /P           GET /stat/P  mode uid gid
 *                            GET /write/P  appends a line to /P  GET /exit/N  ends with status N
 *                            GET /get/HOST/PORT/P  what another server answers at /P
 *   server job STATUS TEXT…  prints TEXT and its rank, ends with STATUS
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

static void answer(FILE *out, const char *status) { fprintf(out, "HTTP/1.0 %s\r\nContent-Type: text/plain\r\n\r\n", status); }

static void copy(FILE *from, FILE *to)
{
    char piece[4096];
    size_t n;
    while ((n = fread(piece, 1, sizeof piece, from)) > 0)
        fwrite(piece, 1, n, to);
}

static void fetch(FILE *out, char *rest)
{
    char *host = strtok(rest, "/"), *port = strtok(NULL, "/"), *path = strtok(NULL, "");
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found = NULL;
    int link = -1;
    if (host && port && getaddrinfo(host, port, &hints, &found) == 0 && (link = socket(AF_INET, SOCK_STREAM, 0)) >= 0 &&
        connect(link, found->ai_addr, found->ai_addrlen) == 0) {
        dprintf(link, "GET /%s HTTP/1.0\r\n\r\n", path ? path : "");
        FILE *in = fdopen(link, "r");
        copy(in, out);
        fclose(in);
        return;
    }
    answer(out, "502 Bad Gateway");
}

static void serve_one(FILE *out, char *path)
{
    char *name = strchr(path + 1, '/');
    struct stat about;
    FILE *file;
    if (strcmp(path, "/healthz") == 0) {
        const char *health = getenv("HEALTH");
        answer(out, access("/tmp/sick", F_OK) == 0 || (health && strcmp(health, "bad") == 0) ? "503 Sick" : "200 OK");
    } else if (strcmp(path, "/env") == 0) {
        answer(out, "200 OK");
        for (char **one = environ; *one; one++)
            fprintf(out, "%s\n", *one);
    } else if (strcmp(path, "/id") == 0) {
        char host[256] = "";
        gethostname(host, sizeof host);
        answer(out, "200 OK");
        fprintf(out, "%d:%d %s\n", (int)getuid(), (int)getgid(), host);
    } else if (name && strncmp(path, "/get/", 5) == 0) {
        fetch(out, name + 1);
    } else if (name && strncmp(path, "/stat/", 6) == 0 && stat(name, &about) == 0) {
        answer(out, "200 OK");
        fprintf(out, "%04o %d %d\n", about.st_mode & 07777, (int)about.st_uid, (int)about.st_gid);
    } else if (name && strncmp(path, "/read/", 6) == 0 && (file = fopen(name, "r"))) {
        answer(out, "200 OK");
        copy(file, out);
        fclose(file);
    } else if (name && strncmp(path, "/write/", 7) == 0 && (file = fopen(name, "a"))) {
        answer(out, "200 OK");
        fprintf(file, "written\n");
        fclose(file);
    } else if (name && strncmp(path, "/exit/", 6) == 0) {
        exit(atoi(name + 1));
    } else {
        answer(out, "404 Not Found");
    }
}

static void stop(int signal)
{
    (void)signal;
    _exit(0);
}

int main(int count, char **arguments)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGTERM, stop); /* the first process of a container has no default handlers */
    signal(SIGINT, stop);
    if (count >= 3 && strcmp(arguments[1], "job") == 0) {
        const char *rank = getenv("RANK"), *size = getenv("WORLD_SIZE");
        for (int i = 3; i < count; i++)
            printf("%s\n", arguments[i]);
        printf("rank %s of %s\n", rank ? rank : "-", size ? size : "-");
        fprintf(stderr, "ends with %s\n", arguments[2]);
        return atoi(arguments[2]);
    }
    int port = count >= 3 ? atoi(arguments[2]) : 8000, yes = 1;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons(port)};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&where, sizeof where) != 0 || listen(listener, 64) != 0)
        return 1;
    printf("listening on %d\n", port);
    for (;;) {
        int link = accept(listener, NULL, NULL);
        char line[4096] = "", *path, *end;
        if (link < 0)
            continue;
        ssize_t n = read(link, line, sizeof line - 1);
        FILE *out = fdopen(link, "w");
        if (n > 0 && (path = strchr(line, ' ')) && (end = strchr(path + 1, ' '))) {
            *end = '\0';
            serve_one(out, path + 1);
        }
        fclose(out);
    }
}
