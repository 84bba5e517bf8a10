/* Lets the n-th call of a kind below a folder fail; preloaded by faults.py, which sets `control`. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { NOTHING, WRITE, SYNC, READ, OPEN, RENAME };
struct control { volatile int what, error, after, until, seen; };
static struct control *control;
static const char *below;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("FAULTS_CONTROL");
    below = getenv("FAULTS_BELOW");
    if (!path || !below) return;
    int file = open(path, O_RDWR);
    void *found = mmap(0, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (found != MAP_FAILED) control = found;
    close(file);
}

/* Tell whether this call is to fail: those from `after` on and before `until`. */
static int fails_at(const char *path, int what) {
    if (!control || control->what != what || strncmp(path, below, strlen(below))) return 0;
    int number = __sync_fetch_and_add(&control->seen, 1);
    if (number < control->after || number >= control->until) return 0;
    errno = control->error;
    return 1;
}

static int fails(int file, int what) {
    if (!control || control->what != what) return 0;
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return fails_at(path, what);
}

/* Opened to be written or made. */
static int fails_open(const char *path, int flags) {
    return flags & (O_WRONLY | O_RDWR | O_CREAT) && fails_at(path, OPEN);
}

#define REAL(name) static __typeof__(name) *real; if (!real) real = dlsym(RTLD_NEXT, #name)

ssize_t write(int f, const void *b, size_t n) { REAL(write); return fails(f, WRITE) ? -1 : real(f, b, n); }
ssize_t pwrite(int f, const void *b, size_t n, off_t o) { REAL(pwrite); return fails(f, WRITE) ? -1 : real(f, b, n, o); }
ssize_t pwrite64(int f, const void *b, size_t n, off64_t o) { REAL(pwrite64); return fails(f, WRITE) ? -1 : real(f, b, n, o); }
ssize_t writev(int f, const struct iovec *v, int n) { REAL(writev); return fails(f, WRITE) ? -1 : real(f, v, n); }
int fsync(int f) { REAL(fsync); return fails(f, SYNC) ? -1 : real(f); }
int fdatasync(int f) { REAL(fdatasync); return fails(f, SYNC) ? -1 : real(f); }
ssize_t read(int f, void *b, size_t n) { REAL(read); return fails(f, READ) ? -1 : real(f, b, n); }
ssize_t pread64(int f, void *b, size_t n, off64_t o) { REAL(pread64); return fails(f, READ) ? -1 : real(f, b, n, o); }
ssize_t pread(int f, void *b, size_t n, off_t o) { REAL(pread); return fails(f, READ) ? -1 : real(f, b, n, o); }

#define MODE(flags) mode_t m = 0; if ((flags) & (O_CREAT | O_TMPFILE)) { va_list l; va_start(l, flags); m = va_arg(l, mode_t); va_end(l); }
int open(const char *p, int flags, ...) { REAL(open); MODE(flags); return fails_open(p, flags) ? -1 : real(p, flags, m); }
int open64(const char *p, int flags, ...) { REAL(open64); MODE(flags); return fails_open(p, flags) ? -1 : real(p, flags, m); }
int openat(int d, const char *p, int flags, ...) { REAL(openat); MODE(flags); return fails_open(p, flags) ? -1 : real(d, p, flags, m); }
int openat64(int d, const char *p, int flags, ...) { REAL(openat64); MODE(flags); return fails_open(p, flags) ? -1 : real(d, p, flags, m); }
int mkdir(const char *p, mode_t m) { REAL(mkdir); return fails_at(p, OPEN) ? -1 : real(p, m); }
int rename(const char *p, const char *q) { REAL(rename); return fails_at(q, RENAME) ? -1 : real(p, q); }
int renameat(int d, const char *p, int e, const char *q) { REAL(renameat); return fails_at(q, RENAME) ? -1 : real(d, p, e, q); }
