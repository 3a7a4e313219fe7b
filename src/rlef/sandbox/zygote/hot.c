/* The path that every test takes, without an interpreter in it.

   What a fork costs is the pages that parent and child touch: each is a fault, most are a
   copy. Python touches about a hundred on this path in the parent and sixty in the child;
   this touches a dozen. It does what serve.py and program.py do, no more: whatever is out
   of the ordinary (a message in the middle of a run, a clock that has run out, a failure)
   goes back to them. Compiled at first use by native.py; without a compiler all is done in
   Python, more slowly.

   The process has one thread and holds the interpreter's lock, in the parent and in the
   child: so none of the interpreter's preparations for a fork are needed. */

#define _GNU_SOURCE
#include <errno.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WINDOW = 16, BATCH = 4 };           /* protocol.py */
enum { SETUP = 0, RUNNING = 2 };           /* protocol.Stage */
enum { MORE = 2, RESULT = 4, FAILED = 5 }; /* protocol.Kind */
enum { CHILD = 0, OVER = 1, EMPTY = 2, SLOW = 3 };
enum { LATE_NS = 3000000 };

struct __attribute__((packed)) more {
    uint8_t kind;
    uint32_t number, attached;
};

struct __attribute__((packed)) result {
    uint8_t kind;
    uint32_t number, index;
    uint8_t stage, reason;
    int32_t status;
    int64_t cpu_ns, wall_ns, peak;
};

struct order; /* spawn.c: what to execute */
int rlef_borrow(const struct order *order, const int32_t *fds, int *pidfd);

/* The same fields in the same order as hot.Tests. */
struct tests {
    int32_t ctl, number, index, total;
    int32_t waiting, held;
    int32_t fds[WINDOW][3];
    int32_t pid, pidfd;
    int64_t started, look_ns, first_held;
    uint64_t file_bytes, address_bytes;
    uint64_t flags; /* of clone */
    volatile uint8_t *page;
    const struct order *order; /* null for Python */
    struct result results[BATCH];
};

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int limit(int kind, uint64_t value)
{
    struct rlimit both = {value, value};
    return setrlimit(kind, &both);
}

/* Turn the child into a test. Anything that fails ends it in stage SETUP. */
static void seal(const struct tests *t)
{
    uint32_t header[2] = {0x20080522, 0}, none[6] = {0};
    for (int fd = 0; fd < 3; fd++)
        if (dup2(t->fds[0][fd], fd) < 0)
            _exit(1);
    if (syscall(SYS_close_range, 3, ~0U, 0) || syscall(SYS_capset, header, none)
        || limit(RLIMIT_FSIZE, t->file_bytes) || limit(RLIMIT_AS, t->address_bytes))
        _exit(1);
}

/* Send the results that are held. A message for each would wake the supervisor for each. */
int rlef_flush(struct tests *t)
{
    size_t size = t->held * sizeof t->results[0];
    t->held = 0;
    return size && write(t->ctl, t->results, size) != (ssize_t)size ? -1 : 0;
}

/* Reap the test, keep its result. True if no further test of the run makes sense. */
static int report(struct tests *t)
{
    struct rusage used;
    struct result *r = &t->results[t->held];
    int status;
    close(t->pidfd);
    while (wait4(t->pid, &status, 0, &used) < 0)
        if (errno != EINTR)
            return -1;
    int64_t end = now();
    r->number = t->number;
    r->index = t->index;
    r->stage = t->page[0];
    r->kind = r->stage == SETUP ? FAILED : RESULT;
    r->reason = 0;
    r->status = status;
    r->cpu_ns = (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000000LL
        + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1000LL;
    r->wall_ns = end - t->started;
    r->peak = used.ru_maxrss * 1024LL;
    if (!t->held++)
        t->first_held = end;
    int over = r->stage != RUNNING;
    if (over || t->held == BATCH || end - t->first_held > LATE_NS)
        if (rlef_flush(t))
            return -1;
    return over;
}

/* Let go of the first test's descriptors. */
void rlef_shift(struct tests *t)
{
    for (int fd = 0; fd < 3; fd++)
        close(t->fds[0][fd]);
    t->waiting--;
    memmove(t->fds[0], t->fds[1], t->waiting * sizeof t->fds[0]);
}

/* Take a MORE that has arrived. False if it is something else, or not as it should be. */
static int take(struct tests *t)
{
    struct more m;
    union {
        char bytes[CMSG_SPACE(sizeof t->fds)];
        struct cmsghdr align;
    } control;
    struct iovec body = {&m, sizeof m};
    struct msghdr message = {.msg_iov = &body, .msg_iovlen = 1, .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    if (recv(t->ctl, &m, 1, MSG_PEEK) != 1 || m.kind != MORE)
        return 0;
    if (recvmsg(t->ctl, &message, MSG_CMSG_CLOEXEC) != sizeof m || message.msg_flags & (MSG_CTRUNC | MSG_TRUNC))
        _exit(1);
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    size_t size = m.attached * sizeof t->fds[0];
    if (m.number != (uint32_t)t->number || m.attached > (uint32_t)(WINDOW - t->waiting) || !c
        || c->cmsg_len != CMSG_LEN(size))
        _exit(1);
    memcpy(t->fds[t->waiting], CMSG_DATA(c), size);
    t->waiting += m.attached;
    return 1;
}

/* Wait for the end of the test. False if something else came first. No result is held for the
   sake of a test that takes long. */
static int ended(struct tests *t)
{
    struct pollfd watched[2] = {{t->pidfd, POLLIN, 0}, {t->ctl, POLLIN, 0}};
    int64_t until = t->started + t->look_ns;
    for (;;) {
        int64_t at = now(), due = until;
        if (t->held && t->first_held + LATE_NS < until)
            due = t->first_held + LATE_NS;
        if (at >= due && due < until) {
            if (rlef_flush(t))
                _exit(1);
            continue;
        }
        int64_t left = due - at;
        struct timespec time = {left / 1000000000, left % 1000000000};
        if (left <= 0 || (ppoll(watched, 2, &time, 0) < 0 && errno != EINTR))
            return 0;
        if (watched[0].revents)
            return 1;
        if (watched[1].revents && !take(t))
            return 0;
    }
}

/* Run tests until one is out of the ordinary. Returns CHILD in a test that is ready to start,
   OVER after the last, EMPTY when descriptors are needed, SLOW when the test under way
   wants watching, -1 (errno) if the system failed. */
int rlef_tests(struct tests *t)
{
    while (t->index < t->total) {
        if (!t->waiting)
            return rlef_flush(t) ? -1 : EMPTY;
        t->page[0] = SETUP;
        t->started = now();
        t->pidfd = -1;
        if (t->order) {
            t->pid = rlef_borrow(t->order, t->fds[0], &t->pidfd);
            errno = -t->pid;
        } else {
            t->pid = syscall(SYS_clone, t->flags, 0, &t->pidfd, 0, 0);
        }
        if (t->pid < 0)
            return -1;
        if (!t->pid) {
            seal(t);
            return CHILD;
        }
        if (!ended(t))
            return rlef_flush(t) ? -1 : SLOW;
        int over = report(t);
        rlef_shift(t);
        t->index++;
        if (over)
            return over < 0 ? -1 : OVER;
    }
    return rlef_flush(t) ? -1 : OVER;
}
