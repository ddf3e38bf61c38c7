// The interface to Linux that launcher.c and stub.c need, without a libc, headers or state. The numbers are from the kernel's unistd tables.

typedef unsigned long word;

#if defined(__x86_64__)
enum { NR_CLOSE = 3, NR_MMAP = 9, NR_MPROTECT = 10, NR_WRITE = 1, NR_PREAD = 17, NR_EXECVE = 59, NR_EXIT = 231, NR_OPENAT = 257, NR_READLINKAT = 267 };
// The rest is for redirect.c.
enum { NR_LSEEK = 8, NR_MUNMAP = 11, NR_SIGACTION = 13, NR_SIGPROCMASK = 14, NR_GETPID = 39, NR_WAIT4 = 61, NR_FACCESSAT = 269, NR_STATX = 332, NR_FACCESSAT2 = 439, NR_OPENAT2 = 437, NR_NEWFSTATAT = 262, NR_PRCTL = 157 };

static inline long call6(long n, long a, long b, long c, long d, long e, long f) {
  long ret;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall" : "=a"(ret) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
  return ret;
}
#elif defined(__aarch64__)
enum { NR_CLOSE = 57, NR_MMAP = 222, NR_MPROTECT = 226, NR_WRITE = 64, NR_PREAD = 67, NR_EXECVE = 221, NR_EXIT = 94, NR_OPENAT = 56, NR_READLINKAT = 78 };
// The rest is for redirect.c.
enum { NR_LSEEK = 62, NR_MUNMAP = 215, NR_SIGACTION = 134, NR_SIGPROCMASK = 135, NR_GETPID = 172, NR_WAIT4 = 260, NR_FACCESSAT = 48, NR_STATX = 291, NR_FACCESSAT2 = 439, NR_OPENAT2 = 437, NR_NEWFSTATAT = 79, NR_PRCTL = 167 };

static inline long call6(long n, long a, long b, long c, long d, long e, long f) {
  register long x8 __asm__("x8") = n;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = f;
  __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
}
#else
#error "cotter's launchers exist for x86_64 and aarch64"
#endif

#define call(n, a, b, c) call6(n, (long)(a), (long)(b), (long)(c), 0, 0, 0)

enum { AT_FDCWD = -100, O_PATH_CLOEXEC = 010000000 | 02000000, O_RDONLY_CLOEXEC = 02000000 };

static inline word length(const char *s) {
  word n = 0;
  while (s[n]) n++;
  return n;
}

static inline int same(const char *a, const char *b) {
  while (*a && *a == *b) a++, b++;
  return *a == *b;
}

// Whether the environment entry `name=value` is the variable `pattern`. A pattern that ends in * stands for all names that begin with it.
static inline int is_variable(const char *entry, const char *pattern) {
  while (*pattern && *pattern != '*' && *entry == *pattern) entry++, pattern++;
  return *pattern == '*' || (!*pattern && *entry == '=');
}

static inline void complain(const char *what, const char *path) {
  call(NR_WRITE, 2, "cotter: can't ", 14);
  call(NR_WRITE, 2, what, length(what));
  call(NR_WRITE, 2, " ", 1);
  call(NR_WRITE, 2, path, length(path));
  call(NR_WRITE, 2, "\n", 1);
  call(NR_EXIT, 127, 0, 0);
}
