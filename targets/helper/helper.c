/*
 * The static program that runs inside other people's containers.
 *
 * An image may be FROM scratch: no shell, no curl, no cp. This program is mounted read-only at /.bundle/helper and does
 * the few things a deployment needs in there. It reads no environment, writes no file except through `copy` and `seed`,
 * and everything that touches the network ends at a deadline on the monotonic clock.
 *
 * Exit status: 0 done, 1 not ready or failed (one line says why), 2 usage. `probe` and `wait` give the reason on
 * stdout, because Docker keeps stdout as the health log; the other commands keep stdout for their answer.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { DONE = 0, FAILED = 1, USAGE = 2 };

enum {
    RETRY_MS = 200,           /* pause between two attempts of `wait` */
    ATTEMPT_MS = 4000,        /* `probe` by default, and the most one attempt of `wait` may take */
    DRAIN_MS = 200,           /* how long an answer's body is read, so that the server does not log a reset */
    DRAIN_BYTES = 64 * 1024,
    TIMEOUT_MAX_S = 86400,
    ADDRESSES_MAX = 16,
    HOST_MAX = 253,           /* RFC 1035 section 2.3.4, in presentation form */
    PATH_MAX_BYTES = 2048,
    HEADER_MAX_BYTES = 8192,  /* interim responses together with the status line that ends them */
    DEPTH_MAX = 200,          /* `copy` holds two descriptors per level; the usual limit is 1024 */
    NAME_BYTES = 4096,
    MOUNT_ROOT = 0x2000,      /* STATX_ATTR_MOUNT_ROOT, which musl does not name */
};

static const char usage_text[] =
    "usage: helper probe http PORT PATH [TIMEOUT_S]\n"
    "       helper probe tcp PORT [TIMEOUT_S]\n"
    "       helper wait http HOST PORT PATH TIMEOUT_S\n"
    "       helper wait tcp HOST PORT TIMEOUT_S\n"
    "       helper copy [--force] SRC DST\n"
    "       helper seed SRC DST [NAME]...\n"
    "       helper own UID:GID DIR\n"
    "       helper cat FILE\n"
    "       helper version\n";

static int usage(const char *problem)
{
    dprintf(STDERR_FILENO, "helper: %s\n%s", problem, usage_text);
    return USAGE;
}

/* The system's words for an error, beginning in lower case as part of a sentence. */
static const char *words(int error)
{
    static char text[96];
    snprintf(text, sizeof text, "%s", strerror(error));
    if (text[0] >= 'A' && text[0] <= 'Z' && text[1] >= 'a' && text[1] <= 'z')
        text[0] = (char)(text[0] - 'A' + 'a');
    return text;
}

/* ---- arguments ---- */

/* Decimal digits only: no sign, no space, no overflow. */
static bool parse_number(const char *text, size_t length, uint64_t largest, uint64_t *number)
{
    uint64_t value = 0;
    if (length == 0 || length > 10)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    *number = value;
    return value <= largest;
}

static bool parse_port(const char *text, uint16_t *port)
{
    uint64_t number;
    if (!parse_number(text, strlen(text), 65535, &number) || number == 0)
        return false;
    *port = (uint16_t)number;
    return true;
}

/* Seconds with an optional fraction; what is finer than a millisecond is rounded up: no timeout becomes zero. */
static bool parse_timeout(const char *text, int64_t *timeout_ms)
{
    const char *point = strchr(text, '.');
    size_t whole_length = point ? (size_t)(point - text) : strlen(text);
    uint64_t whole_s, ignored;
    int64_t ms;
    if (!parse_number(text, whole_length, TIMEOUT_MAX_S, &whole_s))
        return false;
    ms = (int64_t)whole_s * 1000;
    if (point) {
        const char *digits = point + 1;
        int64_t unit = 100;
        bool finer = false;
        if (!parse_number(digits, strlen(digits), UINT64_MAX, &ignored))
            return false;
        for (; *digits; digits++, unit /= 10) {
            ms += (*digits - '0') * unit;
            finer = finer || (unit == 0 && *digits != '0');
        }
        ms += finer;
    }
    *timeout_ms = ms;
    return ms > 0;
}

/* An absolute path that cannot end the request line early. */
static bool valid_path(const char *path)
{
    if (path[0] != '/' || strlen(path) > PATH_MAX_BYTES)
        return false;
    for (; *path; path++)
        if ((unsigned char)*path <= ' ' || *path == 0x7f)
            return false;
    return true;
}

static bool valid_host(const char *host)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:";
    size_t length = strlen(host);
    return length > 0 && length <= HOST_MAX && strspn(host, allowed) == length;
}

/* ---- connections ---- */

typedef union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} address;

typedef struct {
    address items[ADDRESSES_MAX];
    int count;
} addresses;

typedef enum { READY, NOT_READY, TIMED_OUT } outcome;

/* Why the last attempt ended as it did. */
static char reason[512];

__attribute__((format(printf, 2, 3))) static outcome because(outcome result, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    return result;
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* False when the deadline passes first. Errors of the socket count as ready: the next call on it reports them. */
static bool ready_before(int fd, short events, int64_t deadline_ms)
{
    for (;;) {
        struct pollfd waiting = {.fd = fd, .events = events};
        int64_t left_ms = deadline_ms - now_ms();
        if (left_ms <= 0)
            return false;
        if (poll(&waiting, 1, (int)left_ms) > 0)
            return true;
    }
}

/*
 * A client whose own ephemeral port is the port it asks for connects to itself when nobody listens there (TCP
 * simultaneous open). Retrying on a loopback address meets this sooner or later, and it must not pass for a server.
 */
static bool is_own_end(int fd)
{
    address here, there;
    socklen_t here_size = sizeof here, there_size = sizeof there;
    memset(&here, 0, sizeof here);
    memset(&there, 0, sizeof there);
    return getsockname(fd, &here.any, &here_size) == 0 && getpeername(fd, &there.any, &there_size) == 0 &&
           memcmp(&here, &there, sizeof here) == 0;
}

static outcome connect_to(const address *to, int64_t deadline_ms, int *connected)
{
    socklen_t size = to->any.sa_family == AF_INET6 ? sizeof to->v6 : sizeof to->v4;
    int error = 0;
    socklen_t error_size = sizeof error;
    int fd = socket(to->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return because(NOT_READY, "%s", words(errno));
    if (connect(fd, &to->any, size) != 0) {
        error = errno;
        if (error == EINPROGRESS) {
            if (!ready_before(fd, POLLOUT, deadline_ms)) {
                close(fd);
                return because(TIMED_OUT, "timed out while connecting");
            }
            if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_size) != 0)
                error = errno;
        }
    }
    if (error == 0 && is_own_end(fd)) {
        struct linger at_once = {.l_onoff = 1, .l_linger = 0}; /* TIME_WAIT would keep the real server from binding */
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        error = ECONNREFUSED;
    }
    if (error != 0) {
        close(fd);
        return because(NOT_READY, "%s", words(error));
    }
    *connected = fd;
    return READY;
}

/* ---- HTTP (RFC 9112), as much of it as the status takes ---- */

/* The status code, 0 when more bytes are needed, -1 when this is not HTTP. */
static int parse_status(const char *answer, size_t length)
{
    static const char shape[] = "HTTP/d.d ddd";
    size_t shape_length = sizeof shape - 1;
    for (size_t i = 0; i < shape_length && i < length; i++) {
        bool digit = answer[i] >= '0' && answer[i] <= '9';
        if (shape[i] == 'd' ? !digit : answer[i] != shape[i])
            return -1;
    }
    if (length <= shape_length)
        return 0;
    if (!strchr(" \r\n", answer[shape_length]) || answer[9] == '0')
        return -1;
    return (answer[9] - '0') * 100 + (answer[10] - '0') * 10 + (answer[11] - '0');
}

static outcome send_request(int fd, const char *request, int64_t deadline_ms)
{
    size_t left = strlen(request);
    while (left > 0) {
        ssize_t sent = send(fd, request, left, MSG_NOSIGNAL);
        if (sent >= 0) {
            request += sent;
            left -= (size_t)sent;
        } else if (errno == EAGAIN) {
            if (!ready_before(fd, POLLOUT, deadline_ms))
                return because(TIMED_OUT, "timed out while sending the request");
        } else if (errno != EINTR) {
            return because(NOT_READY, "%s", words(errno));
        }
    }
    return READY;
}

static void drain(int fd, int64_t deadline_ms)
{
    char body[4096];
    size_t total = 0;
    deadline_ms = earlier(deadline_ms, now_ms() + DRAIN_MS);
    while (total < DRAIN_BYTES && ready_before(fd, POLLIN, deadline_ms)) {
        ssize_t got = recv(fd, body, sizeof body, 0);
        if (got <= 0)
            return;
        total += (size_t)got;
    }
}

static outcome read_status(int fd, int64_t deadline_ms)
{
    char answer[HEADER_MAX_BYTES];
    size_t length = 0;
    while (length < sizeof answer) {
        ssize_t got;
        int status;
        if (!ready_before(fd, POLLIN, deadline_ms))
            return because(TIMED_OUT, "timed out while waiting for the answer");
        got = recv(fd, answer + length, sizeof answer - length, 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (got < 0)
            return because(NOT_READY, "%s", words(errno));
        if (got == 0)
            return because(NOT_READY, "connection closed without an answer");
        length += (size_t)got;
        while ((status = parse_status(answer, length)) != 0) {
            char *end;
            if (status < 0)
                return because(NOT_READY, "the answer is not HTTP");
            if (status >= 200 || status == 101) {
                drain(fd, deadline_ms);
                return because(status >= 200 && status < 400 ? READY : NOT_READY, "HTTP %d", status);
            }
            /* An interim response may come before the answer without having been asked for (RFC 9110 section 15.2). */
            end = memmem(answer, length, "\r\n\r\n", 4);
            if (!end)
                break;
            length -= (size_t)(end + 4 - answer);
            memmove(answer, end + 4, length);
        }
    }
    return because(NOT_READY, "the answer's header is too long");
}

/*
 * One attempt: the first address that accepts a connection decides. Each address gets an equal part of the time left,
 * so a dead one does not use up the others'. When none accepts, the reason is the first one's.
 */
static outcome attempt(const addresses *at, const char *request, int64_t deadline_ms)
{
    outcome first = NOT_READY;
    char first_reason[sizeof reason] = "no address";
    for (int i = 0; i < at->count; i++) {
        int64_t share_ms = (deadline_ms - now_ms()) / (at->count - i);
        int fd = -1;
        outcome result = connect_to(&at->items[i], now_ms() + share_ms, &fd);
        if (result == READY) {
            result = request ? send_request(fd, request, deadline_ms) : because(READY, "connected");
            if (request && result == READY)
                result = read_status(fd, deadline_ms);
            close(fd);
            return result;
        }
        if (i == 0) {
            first = result;
            memcpy(first_reason, reason, sizeof reason);
        }
    }
    return because(first, "%s", first_reason);
}

static void loopback(addresses *at, uint16_t port)
{
    memset(at, 0, sizeof *at);
    at->items[0].v4.sin_family = AF_INET;
    at->items[0].v4.sin_port = htons(port);
    at->items[0].v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at->items[1].v6.sin6_family = AF_INET6;
    at->items[1].v6.sin6_port = htons(port);
    at->items[1].v6.sin6_addr = in6addr_loopback;
    at->count = 2;
}

static bool resolve(addresses *at, const char *host, const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int error = getaddrinfo(host, port, &hints, &found);
    memset(at, 0, sizeof *at);
    if (error != 0) {
        because(NOT_READY, "%s: %s", host, error == EAI_SYSTEM ? words(errno) : "the name does not resolve");
        return false;
    }
    for (struct addrinfo *item = found; item && at->count < ADDRESSES_MAX; item = item->ai_next)
        if (item->ai_addrlen <= sizeof(address))
            memcpy(&at->items[at->count++], item->ai_addr, item->ai_addrlen);
    freeaddrinfo(found);
    return true;
}

/* `authority` is the Host header's value; its length and PATH's are bounded by the checks of the arguments. */
static void compose_request(char *request, size_t size, const char *authority, const char *path)
{
    snprintf(request, size,
             "GET %s HTTP/1.1\r\nHost: %s\r\n"
             "User-Agent: bundle-helper/1\r\nAccept: */*\r\nConnection: close\r\n\r\n",
             path, authority);
}

enum { REQUEST_BYTES = PATH_MAX_BYTES + HOST_MAX + 256 };

/* probe http PORT PATH [TIMEOUT_S] | probe tcp PORT [TIMEOUT_S] */
static int probe(int count, char **arguments)
{
    bool http = count > 0 && strcmp(arguments[0], "http") == 0;
    int needed = http ? 3 : 2;
    char request[REQUEST_BYTES];
    addresses at;
    uint16_t port;
    int64_t timeout_ms = ATTEMPT_MS;
    outcome result;
    if (count < needed || count > needed + 1 || (!http && strcmp(arguments[0], "tcp") != 0))
        return usage("probe takes http PORT PATH or tcp PORT, then a timeout or nothing");
    if (!parse_port(arguments[1], &port))
        return usage("PORT is a number from 1 to 65535");
    if (http && !valid_path(arguments[2]))
        return usage("PATH begins with / and has no spaces or control characters");
    if (count > needed && !parse_timeout(arguments[needed], &timeout_ms))
        return usage("TIMEOUT_S is a number of seconds above 0, at most 86400");
    loopback(&at, port);
    compose_request(request, sizeof request, "localhost", http ? arguments[2] : "");
    result = attempt(&at, http ? request : NULL, now_ms() + timeout_ms);
    dprintf(STDOUT_FILENO, "%s\n", reason);
    return result == READY ? DONE : FAILED;
}

static char late_text[HOST_MAX + 128];

/* getaddrinfo has no deadline of its own choosing; this is the one thing that can outlast `wait`'s. */
static void give_up_late(int signal_number)
{
    (void)signal_number;
    ssize_t written = write(STDOUT_FILENO, late_text, strlen(late_text));
    (void)written;
    _exit(FAILED);
}

static void set_alarm(int64_t in_ms)
{
    struct itimerval once = {.it_value = {.tv_sec = in_ms / 1000, .tv_usec = in_ms % 1000 * 1000}};
    setitimer(ITIMER_REAL, &once, NULL);
}

/* wait http HOST PORT PATH TIMEOUT_S | wait tcp HOST PORT TIMEOUT_S */
static int wait_for(int count, char **arguments)
{
    bool http = count > 0 && strcmp(arguments[0], "http") == 0;
    int needed = http ? 5 : 4;
    char request[REQUEST_BYTES], authority[HOST_MAX + 16], last[sizeof reason] = "";
    uint16_t port;
    int64_t timeout_ms, deadline_ms;
    if (count != needed || (!http && strcmp(arguments[0], "tcp") != 0))
        return usage("wait takes http HOST PORT PATH TIMEOUT_S or tcp HOST PORT TIMEOUT_S");
    const char *host = arguments[1], *timeout = arguments[needed - 1];
    if (!valid_host(host))
        return usage("HOST is a name or an address");
    if (!parse_port(arguments[2], &port))
        return usage("PORT is a number from 1 to 65535");
    if (http && !valid_path(arguments[3]))
        return usage("PATH begins with / and has no spaces or control characters");
    if (!parse_timeout(timeout, &timeout_ms))
        return usage("TIMEOUT_S is a number of seconds above 0, at most 86400");

    deadline_ms = now_ms() + timeout_ms;
    bool brackets = strchr(host, ':') != NULL;
    snprintf(authority, sizeof authority, port == 80 ? "%s%s%s" : "%s%s%s:%u", brackets ? "[" : "", host,
             brackets ? "]" : "", (unsigned)port);
    compose_request(request, sizeof request, authority, http ? arguments[3] : "");
    snprintf(late_text, sizeof late_text, "gave up after %s s: %s: the name server does not answer\n", timeout, host);
    signal(SIGALRM, give_up_late);
    set_alarm(timeout_ms + RETRY_MS);

    do {
        addresses at;
        outcome result = NOT_READY;
        bool cut_short = false;
        if (resolve(&at, host, arguments[2])) {
            int64_t until_ms = earlier(deadline_ms, now_ms() + ATTEMPT_MS);
            result = attempt(&at, http ? request : NULL, until_ms);
            cut_short = result == TIMED_OUT && until_ms == deadline_ms;
        }
        if (result == READY) {
            set_alarm(0);
            dprintf(STDOUT_FILENO, "%s\n", reason);
            return DONE;
        }
        /* What an attempt with too little time found out says less than the one before it. */
        if (!cut_short || last[0] == '\0')
            memcpy(last, reason, sizeof reason);
        int64_t left_ms = deadline_ms - now_ms();
        if (left_ms > 0)
            poll(NULL, 0, (int)earlier(left_ms, RETRY_MS));
    } while (now_ms() < deadline_ms);
    set_alarm(0);
    dprintf(STDOUT_FILENO, "gave up after %s s: %s\n", timeout, last);
    return FAILED;
}

/* ---- files ---- */

static bool write_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = write(fd, bytes, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return false;
        bytes += written;
        length -= (size_t)written;
    }
    return true;
}

/* Reads `from` to its end into `to`. 0, or the errno of what failed; *writing tells which of the two it was. */
static int pour(int from, int to, bool *writing)
{
    static char buffer[256 * 1024];
    for (;;) {
        ssize_t got = read(from, buffer, sizeof buffer);
        *writing = false;
        if (got == 0)
            return 0;
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return errno;
        *writing = true;
        if (!write_all(to, buffer, (size_t)got))
            return errno;
    }
}

typedef struct {
    bool force;
    dev_t destination_device;
    ino_t destination_inode;
    bool named;          /* only entries that were asked for by name; SRC may have others' things mounted in it */
    dev_t source_device;
    unsigned long count;
    char name[NAME_BYTES]; /* of the entry in hand, relative to SRC; for messages only, never opened */
    size_t name_length;
} copy;

static bool complain(const copy *job, const char *problem)
{
    dprintf(STDERR_FILENO, "helper: copy: %s: %s\n", job->name_length ? job->name : ".", problem);
    return false;
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* mkfs puts this into every fresh ext volume: it belongs to the file system, not to the content. */
static bool is_lost_and_found(const char *name)
{
    return strcmp(name, "lost+found") == 0;
}

/*
 * Gives what was made the source's mode, time and, where we may, owner. The order lets a root with only CAP_CHOWN do
 * it: after the chown the file is no longer ours. Set-id bits come last, since chown clears them, and never without the
 * owner they are meant for; a directory whose owner we may not set keeps the set-group bit its volume gave it
 * (Kubernetes' fsGroup).
 */
static bool keep_attributes(const copy *job, int fd, const struct stat *source)
{
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, source->st_mtim};
    struct stat made;
    if (fstat(fd, &made) != 0)
        return complain(job, words(errno));
    mode_t wanted = source->st_mode & 07777;
    mode_t inherited = S_ISDIR(made.st_mode) ? made.st_mode & S_ISGID : 0;
    mode_t plain = (wanted & (mode_t) ~(S_ISUID | S_ISGID)) | inherited;
    if (fchmod(fd, plain) != 0 || futimens(fd, times) != 0)
        return complain(job, words(errno));
    if (fchown(fd, source->st_uid, source->st_gid) != 0) {
        /* EINVAL: an id without a mapping in our user namespace. */
        if (errno == EPERM || errno == EINVAL || errno == ENOTSUP)
            return true;
        return complain(job, words(errno));
    }
    if (wanted != plain && fchmod(fd, wanted) != 0)
        return complain(job, words(errno));
    return true;
}

/* With --force an existing entry is removed, never written through: it may be a symlink or have other names. */
static bool make_room(const copy *job, int to, const char *name)
{
    if (!job->force || unlinkat(to, name, 0) == 0 || errno == ENOENT)
        return true;
    return complain(job, errno == EISDIR ? "a directory stands in its place" : words(errno));
}

static bool copy_file(const copy *job, int from, int to, const char *name)
{
    struct stat source;
    bool writing = false, good;
    int error, out, in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (in < 0)
        return complain(job, words(errno));
    if (fstat(in, &source) != 0 || !S_ISREG(source.st_mode)) {
        close(in);
        return complain(job, "changed while it was copied");
    }
    if (!make_room(job, to, name)) {
        close(in);
        return false;
    }
    out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (out < 0) {
        error = errno;
        close(in);
        return complain(job, words(error));
    }
    error = pour(in, out, &writing);
    good = error == 0 ? keep_attributes(job, out, &source) : complain(job, words(error));
    close(in);
    if (close(out) != 0 && good) /* where network file systems report a full disk */
        return complain(job, words(errno));
    return good;
}

static bool copy_symlink(const copy *job, int from, int to, const char *name, const struct stat *source)
{
    char target[NAME_BYTES];
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, source->st_mtim};
    ssize_t length = readlinkat(from, name, target, sizeof target);
    if (length < 0 || length == sizeof target)
        return complain(job, length < 0 ? words(errno) : "the symlink's target is too long");
    target[length] = '\0';
    if (!make_room(job, to, name))
        return false;
    if (symlinkat(target, to, name) != 0)
        return complain(job, words(errno));
    /* Nobody's rights depend on a symlink's owner or time, and some file systems keep neither. */
    utimensat(to, name, times, AT_SYMLINK_NOFOLLOW);
    if (fchownat(to, name, source->st_uid, source->st_gid, AT_SYMLINK_NOFOLLOW) != 0)
        errno = 0;
    return true;
}

static bool copy_fifo(const copy *job, int from, int to, const char *name, const struct stat *source)
{
    (void)from;
    if (!make_room(job, to, name))
        return false;
    if (mknodat(to, name, S_IFIFO | (source->st_mode & 0777), 0) != 0)
        return complain(job, words(errno));
    if (fchownat(to, name, source->st_uid, source->st_gid, AT_SYMLINK_NOFOLLOW) != 0)
        errno = 0;
    return true;
}

static int open_directory(int at, const char *name)
{
    return openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* A descriptor of the directory `name` in `to`, made if need be, never through a symlink; -1 after a complaint. */
static int make_directory(const copy *job, int to, const char *name)
{
    struct stat existing;
    int made;
    if (mkdirat(to, name, 0700) != 0) {
        if (errno != EEXIST || !job->force) {
            complain(job, words(errno));
            return -1;
        }
        made = open_directory(to, name);
        if (made >= 0) {
            /* Without root, a read-only directory of an earlier copy must be opened up; its mode returns at the end. */
            if (fstat(made, &existing) == 0 && (existing.st_mode & S_IRWXU) != S_IRWXU &&
                fchmod(made, (existing.st_mode & 07777) | S_IRWXU) != 0)
                errno = 0; /* what then fails inside says so */
            return made;
        }
        if (errno != ENOTDIR && errno != ELOOP) {
            complain(job, words(errno));
            return -1;
        }
        if (!make_room(job, to, name))
            return -1;
        if (mkdirat(to, name, 0700) != 0) {
            complain(job, words(errno));
            return -1;
        }
    }
    made = open_directory(to, name);
    if (made < 0)
        complain(job, words(errno));
    return made;
}

/*
 * Whether something is mounted over what SRC has of that name: a container's /proc, its /etc/hosts. A directory shows
 * it by its device, a file only to a kernel of 5.8 or later.
 */
static bool is_mounted_over(const copy *job, int from, const char *name, const struct stat *source)
{
    struct statx more;
    if (S_ISDIR(source->st_mode) && source->st_dev != job->source_device)
        return true;
    return statx(from, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, 0, &more) == 0 &&
           (more.stx_attributes & MOUNT_ROOT) != 0;
}

static bool copy_content(copy *job, int from, int to, int depth);

static bool copy_directory(copy *job, int from, int to, const char *name, int depth)
{
    struct stat source;
    bool good;
    int inner_to, inner_from;
    if (depth == DEPTH_MAX)
        return complain(job, "nested too deeply");
    inner_from = open_directory(from, name);
    if (inner_from < 0)
        return complain(job, words(errno));
    if (fstat(inner_from, &source) != 0) {
        close(inner_from);
        return complain(job, words(errno));
    }
    if (source.st_dev == job->destination_device && source.st_ino == job->destination_inode) {
        close(inner_from);
        return complain(job, "DST lies inside SRC");
    }
    inner_to = make_directory(job, to, name);
    if (inner_to < 0) {
        close(inner_from);
        return false;
    }
    good = copy_content(job, inner_from, inner_to, depth + 1) && keep_attributes(job, inner_to, &source);
    close(inner_to);
    return good;
}

static bool copy_entry(copy *job, int from, int to, const char *name, int depth)
{
    struct stat source;
    bool good;
    if (fstatat(from, name, &source, AT_SYMLINK_NOFOLLOW) != 0)
        return complain(job, words(errno));
    if (job->named && is_mounted_over(job, from, name, &source))
        return complain(job, "something else is mounted over it");
    switch (source.st_mode & S_IFMT) {
    case S_IFREG:
        good = copy_file(job, from, to, name);
        break;
    case S_IFDIR:
        good = copy_directory(job, from, to, name, depth);
        break;
    case S_IFLNK:
        good = copy_symlink(job, from, to, name, &source);
        break;
    case S_IFIFO:
        good = copy_fifo(job, from, to, name, &source);
        break;
    default:
        good = complain(job, "a device or socket cannot be copied");
    }
    job->count += good;
    return good;
}

/* An entry of the directory in hand, by name. */
static bool copy_inner(copy *job, int from, int to, const char *name, int depth)
{
    size_t outer_length = job->name_length, length = strlen(name);
    bool good;
    if (outer_length + length + 2 > sizeof job->name)
        return complain(job, words(ENAMETOOLONG));
    if (outer_length)
        job->name[outer_length] = '/';
    memcpy(job->name + outer_length + (outer_length ? 1 : 0), name, length + 1);
    job->name_length = strlen(job->name);
    good = copy_entry(job, from, to, name, depth);
    job->name_length = outer_length;
    job->name[outer_length] = '\0';
    return good;
}

/* Takes over `from`. */
static bool copy_content(copy *job, int from, int to, int depth)
{
    bool good = true;
    DIR *listing = fdopendir(from);
    if (!listing) {
        close(from);
        return complain(job, words(errno));
    }
    while (good) {
        errno = 0;
        struct dirent *entry = readdir(listing);
        if (!entry) {
            good = errno == 0 || complain(job, words(errno));
            break;
        }
        if (is_dots(entry->d_name) || (depth == 0 && is_lost_and_found(entry->d_name)))
            continue;
        good = copy_inner(job, from, to, entry->d_name, depth);
    }
    closedir(listing);
    return good;
}

/* 1 empty, 0 not, -1 with errno set. */
static int is_empty(int directory)
{
    struct dirent *entry;
    int error;
    int again = open_directory(directory, ".");
    DIR *listing = again < 0 ? NULL : fdopendir(again);
    if (!listing)
        return -1;
    do {
        errno = 0;
        entry = readdir(listing);
    } while (entry && (is_dots(entry->d_name) || is_lost_and_found(entry->d_name)));
    error = entry ? 0 : errno;
    closedir(listing);
    errno = error;
    return error ? -1 : !entry;
}

static int file_failure(const char *command, const char *name, const char *problem)
{
    dprintf(STDERR_FILENO, "helper: %s: %s: %s\n", command, name, problem);
    return FAILED;
}

/*
 * copy [--force] SRC DST
 *
 * SRC itself may be a symlink, as in `cp -a SRC/. DST`: an image's data directory often is one. DST may not, and keeps
 * its own mode and owner, which the volume's keeper has set. Hard links become files of their own; extended attributes
 * stay behind.
 */
static int copy_tree(int count, char **arguments)
{
    static copy job;
    struct stat source, destination;
    int from, to, empty;
    if (count > 0 && strcmp(arguments[0], "--force") == 0) {
        job.force = true;
        count--;
        arguments++;
    }
    if (count != 2)
        return usage("copy takes SRC DST, and --force before them");
    from = open(arguments[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (from < 0 || fstat(from, &source) != 0)
        return file_failure("copy", arguments[0], words(errno));
    to = open_directory(AT_FDCWD, arguments[1]);
    if (to < 0 || fstat(to, &destination) != 0)
        return file_failure("copy", arguments[1], words(errno));
    if (source.st_dev == destination.st_dev && source.st_ino == destination.st_ino)
        return file_failure("copy", arguments[1], "SRC and DST are the same directory");
    empty = is_empty(to);
    if (empty < 0)
        return file_failure("copy", arguments[1], words(errno));
    if (!empty && !job.force)
        return file_failure("copy", arguments[1], "DST is not empty; nothing was written");
    job.destination_device = destination.st_dev;
    job.destination_inode = destination.st_ino;
    umask(0);
    if (!copy_content(&job, from, to, 0))
        return FAILED;
    dprintf(STDOUT_FILENO, "entries copied: %lu\n", job.count);
    return DONE;
}

/* Takes over `from`. The entries of it that `names` are, which all must be there. */
static bool copy_named(copy *job, int from, int to, int count, char **names)
{
    bool good = true;
    for (int i = 0; good && i < count; i++)
        good = copy_inner(job, from, to, names[i], 0);
    close(from);
    return good;
}

/*
 * seed SRC DST [NAME]...
 *
 * Makes DST, whose parent is there, a copy of the directory SRC with its mode and, where we may, its owner; an empty
 * directory where there is no SRC. What is there is left as it is, so that this may run before every start: DST gets its
 * name when it is whole. The lock keeps several apart that share a volume on one machine.
 *
 * With NAMEs only these entries of SRC are copied, and DST has mode 0755: SRC may be a container's root, where the
 * engine has put things of its own. One of these in the place of what was asked for is a failure.
 */
static int seed(int count, char **arguments)
{
    static copy job;
    static char parent[PATH_MAX_BYTES], building[PATH_MAX_BYTES + 8];
    struct stat source, destination;
    bool good;
    int from, to, place;
    if (count < 2)
        return usage("seed takes SRC DST, and names of entries of SRC or nothing");
    for (int i = 2; i < count; i++)
        if (!*arguments[i] || is_dots(arguments[i]) || strchr(arguments[i], '/'))
            return usage("NAME is one of an entry in SRC");
    const char *slash = strrchr(arguments[1], '/');
    const char *name = slash ? slash + 1 : arguments[1];
    size_t length = slash ? (size_t)(slash - arguments[1]) : 0;
    if (!*name || is_dots(name) || length >= sizeof parent || strlen(name) >= sizeof parent)
        return usage("DST names a directory");
    snprintf(parent, sizeof parent, "%.*s", (int)length, arguments[1]);
    snprintf(building, sizeof building, "%s.new", name);
    place = open(length ? parent : slash ? "/" : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (place < 0 || flock(place, LOCK_EX) != 0)
        return file_failure("seed", length ? parent : ".", words(errno));
    if (fstatat(place, name, &destination, AT_SYMLINK_NOFOLLOW) == 0) {
        dprintf(STDOUT_FILENO, "there already\n");
        return DONE;
    }
    if (errno != ENOENT)
        return file_failure("seed", arguments[1], words(errno));
    from = open(arguments[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (from < 0 && (count > 2 || (errno != ENOENT && errno != ENOTDIR)))
        return file_failure("seed", arguments[0], words(errno));
    job.force = true;
    job.named = count > 2;
    umask(0);
    to = make_directory(&job, place, building);
    if (to < 0)
        return FAILED;
    if (fstat(to, &destination) != 0 || (from >= 0 && fstat(from, &source) != 0))
        return file_failure("seed", arguments[1], words(errno));
    job.destination_device = destination.st_dev;
    job.destination_inode = destination.st_ino;
    if (job.named) {
        job.source_device = source.st_dev;
        good = copy_named(&job, from, to, count - 2, arguments + 2) && fchmod(to, 0755) == 0;
    } else if (from < 0) {
        good = fchmod(to, 0755) == 0;
    } else {
        good = copy_content(&job, from, to, 0) && keep_attributes(&job, to, &source);
    }
    if (!good)
        return FAILED;
    if (renameat(place, building, place, name) != 0)
        return file_failure("seed", arguments[1], words(errno));
    dprintf(STDOUT_FILENO, "entries copied: %lu\n", job.count);
    return DONE;
}

/* own UID:GID DIR. O_PATH needs no right to read DIR, so CAP_CHOWN is enough. */
static int own(int count, char **arguments)
{
    uint64_t user, group;
    struct stat now;
    if (count != 2)
        return usage("own takes UID:GID DIR");
    const char *colon = strchr(arguments[0], ':');
    /* 4294967295 is -1, chown's word for "leave as it is". */
    if (!colon || !parse_number(arguments[0], (size_t)(colon - arguments[0]), UINT32_MAX - 1, &user) ||
        !parse_number(colon + 1, strlen(colon + 1), UINT32_MAX - 1, &group))
        return usage("UID:GID are two numbers");
    int fd = open(arguments[1], O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &now) != 0)
        return file_failure("own", arguments[1], words(errno));
    if (now.st_uid == user && now.st_gid == group) {
        dprintf(STDOUT_FILENO, "unchanged\n");
        return DONE;
    }
    if (fchownat(fd, "", (uid_t)user, (gid_t)group, AT_EMPTY_PATH) != 0)
        return file_failure("own", arguments[1], words(errno));
    dprintf(STDOUT_FILENO, "changed from %u:%u\n", (unsigned)now.st_uid, (unsigned)now.st_gid);
    return DONE;
}

/* cat FILE. Follows symlinks: Kubernetes mounts each secret as one. */
static int cat(int count, char **arguments)
{
    bool writing = false;
    int error, fd;
    if (count != 1)
        return usage("cat takes FILE");
    fd = open(arguments[0], O_RDONLY | O_CLOEXEC);
    error = fd < 0 ? errno : pour(fd, STDOUT_FILENO, &writing);
    if (error)
        return file_failure("cat", writing ? "stdout" : arguments[0], words(error));
    return DONE;
}

/* The first process of a container ignores every signal it has no handler for, and would only end by SIGKILL. */
static void stop(int signal_number)
{
    _exit(128 + signal_number);
}

int main(int count, char **arguments)
{
    signal(SIGTERM, stop);
    signal(SIGINT, stop);
    if (count < 2)
        return usage("no command");
    const char *command = arguments[1];
    count -= 2;
    arguments += 2;
    if (strcmp(command, "probe") == 0)
        return probe(count, arguments);
    if (strcmp(command, "wait") == 0)
        return wait_for(count, arguments);
    if (strcmp(command, "copy") == 0)
        return copy_tree(count, arguments);
    if (strcmp(command, "seed") == 0)
        return seed(count, arguments);
    if (strcmp(command, "own") == 0)
        return own(count, arguments);
    if (strcmp(command, "cat") == 0)
        return cat(count, arguments);
    if (strcmp(command, "version") == 0 && count == 0) {
        dprintf(STDOUT_FILENO, "bundle-helper 1\n");
        return DONE;
    }
    return usage(strcmp(command, "version") == 0 ? "version takes nothing" : "no such command");
}
