/* Records what a process does to the files below one directory: contents and order.
 *
 * Loaded with LD_PRELOAD. POWER_CUT_ROOT names the directory, POWER_CUT_TRACE the file that is appended to. What is
 * written to standard output is recorded too, so that what the process told the world has its place in the order.
 *
 * One lock makes each change and its record one step. A sync is recorded twice, when it begins and when it ended,
 * and runs without the lock: it covers what was recorded before its beginning.
 *
 * A record, little-endian: length of the rest (4), kind (1), descriptor (4), number (8), bytes. The reader resolves
 * descriptors and paths. Ways to change a file that this does not know (mapped memory, io_uring) cannot go unnoticed:
 * the reader compares what it rebuilt from everything with the real files.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define FDS 65536

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int trace = -1;
static char root[PATH_MAX];
static size_t root_length;
/* 1 where a descriptor is of a file or directory below the root. */
static unsigned char watched[FDS];

static void die(const char *what) {
    (void)!syscall(SYS_write, 2, "power cut recorder: ", 20);
    (void)!syscall(SYS_write, 2, what, strlen(what));
    (void)!syscall(SYS_write, 2, "\n", 1);
    abort();
}

#define REAL(name) \
    static __typeof__(&name) real = NULL; \
    if (!real) { \
        real = (__typeof__(&name))dlsym(RTLD_NEXT, #name); \
        if (!real) die("libc lacks " #name); \
    }

static void put(char kind, int fd, uint64_t number, const void *bytes, size_t length) {
    unsigned char head[17];
    uint32_t rest = (uint32_t)(13 + length);
    int32_t descriptor = fd;
    memcpy(head, &rest, 4);
    head[4] = (unsigned char)kind;
    memcpy(head + 5, &descriptor, 4);
    memcpy(head + 9, &number, 8);
    struct iovec parts[2] = {{head, sizeof head}, {(void *)bytes, length}};
    if (syscall(SYS_writev, trace, parts, 2) != (long)(sizeof head + length)) die("the trace cannot be written");
}

__attribute__((constructor)) static void begin(void) {
    const char *directory = getenv("POWER_CUT_ROOT");
    const char *path = getenv("POWER_CUT_TRACE");
    if (!directory || !path) return;
    if (!realpath(directory, root)) die("POWER_CUT_ROOT is not there");
    root_length = strlen(root);
    trace = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (trace < 0) die("POWER_CUT_TRACE cannot be opened");
    /* Out of the way of descriptors that the process expects. */
    int high = (int)syscall(SYS_fcntl, trace, F_DUPFD_CLOEXEC, 1000);
    if (high >= 0) { syscall(SYS_close, trace); trace = high; }
    /* Children are not recorded: their descriptors would be taken for ours. */
    unsetenv("POWER_CUT_TRACE");
}

/* The process ends: whatever other threads were about to change stays undone, so that nothing is unrecorded. */
__attribute__((destructor)) static void end(void) {
    if (trace >= 0) pthread_mutex_lock(&lock);
}

static int is_watched(int fd) { return fd >= 0 && fd < FDS && watched[fd]; }

/* Resolves a path whose last part need not exist, and says how it continues below the root; NULL where it is not. */
static const char *below(int dirfd, const char *path, char *out) {
    char directory[PATH_MAX], whole[PATH_MAX];
    if (trace < 0 || !path) return NULL;
    if (path[0] == '/') {
        if (snprintf(whole, sizeof whole, "%s", path) >= (int)sizeof whole) return NULL;
    } else {
        char link[64], base[PATH_MAX];
        if (dirfd == AT_FDCWD) {
            if (!getcwd(base, sizeof base)) return NULL;
        } else {
            snprintf(link, sizeof link, "/proc/self/fd/%d", dirfd);
            ssize_t n = readlink(link, base, sizeof base - 1);
            if (n < 0) return NULL;
            base[n] = 0;
        }
        if (snprintf(whole, sizeof whole, "%s/%s", base, path) >= (int)sizeof whole) return NULL;
    }
    if (!realpath(whole, out)) {
        char *slash = strrchr(whole, '/');
        if (!slash) return NULL;
        snprintf(directory, sizeof directory, "%.*s", slash == whole ? 1 : (int)(slash - whole), whole);
        char parent[PATH_MAX];
        if (!realpath(directory, parent)) return NULL;
        if (snprintf(out, PATH_MAX, "%s/%s", parent, slash + 1) >= PATH_MAX) return NULL;
    }
    if (strncmp(out, root, root_length) != 0) return NULL;
    if (out[root_length] == 0) return ".";
    return out[root_length] == '/' ? out + root_length + 1 : NULL;
}

static int opened(int dirfd, const char *path, int flags, mode_t mode) {
    char resolved[PATH_MAX];
    if (trace < 0) return (int)syscall(SYS_openat, dirfd, path, flags, mode);
    pthread_mutex_lock(&lock);
    const char *name = below(dirfd, path, resolved);
    int created = name && (flags & O_CREAT) && access(resolved, F_OK) != 0;
    int fd = (int)syscall(SYS_openat, dirfd, path, flags, mode);
    int saved = errno;
    if (fd >= 0 && fd < FDS) watched[fd] = name != NULL;
    if (fd >= 0 && name) {
        if (fd >= FDS) die("too many descriptors");
        put('o', fd, (uint64_t)(created ? 1 : 0) | (flags & O_TRUNC ? 2 : 0), name, strlen(name));
    }
    pthread_mutex_unlock(&lock);
    errno = saved;
    return fd;
}

#define MODE(flags) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | __O_TMPFILE)) { \
        va_list more; \
        va_start(more, flags); \
        mode = va_arg(more, mode_t); \
        va_end(more); \
    }

int open(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags | O_LARGEFILE, mode); }
int openat(int dirfd, const char *path, int flags, ...) { MODE(flags) return opened(dirfd, path, flags, mode); }
int openat64(int dirfd, const char *path, int flags, ...) {
    MODE(flags)
    return opened(dirfd, path, flags | O_LARGEFILE, mode);
}
int creat(const char *path, mode_t mode) { return opened(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

int close(int fd) {
    if (trace < 0) return (int)syscall(SYS_close, fd);
    pthread_mutex_lock(&lock);
    if (is_watched(fd)) {
        watched[fd] = 0;
        put('c', fd, 0, NULL, 0);
    }
    int outcome = (int)syscall(SYS_close, fd);
    int saved = errno;
    pthread_mutex_unlock(&lock);
    errno = saved;
    return outcome;
}

static int control(int fd, int command, void *argument) {
    int duplicates = command == F_DUPFD || command == F_DUPFD_CLOEXEC;
    if (trace < 0 || !duplicates) return (int)syscall(SYS_fcntl, fd, command, argument);
    pthread_mutex_lock(&lock);
    int copy = (int)syscall(SYS_fcntl, fd, command, argument);
    int saved = errno;
    if (copy >= 0 && copy < FDS) watched[copy] = (unsigned char)is_watched(fd);
    if (copy >= 0 && is_watched(fd)) put('d', fd, (uint64_t)copy, NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = saved;
    return copy;
}

int fcntl(int fd, int command, ...) {
    va_list more;
    va_start(more, command);
    void *argument = va_arg(more, void *);
    va_end(more);
    return control(fd, command, argument);
}
int fcntl64(int fd, int command, ...) {
    va_list more;
    va_start(more, command);
    void *argument = va_arg(more, void *);
    va_end(more);
    return control(fd, command, argument);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) {
    if (!is_watched(fd)) return syscall(SYS_pwrite64, fd, bytes, length, at);
    pthread_mutex_lock(&lock);
    ssize_t written = syscall(SYS_pwrite64, fd, bytes, length, at);
    int saved = errno;
    if (written > 0) put('w', fd, (uint64_t)at, bytes, (size_t)written);
    pthread_mutex_unlock(&lock);
    errno = saved;
    return written;
}
ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) { return pwrite(fd, bytes, length, at); }

ssize_t write(int fd, const void *bytes, size_t length) {
    int told = fd == 1 && trace >= 0;
    if (!is_watched(fd) && !told) return syscall(SYS_write, fd, bytes, length);
    pthread_mutex_lock(&lock);
    /* What is told is recorded before it leaves: whoever heard it heard it after this. */
    if (told) put('t', fd, 0, bytes, length);
    ssize_t written = syscall(SYS_write, fd, bytes, length);
    int saved = errno;
    if (!told && written > 0) {
        off_t end = (off_t)syscall(SYS_lseek, fd, 0, SEEK_CUR);
        put('w', fd, (uint64_t)(end - written), bytes, (size_t)written);
    }
    pthread_mutex_unlock(&lock);
    errno = saved;
    return written;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    if (!is_watched(fd)) return syscall(SYS_writev, fd, parts, count);
    ssize_t all = 0;
    for (int n = 0; n < count; n++) {
        if (parts[n].iov_len == 0) continue;
        ssize_t written = write(fd, parts[n].iov_base, parts[n].iov_len);
        if (written < 0) return all > 0 ? all : written;
        all += written;
        if ((size_t)written < parts[n].iov_len) break;
    }
    return all;
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
    if (is_watched(fd)) die("pwritev on a watched file is not recorded yet; add it");
    REAL(pwritev)
    return real(fd, parts, count, at);
}

int ftruncate(int fd, off_t length) {
    if (!is_watched(fd)) return (int)syscall(SYS_ftruncate, fd, length);
    pthread_mutex_lock(&lock);
    int outcome = (int)syscall(SYS_ftruncate, fd, length);
    int saved = errno;
    if (outcome == 0) put('l', fd, (uint64_t)length, NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = saved;
    return outcome;
}
int ftruncate64(int fd, off64_t length) { return ftruncate(fd, length); }

int fallocate(int fd, int mode, off_t at, off_t length) {
    if (!is_watched(fd)) return (int)syscall(SYS_fallocate, fd, mode, at, length);
    if (mode != (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE))
        die("fallocate on a watched file is recorded only where it makes holes; add what else there is");
    pthread_mutex_lock(&lock);
    int outcome = (int)syscall(SYS_fallocate, fd, mode, at, length);
    int saved = errno;
    uint64_t size = (uint64_t)length;
    if (outcome == 0) put('z', fd, (uint64_t)at, &size, sizeof size);
    pthread_mutex_unlock(&lock);
    errno = saved;
    return outcome;
}
int fallocate64(int fd, int mode, off64_t at, off64_t length) { return fallocate(fd, mode, at, length); }

static int synced(int fd, long call) {
    static uint64_t syncs = 0;
    if (!is_watched(fd)) return (int)syscall(call, fd);
    pthread_mutex_lock(&lock);
    uint64_t number = ++syncs;
    put('s', fd, number, NULL, 0);
    pthread_mutex_unlock(&lock);
    int outcome = (int)syscall(call, fd);
    int saved = errno;
    if (outcome == 0) {
        pthread_mutex_lock(&lock);
        put('e', fd, number, NULL, 0);
        pthread_mutex_unlock(&lock);
    }
    errno = saved;
    return outcome;
}

int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }

/* Leaves the disk's own cache unsynced, so it makes nothing durable. */
int sync_file_range(int fd, off64_t at, off64_t length, unsigned flags) {
    return (int)syscall(SYS_sync_file_range, fd, at, length, flags);
}

static int renamed(int from_dir, const char *from, int to_dir, const char *to) {
    char a[PATH_MAX], b[PATH_MAX], both[2 * PATH_MAX];
    if (trace < 0) return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, 0);
    pthread_mutex_lock(&lock);
    const char *old = below(from_dir, from, a);
    const char *name = below(to_dir, to, b);
    int outcome = (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, 0);
    int saved = errno;
    if (outcome == 0 && (old || name)) {
        if (!old || !name) die("a rename across the watched directory's border is not recorded yet; add it");
        size_t length = strlen(old);
        memcpy(both, old, length + 1);
        memcpy(both + length + 1, name, strlen(name));
        put('r', -1, length, both, length + 1 + strlen(name));
    }
    pthread_mutex_unlock(&lock);
    errno = saved;
    return outcome;
}

int rename(const char *from, const char *to) { return renamed(AT_FDCWD, from, AT_FDCWD, to); }
int renameat(int from_dir, const char *from, int to_dir, const char *to) {
    return renamed(from_dir, from, to_dir, to);
}

static int named(char kind, long call, int dirfd, const char *path, long argument) {
    char resolved[PATH_MAX];
    if (trace < 0) return (int)syscall(call, dirfd, path, argument);
    pthread_mutex_lock(&lock);
    const char *name = below(dirfd, path, resolved);
    int outcome = (int)syscall(call, dirfd, path, argument);
    int saved = errno;
    if (outcome == 0 && name) put(kind, -1, 0, name, strlen(name));
    pthread_mutex_unlock(&lock);
    errno = saved;
    return outcome;
}

int unlink(const char *path) { return named('u', SYS_unlinkat, AT_FDCWD, path, 0); }
int unlinkat(int dirfd, const char *path, int flags) { return named('u', SYS_unlinkat, dirfd, path, flags); }
int rmdir(const char *path) { return named('u', SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR); }
int mkdir(const char *path, mode_t mode) { return named('m', SYS_mkdirat, AT_FDCWD, path, mode); }
int mkdirat(int dirfd, const char *path, mode_t mode) { return named('m', SYS_mkdirat, dirfd, path, mode); }
