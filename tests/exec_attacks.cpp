// Attacks by a native program. The first line of the input names one, the second is a canary file's
// path, the third a decoy's pid, the fourth the canary's content. It prints "held", or ESCAPED if
// the attack got anywhere. Aimed at nothing of value: they run where there is no jail, too, as the control.
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <iostream>
#include <map>
#include <string>

using namespace std;
extern char **environ;
static string canary, secret;
static pid_t decoy;

static bool ok(long result) { return result >= 0; }

static bool opens(const string &path, int flags = O_RDONLY) { return ok(open(path.c_str(), flags, 0644)); }

// A child that could be made ends at once, and so does the parent's interest in it.
static bool child(long pid)
{
    if (pid == 0)
        _exit(0);
    return pid > 0;
}

static bool executes(const char *path, const char *argument)
{
    const char *command = "echo ESCAPED";
    execl(path, path, argument, command, (char *)0);
    return false;
}

static bool capable()
{
    unsigned header[2] = {0x20080522, 0}, data[6] = {1, 1, 1, 1, 1, 1};
    if (syscall(SYS_capget, header, data))
        return true;
    for (unsigned word : data)
        if (word)
            return true;
    return false;
}

static bool descriptors()
{
    for (int fd = 3; fd < 4096; fd++)
        if (fcntl(fd, F_GETFD) != -1)
            return true;
    return false;
}

static bool lists(const char *path)
{
    DIR *folder = opendir(path);
    return folder && readdir(folder);
}

static bool connects()
{
    sockaddr_in to = {};
    to.sin_family = AF_INET;
    to.sin_port = htons(9);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    return ok(fd) && ok(connect(fd, (sockaddr *)&to, sizeof to));
}

static bool finds(const char *needle)
{
    // The canary's content came with the input; elsewhere in memory it would be someone else's.
    for (char **each = environ; each && *each; each++)
        if (strstr(*each, needle))
            return true;
    return false;
}

static bool raises(int what)
{
    rlimit now;
    if (getrlimit(what, &now) || now.rlim_max == RLIM_INFINITY)
        return false;
    now.rlim_cur = now.rlim_max = now.rlim_max + 1000000;
    return !setrlimit(what, &now);
}

static bool filters()
{
    // A filter of one's own could make every later system call of a helper fail or seem to work.
    sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    sock_fprog program = {1, &allow};
    return ok(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) || ok(syscall(SYS_seccomp, 1, 0, &program));
}

static bool locks()
{
    int fd = open("/dev/null", O_RDONLY);
    return ok(flock(fd < 0 ? 0 : fd, LOCK_EX));
}

static bool fills_stack_of_pids()
{
    for (pid_t pid = 2; pid < 400; pid++)
        if (!kill(pid, 0))
            return true;
    return false;
}

static const map<string, function<bool()>> attacks = {
    {"read the canary", [] { return opens(canary); }},
    {"write the canary", [] { return opens(canary, O_WRONLY | O_APPEND); }},
    {"create beside the canary", [] { return opens(canary + "2", O_CREAT | O_WRONLY); }},
    {"read passwd", [] { return opens("/etc/passwd"); }},
    {"read proc", [] { return opens("/proc/self/status") || lists("/proc"); }},
    {"memory of pid 1", [] { return opens("/proc/1/mem", O_RDWR); }},
    {"own memory as a file", [] { return opens("/proc/self/mem", O_RDWR); }},
    {"list the root", [] { return lists("/"); }},
    {"list home", [] { return lists("/home") || lists("/root") || lists("/tmp"); }},
    {"climb out", [] { return lists("/../../../../../../../../etc"); }},
    {"create in the root", [] { return opens("/canary", O_CREAT | O_WRONLY); }},
    {"create in the working directory", [] { return opens("canary", O_CREAT | O_WRONLY); }},
    {"create in dev", [] { return opens("/dev/canary", O_CREAT | O_WRONLY); }},
    {"create in shared memory", [] { return opens("/dev/shm/canary", O_CREAT | O_WRONLY); }},
    {"make a directory", [] { return ok(mkdir("/d", 0755)) || ok(mkdir("d", 0755)); }},
    {"make a device", [] { return ok(mknod("/null", S_IFCHR | 0666, 0x103)); }},
    {"link the canary", [] { return ok(link(canary.c_str(), "/link")) || ok(symlink(canary.c_str(), "/link")); }},
    {"unnamed file", [] { return opens("/", O_TMPFILE | O_RDWR) || opens(".", O_TMPFILE | O_RDWR); }},
    {"change the mode of a file", [] { return ok(chmod("/dev/null", 0777)); }},
    {"fork", [] { return child(fork()); }},
    {"raw fork", [] { return child(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)); }},
    {"raw vfork", [] { return child(syscall(SYS_clone, CLONE_VFORK | SIGCHLD, 0, 0, 0, 0)); }},
    {"clone3", [] { unsigned long args[11] = {0, 0, 0, 0, SIGCHLD}; return child(syscall(SYS_clone3, args, sizeof args)); }},
    {"clone as the zygote does", [] { int fd; return child(syscall(SYS_clone, 0x20001000 | SIGCHLD, 0, &fd, 0, 0)); }},
    {"clone with a user namespace", [] { return child(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0)); }},
    {"a parent's sibling", [] { return child(syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0)); }},
    {"execute a shell", [] { return executes("/bin/sh", "-c"); }},
    {"execute in usr bin", [] { return executes("/usr/bin/env", "--"); }},
    {"execute the interpreter", [] { return executes("/usr/bin/python3", "-c"); }},
    {"execute itself again", [] { return ok(syscall(SYS_execveat, 3, "", 0, environ, AT_EMPTY_PATH)); }},
    {"execute through proc", [] { return executes("/proc/self/exe", ""); }},
    {"system", [] { return system("true") == 0; }},
    {"popen", [] { return popen("true", "r") != 0; }},
    {"memory file", [] { return ok(syscall(SYS_memfd_create, "x", 0)); }},
    {"secret memory file", [] { return ok(syscall(447, 0)); }},
    {"inet socket", [] { return ok(socket(AF_INET, SOCK_STREAM, 0)); }},
    {"inet6 socket", [] { return ok(socket(AF_INET6, SOCK_STREAM, 0)); }},
    {"unix socket", [] { return ok(socket(AF_UNIX, SOCK_STREAM, 0)); }},
    {"netlink socket", [] { return ok(socket(AF_NETLINK, SOCK_RAW, 0)); }},
    {"vsock", [] { return ok(socket(40, SOCK_STREAM, 0)); }},
    {"packet socket", [] { return ok(socket(AF_PACKET, SOCK_RAW, 0)); }},
    {"socket pair", [] { int pair[2]; return ok(socketpair(AF_UNIX, SOCK_STREAM, 0, pair)); }},
    {"connect", [] { return connects(); }},
    {"signal everybody", [] { return ok(kill(-1, 0)); }},
    {"signal the decoy", [] { return ok(kill(decoy, 0)); }},
    {"signal the parent", [] { return getppid() && ok(kill(getppid(), 0)); }},
    {"signal low pids", [] { return fills_stack_of_pids(); }},
    {"queue a signal", [] { siginfo_t info = {}; return ok(syscall(SYS_rt_sigqueueinfo, decoy, SIGCONT, &info)); }},
    {"see a parent", [] { return getpid() != 1 || getppid() != 0; }},
    {"trace itself", [] { return ok(ptrace(PTRACE_TRACEME, 0, 0, 0)); }},
    {"trace the decoy", [] { return ok(ptrace(PTRACE_SEIZE, decoy, 0, 0)); }},
    {"read another process", [] { char b; iovec v = {&b, 1}; return ok(process_vm_readv(decoy, &v, 1, &v, 1, 0)) || errno == EFAULT; }},
    {"descriptor of the decoy", [] { return ok(syscall(SYS_pidfd_open, decoy, 0)); }},
    {"advise another process", [] { return ok(syscall(440, 0, 0, 0, 0, 0)); }},
    {"unshare a user namespace", [] { return ok(unshare(CLONE_NEWUSER)); }},
    {"unshare mounts", [] { return ok(unshare(CLONE_NEWNS)); }},
    {"unshare pids", [] { return ok(unshare(CLONE_NEWPID)); }},
    {"enter a namespace", [] { return ok(setns(0, 0)); }},
    {"mount", [] { return ok(mount("x", "/dev", "tmpfs", 0, 0)); }},
    {"remount", [] { return ok(mount("", "/", "", MS_REMOUNT | MS_BIND, 0)); }},
    {"unmount", [] { return ok(umount2("/dev/null", MNT_DETACH)); }},
    {"new mount calls", [] { return ok(syscall(428, AT_FDCWD, "/", 1)) || ok(syscall(430, "tmpfs", 0)); }},
    {"change the root", [] { return ok(chroot("/dev")) || ok(syscall(SYS_pivot_root, ".", ".")); }},
    {"io_uring", [] { char parameters[120] = {}; return ok(syscall(425, 4, parameters)); }},
    {"bpf", [] { char attributes[120] = {}; return ok(syscall(SYS_bpf, 0, attributes, sizeof attributes)); }},
    {"userfaultfd", [] { return ok(syscall(SYS_userfaultfd, 0)); }},
    {"performance counters", [] { char attributes[120] = {}; return ok(syscall(SYS_perf_event_open, attributes, 0, -1, -1, 0)); }},
    {"kernel keys", [] { return ok(syscall(SYS_add_key, "user", "rlef", "x", 1, -3)) || ok(syscall(SYS_keyctl, 0, -3, 1)); }},
    {"shared memory segment", [] { return ok(syscall(SYS_shmget, 4242, 4096, 01666)); }},
    {"message queue", [] { return ok(syscall(SYS_msgget, 4242, 01666)) || ok(syscall(SYS_mq_open, "rlef", 0102, 0666, 0)); }},
    {"semaphores", [] { return ok(syscall(SYS_semget, 4242, 1, 01666)); }},
    {"file handles", [] { char handle[160] = {0}; return ok(syscall(SYS_open_by_handle_at, AT_FDCWD, handle, 0)); }},
    {"watch files", [] { return ok(syscall(SYS_inotify_init1, 0)) || ok(syscall(SYS_fanotify_init, 0, 0)); }},
    {"lock a shared file", [] { return locks(); }},
    {"type into a terminal", [] { char c = 'x'; return ok(ioctl(0, TIOCSTI, &c)); }},
    {"capabilities", [] { return capable(); }},
    {"take capabilities", [] { unsigned h[2] = {0x20080522, 0}, d[6] = {~0u, ~0u, 0, ~0u, ~0u, 0}; return ok(syscall(SYS_capset, h, d)) && capable(); }},
    {"new privileges", [] { return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0; }},
    {"become root", [] { return ok(setuid(0)) || ok(setresuid(0, 0, 0)) || geteuid() == 0; }},
    {"join groups", [] { gid_t group = 0; return ok(syscall(SYS_setgroups, 1, &group)) || ok(setgid(0)); }},
    {"raise the number of files", [] { return raises(RLIMIT_NOFILE); }},
    {"raise address space", [] { return raises(RLIMIT_AS); }},
    {"raise file size", [] { return raises(RLIMIT_FSIZE); }},
    {"raise the number of tasks", [] { return raises(RLIMIT_NPROC); }},
    {"allow core files", [] { return raises(RLIMIT_CORE); }},
    {"limits of another process", [] { rlimit none = {0, 0}; return ok(prlimit(decoy, RLIMIT_CORE, 0, &none)); }},
    {"another processor", [] { cpu_set_t all; memset(&all, -1, sizeof all); return ok(sched_setaffinity(0, sizeof all, &all)); }},
    {"real time", [] { sched_param high = {1}; return ok(sched_setscheduler(0, SCHED_FIFO, &high)); }},
    {"lock memory", [] { return ok(mlockall(MCL_CURRENT)); }},
    {"personality", [] { return ok(syscall(SYS_personality, 0x0400000)); }},
    {"host name", [] { return ok(sethostname("x", 1)); }},
    {"clock", [] { timespec now; clock_gettime(CLOCK_REALTIME, &now); return ok(clock_settime(CLOCK_REALTIME, &now)); }},
    {"kernel log", [] { char text[64]; return ok(syscall(SYS_syslog, 3, text, sizeof text)); }},
#ifdef SYS_iopl
    {"io ports", [] { return ok(syscall(SYS_iopl, 3)); }},
#endif
    {"load a module", [] { return ok(syscall(SYS_init_module, "", 0, "")) ; }},
    {"turn the filter off", [] { return filters(); }},
    {"descriptors", [] { return descriptors(); }},
    {"environment", [] { return environ && *environ; }},
    {"the trainer's secret", [] { return finds(secret.c_str()); }},
    {"write to stdin", [] { return ok(write(0, "x", 1)) || ok(ftruncate(0, 0)); }},
    {"map stdin writable", [] { return mmap(0, 1, PROT_WRITE, MAP_SHARED, 0, 0) != MAP_FAILED; }},
};

int main()
{
    string name, pid;
    getline(cin, name), getline(cin, canary), getline(cin, pid), getline(cin, secret);
    decoy = atoi(pid.c_str());
    if (name == "names") {
        for (auto &attack : attacks)
            cout << attack.first << "\n";
        return 0;
    }
    auto attack = attacks.find(name);
    if (attack == attacks.end())
        return 2;
    cout << (attack->second() ? "ESCAPED" : "held") << endl;
}
