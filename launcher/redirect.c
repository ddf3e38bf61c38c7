// A library that the loader of a tree preloads into programs whose code, libraries or neighbours contain absolute paths. It wraps the functions of libc
// that take a path, and sends paths of the system to the tree: policy.h decides. It is linked without a libc: it needs nothing but symbols
// that every libc has, which bind without a version. Its functions may be called from signal handlers, between fork and exec, and before its
// constructor has run.
#include "sys.h"

enum { ENOENT = 2, ENOEXEC = 8, EACCES = 13, EEXIST = 17, ENOTDIR = 20, EINVAL = 22, EROFS = 30, ENOSYS = 38 };
enum { O_ACCMODE = 3, O_CREAT = 0100, O_TRUNC = 01000, O_PATH = 010000000, W_OK = 2, AT_SYMLINK_NOFOLLOW = 0x100 };

extern int *__errno_location(void);
extern char **environ;
#define errno (*__errno_location())

#include "next.h"
#include "policy.h"

#define EXPORT __attribute__((visibility("default")))

// Declares `to`, which is where `path` leads, and `route`.
#define SEND(path)                 \
  char room_[room(path)];          \
  enum route route;                \
  const char *to = redirect(path, room_, &route)
// The same for functions that read the file itself, not the link: /proc/self/exe names the loader, and stands for the program.
#define SEND_READ(path) \
  SEND(path);           \
  if (route == PASS && state.target && is_self(path)) to = state.target
// The same for functions that open a file: where it is a launcher of a script, the script's text stands for it.
#define SEND_OPEN(path, changes) \
  SEND_READ(path);               \
  char text_[text_room(to)];     \
  if (!(changes)) to = text_of(to, text_)

// The tree cannot be changed, whoever the user is.
static int read_only(void) {
  errno = EROFS;
  return -1;
}

enum { PR_SET_NAME = 15 };

__attribute__((constructor)) static void begin(int argc, char **argv, char **env) {
  get_ready(argc ? argv : 0, env);
  // Otherwise ps and pgrep would show the name of the loader.
  char path[PATH_MAX];
  if (state.target) call(NR_PRCTL, PR_SET_NAME, last_name(launcher_of(state.target, path)), 0);
}

// --- Opening ---

typedef unsigned mode_t;
typedef struct file FILE;
typedef struct directory DIR;

static int writes(int flags) { return (flags & O_ACCMODE) != 0 || (flags & (O_CREAT | O_TRUNC)) != 0; }

// A function with an optional mode is called with one: it is ignored where it is not needed.
#define OPEN(name)                                                                         \
  EXPORT int name(const char *path, int flags, mode_t m) {                                 \
    SEND_OPEN(path, writes(flags) || (flags & O_PATH));                                    \
    if (writes(flags) && (route == SENT || is_inside(AT_FDCWD, path))) return read_only(); \
    return NEXT(name)(to, flags, m);                                                       \
  }
OPEN(open)
OPEN(open64)
#define OPENAT(name)                                                                 \
  EXPORT int name(int at, const char *path, int flags, mode_t m) {                   \
    SEND_OPEN(path, writes(flags) || (flags & O_PATH));                              \
    if (writes(flags) && (route == SENT || is_inside(at, path))) return read_only(); \
    return NEXT(name)(at, to, flags, m);                                             \
  }
OPENAT(openat)
OPENAT(openat64)
#define OPEN_2(name)                                                                       \
  EXPORT int name(const char *path, int flags) {                                           \
    SEND_OPEN(path, writes(flags) || (flags & O_PATH));                                    \
    if (writes(flags) && (route == SENT || is_inside(AT_FDCWD, path))) return read_only(); \
    return NEXT(name)(to, flags);                                                          \
  }
OPEN_2(__open_2)
OPEN_2(__open64_2)
#define OPENAT_2(name)                                                               \
  EXPORT int name(int at, const char *path, int flags) {                             \
    SEND_OPEN(path, writes(flags) || (flags & O_PATH));                              \
    if (writes(flags) && (route == SENT || is_inside(at, path))) return read_only(); \
    return NEXT(name)(at, to, flags);                                                \
  }
OPENAT_2(__openat_2)
OPENAT_2(__openat64_2)

static int mode_writes(const char *mode) {
  for (; *mode && *mode != ','; mode++)
    if (*mode == 'w' || *mode == 'a' || *mode == '+') return 1;
  return 0;
}
#define FOPEN(name)                                                          \
  EXPORT FILE *name(const char *path, const char *mode) {                    \
    SEND_OPEN(path, mode_writes(mode));                                      \
    if (mode_writes(mode) && (route == SENT || is_inside(AT_FDCWD, path))) { \
      read_only();                                                           \
      return 0;                                                              \
    }                                                                        \
    return NEXT(name)(to, mode);                                             \
  }
FOPEN(fopen)
FOPEN(fopen64)
#define FREOPEN(name)                                                                               \
  EXPORT FILE *name(const char *path, const char *mode, FILE *file) {                               \
    SEND_OPEN(path, mode_writes(mode));                                                             \
    if (mode_writes(mode) && (route == SENT || is_inside(AT_FDCWD, path))) to = "/proc/version/no"; \
    return NEXT(name)(to, mode, file);                                                              \
  }
FREOPEN(freopen)
FREOPEN(freopen64)

// --- Functions that only look: one path at the first or the second place ---

#define LOOK(type, name, parameters, arguments) \
  EXPORT type name parameters {                 \
    SEND_READ(path);                            \
    return NEXT(name) arguments;                \
  }
LOOK(int, stat, (const char *path, void *s), (to, s))
LOOK(int, stat64, (const char *path, void *s), (to, s))
LOOK(int, __xstat, (int v, const char *path, void *s), (v, to, s))
LOOK(int, __xstat64, (int v, const char *path, void *s), (v, to, s))
LOOK(int, statfs, (const char *path, void *s), (to, s))
LOOK(int, statfs64, (const char *path, void *s), (to, s))
LOOK(int, statvfs, (const char *path, void *s), (to, s))
LOOK(int, statvfs64, (const char *path, void *s), (to, s))
LOOK(long, pathconf, (const char *path, int name), (to, name))
LOOK(long, getxattr, (const char *path, const char *n, void *v, word s), (to, n, v, s))
LOOK(long, listxattr, (const char *path, char *v, word s), (to, v, s))
LOOK(int, ftok, (const char *path, int id), (to, id))
LOOK(int, inotify_add_watch, (int fd, const char *path, unsigned m), (fd, to, m))

// These look at the link itself if their flags say so.
#define LOOK_BY_FLAGS(name, parameters, arguments)                                                          \
  EXPORT int name parameters {                                                                              \
    SEND(path);                                                                                             \
    if (route == PASS && !(f & AT_SYMLINK_NOFOLLOW) && state.target && is_self(path)) to = state.target;    \
    return NEXT(name) arguments;                                                                            \
  }
LOOK_BY_FLAGS(statx, (int at, const char *path, int f, unsigned m, void *s), (at, to, f, m, s))
LOOK_BY_FLAGS(fstatat, (int at, const char *path, void *s, int f), (at, to, s, f))
LOOK_BY_FLAGS(fstatat64, (int at, const char *path, void *s, int f), (at, to, s, f))
LOOK_BY_FLAGS(__fxstatat, (int v, int at, const char *path, void *s, int f), (v, at, to, s, f))
LOOK_BY_FLAGS(__fxstatat64, (int v, int at, const char *path, void *s, int f), (v, at, to, s, f))

#define LOOK_AT_LINK(type, name, parameters, arguments) \
  EXPORT type name parameters {                         \
    SEND(path);                                         \
    (void)route;                                        \
    return NEXT(name) arguments;                        \
  }
LOOK_AT_LINK(int, lstat, (const char *path, void *s), (to, s))
LOOK_AT_LINK(int, lstat64, (const char *path, void *s), (to, s))
LOOK_AT_LINK(int, __lxstat, (int v, const char *path, void *s), (v, to, s))
LOOK_AT_LINK(int, __lxstat64, (int v, const char *path, void *s), (v, to, s))
LOOK_AT_LINK(long, lgetxattr, (const char *path, const char *n, void *v, word s), (to, n, v, s))
LOOK_AT_LINK(long, llistxattr, (const char *path, char *v, word s), (to, v, s))
LOOK_AT_LINK(DIR *, opendir, (const char *path), (to))
LOOK_AT_LINK(int, chdir, (const char *path), (to))
typedef void *function;
LOOK_AT_LINK(int, scandir, (const char *path, void *l, function select, function compare), (to, l, select, compare))
LOOK_AT_LINK(int, scandir64, (const char *path, void *l, function select, function compare), (to, l, select, compare))
LOOK_AT_LINK(int, scandirat, (int at, const char *path, void *l, function select, function compare), (at, to, l, select, compare))
LOOK_AT_LINK(int, scandirat64, (int at, const char *path, void *l, function select, function compare), (at, to, l, select, compare))
LOOK_AT_LINK(int, ftw, (const char *path, function f, int n), (to, f, n))
LOOK_AT_LINK(int, ftw64, (const char *path, function f, int n), (to, f, n))
LOOK_AT_LINK(int, nftw, (const char *path, function f, int n, int flags), (to, f, n, flags))
LOOK_AT_LINK(int, nftw64, (const char *path, function f, int n, int flags), (to, f, n, flags))
LOOK_AT_LINK(char *, bindtextdomain, (const char *domain, const char *path), (domain, to))

#define ACCESS(name, parameters, arguments)                   \
  EXPORT int name parameters {                                \
    SEND_READ(path);                                          \
    if (route == SENT && (mode & W_OK)) {                     \
      int there = NEXT(name) arguments;                       \
      return there == 0 || errno == EACCES ? read_only() : there; \
    }                                                         \
    return NEXT(name) arguments;                              \
  }
ACCESS(access, (const char *path, int mode), (to, mode))
ACCESS(eaccess, (const char *path, int mode), (to, mode))
ACCESS(euidaccess, (const char *path, int mode), (to, mode))
ACCESS(faccessat, (int at, const char *path, int mode, int f), (at, to, mode, f))

// --- Links, and the path of the program itself ---

#define READLINK(name, parameters, arguments)                                         \
  EXPORT long name parameters {                                                       \
    SEND(path);                                                                       \
    char self[PATH_MAX];                                                              \
    if (route == PASS && state.target && is_self(path)) return copy(launcher_of(state.target, self), out, size); \
    return NEXT(name) arguments;                                                      \
  }
static long copy(const char *text, char *out, word size) {
  word n = 0;
  for (; text[n] && n < size; n++) out[n] = text[n];
  return n;
}
READLINK(readlink, (const char *path, char *out, word size), (to, out, size))
READLINK(__readlink_chk, (const char *path, char *out, word size, word limit), (to, out, size, limit))
READLINK(readlinkat, (int at, const char *path, char *out, word size), (at, to, out, size))
READLINK(__readlinkat_chk, (int at, const char *path, char *out, word size, word limit), (at, to, out, size, limit))

#define REALPATH(name, parameters, arguments)                             \
  EXPORT char *name parameters {                                          \
    SEND(path);                                                           \
    char self[PATH_MAX];                                                  \
    if (route == PASS && state.target && is_self(path)) to = launcher_of(state.target, self); \
    return NEXT(name) arguments;                                          \
  }
REALPATH(realpath, (const char *path, char *out), (to, out))
REALPATH(__realpath_chk, (const char *path, char *out, word size), (to, out, size))
REALPATH(canonicalize_file_name, (const char *path), (to))

// --- Functions that change something: the tree cannot be changed ---

#define CHANGE_IN(at, name, parameters, arguments) \
  EXPORT int name parameters {                     \
    SEND(path);                                    \
    if (route == SENT) {                           \
      errno = exists(to) ? EROFS : ENOENT;         \
      return -1;                                   \
    }                                              \
    if (is_inside(at, path)) return read_only();   \
    return NEXT(name) arguments;                   \
  }
#define CHANGE(name, parameters, arguments) CHANGE_IN(AT_FDCWD, name, parameters, arguments)
CHANGE(rmdir, (const char *path), (to))
CHANGE(unlink, (const char *path), (to))
CHANGE_IN(at, unlinkat, (int at, const char *path, int f), (at, to, f))
CHANGE(remove, (const char *path), (to))
CHANGE(chmod, (const char *path, mode_t m), (to, m))
CHANGE_IN(at, fchmodat, (int at, const char *path, mode_t m, int f), (at, to, m, f))
CHANGE(chown, (const char *path, unsigned u, unsigned g), (to, u, g))
CHANGE(lchown, (const char *path, unsigned u, unsigned g), (to, u, g))
CHANGE_IN(at, fchownat, (int at, const char *path, unsigned u, unsigned g, int f), (at, to, u, g, f))
CHANGE(truncate, (const char *path, long n), (to, n))
CHANGE(truncate64, (const char *path, long n), (to, n))
CHANGE(utime, (const char *path, const void *t), (to, t))
CHANGE(utimes, (const char *path, const void *t), (to, t))
CHANGE(lutimes, (const char *path, const void *t), (to, t))
CHANGE_IN(at, futimesat, (int at, const char *path, const void *t), (at, to, t))
CHANGE_IN(at, utimensat, (int at, const char *path, const void *t, int f), (at, to, t, f))
CHANGE(setxattr, (const char *path, const char *n, const void *v, word s, int f), (to, n, v, s, f))
CHANGE(lsetxattr, (const char *path, const char *n, const void *v, word s, int f), (to, n, v, s, f))
CHANGE(removexattr, (const char *path, const char *n), (to, n))
CHANGE(lremovexattr, (const char *path, const char *n), (to, n))

#define MAKE_IN(at, name, parameters, arguments) \
  EXPORT int name parameters {                   \
    SEND(path);                                  \
    if (route == SENT) {                         \
      errno = exists(to) ? EEXIST : EROFS;       \
      return -1;                                 \
    }                                            \
    if (is_inside(at, path)) return read_only(); \
    return NEXT(name) arguments;                 \
  }
#define MAKE(name, parameters, arguments) MAKE_IN(AT_FDCWD, name, parameters, arguments)
MAKE(mkdir, (const char *path, mode_t m), (to, m))
MAKE_IN(at, mkdirat, (int at, const char *path, mode_t m), (at, to, m))
MAKE(mkfifo, (const char *path, mode_t m), (to, m))
MAKE_IN(at, mkfifoat, (int at, const char *path, mode_t m), (at, to, m))
MAKE(mknod, (const char *path, mode_t m, word d), (to, m, d))
MAKE_IN(at, mknodat, (int at, const char *path, mode_t m, word d), (at, to, m, d))
MAKE(__xmknod, (int v, const char *path, mode_t m, void *d), (v, to, m, d))
MAKE(symlink, (const char *target, const char *path), (target, to))
MAKE_IN(at, symlinkat, (const char *target, int at, const char *path), (target, at, to))

#define CREATE(name)                                                    \
  EXPORT int name(const char *path, mode_t m) {                         \
    SEND(path);                                                         \
    if (route == SENT || is_inside(AT_FDCWD, path)) return read_only(); \
    return NEXT(name)(to, m);                                           \
  }
CREATE(creat)
CREATE(creat64)

static int leads_into_tree(const char *path);

// libc opens a temporary file itself.
#define TEMPORARY(type, failed, name, parameters, arguments)  \
  EXPORT type name parameters {                               \
    if (leads_into_tree(path) || is_inside(AT_FDCWD, path)) { \
      read_only();                                            \
      return failed;                                          \
    }                                                         \
    return NEXT(name) arguments;                              \
  }
TEMPORARY(int, -1, mkstemp, (char *path), (path))
TEMPORARY(int, -1, mkstemp64, (char *path), (path))
TEMPORARY(int, -1, mkostemp, (char *path, int flags), (path, flags))
TEMPORARY(int, -1, mkostemp64, (char *path, int flags), (path, flags))
TEMPORARY(int, -1, mkstemps, (char *path, int n), (path, n))
TEMPORARY(int, -1, mkstemps64, (char *path, int n), (path, n))
TEMPORARY(int, -1, mkostemps, (char *path, int n, int flags), (path, n, flags))
TEMPORARY(int, -1, mkostemps64, (char *path, int n, int flags), (path, n, flags))
TEMPORARY(char *, 0, mkdtemp, (char *path), (path))

static int leads_into_tree(const char *path) {
  SEND(path);
  (void)to;
  return route == SENT;
}
#define CHANGE_TWO(at_from, at_into, name, parameters, arguments)                 \
  EXPORT int name parameters {                                                    \
    if (leads_into_tree(from) || leads_into_tree(into)) return read_only();       \
    if (is_inside(at_from, from) || is_inside(at_into, into)) return read_only(); \
    return NEXT(name) arguments;                                                  \
  }
CHANGE_TWO(AT_FDCWD, AT_FDCWD, rename, (const char *from, const char *into), (from, into))
CHANGE_TWO(a, b, renameat, (int a, const char *from, int b, const char *into), (a, from, b, into))
CHANGE_TWO(a, b, renameat2, (int a, const char *from, int b, const char *into, unsigned f), (a, from, b, into, f))
CHANGE_TWO(AT_FDCWD, AT_FDCWD, link, (const char *from, const char *into), (from, into))
CHANGE_TWO(AT_FDCWD, b, linkat, (int a, const char *from, int b, const char *into, int f), (a, from, b, into, f))

#include "redirect-calls.h"
#include "redirect-exec.h"
