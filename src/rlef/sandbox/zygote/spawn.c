/* Starts a test that is no Python: one clone that borrows the zygote's memory until execve.

   A fork copies page tables and the pages that both sides touch, which costs more than many
   a program. Here the zygote sleeps until the child executes, as in vfork, and the child
   may make system calls and little else. It does what commands.py does in a forked child, in
   the same order; the tests hold the two against each other. Compiled together with hot.c. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { STACK = 64 * 1024 };

/* What the tests of a run have in common; the same fields in the same order as commands._Order. */
struct order {
    char *const *arguments, *const *environment;
    const char *path;      /* empty: what `executable` refers to */
    const char *directory; /* where to start; empty: the root */
    struct rlimit cpu, file, address, stack;
    uint64_t flags; /* of the clone */
    volatile uint8_t *page;
    int32_t executable;
    uint8_t setup, running; /* protocol.Stage */
};

struct child {
    const struct order *order;
    const int32_t *fds;
    sigset_t signals;
};

/* No capability, and no descriptor but 0, 1, 2 and, closed by execve, 3. */
static int seal(const struct child *child)
{
    uint32_t header[2] = {0x20080522, 0}, none[6] = {0};
    const struct order *order = child->order;
    for (int fd = 0; fd < 3; fd++)
        if (dup2(child->fds[fd], fd) < 0)
            return -1;
    if (order->executable > 3 && dup3(order->executable, 3, O_CLOEXEC) < 0)
        return -1;
    setrlimit(RLIMIT_CPU, &order->cpu); /* refused unless further processes are granted */
    return syscall(SYS_close_range, order->executable < 0 ? 3 : 4, ~0U, 0)
        || (*order->directory && chdir(order->directory)) || syscall(SYS_capset, header, none)
        || setrlimit(RLIMIT_FSIZE, &order->file) || setrlimit(RLIMIT_STACK, &order->stack)
        || setrlimit(RLIMIT_AS, &order->address);
}

static int become(void *argument)
{
    static const int ignored[] = {SIGINT, SIGPIPE, SIGXFSZ}; /* by Python; execve would hand that on */
    const struct child *child = argument;
    const struct order *order = child->order;
    for (size_t at = 0; at < sizeof ignored / sizeof *ignored; at++)
        signal(ignored[at], SIG_DFL);
    if (!seal(child)) {
        *order->page = order->running;
        sigprocmask(SIG_SETMASK, &child->signals, 0);
        syscall(SYS_execveat, *order->path ? AT_FDCWD : 3, order->path, order->arguments,
                order->environment, *order->path ? 0 : AT_EMPTY_PATH);
    }
    *order->page = order->setup;
    _exit(errno);
}

/* Start a test on the descriptors `fds`: its pid, and its pidfd in `pidfd`; or minus an errno. If the
   stage is not `running` after that, the test ended before its command began, with an errno. */
int rlef_borrow(const struct order *order, const int32_t *fds, int *pidfd)
{
    static char stack[STACK] __attribute__((aligned(16)));
    struct child child = {.order = order, .fds = fds};
    sigset_t all;
    *order->page = order->setup;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &child.signals); /* a handler would run on borrowed memory */
    int pid = clone(become, stack + STACK, (int)order->flags, &child, pidfd);
    int failure = errno;
    sigprocmask(SIG_SETMASK, &child.signals, 0);
    return pid < 0 ? -failure : pid;
}
