// Calls every function that launcher/redirect.c wraps, and prints a line for each: `ok NAME`, or `FAIL NAME` with what was seen. Run it as
// `calls MODE WORK`: the mode says what is outside of the tree, nothing (jail), a Debian system (host), or the same with COTTER_PURE (pure).
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <ftw.h>
#include <glob.h>
#include <libintl.h>
#include <limits.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <utime.h>

// What the tree has, and what it does not have although it is a constant of this program. Debian's systems have HOST.
#define DATA "/usr/share/calls/data"
#define LINK "/usr/share/calls/link"
#define DIRECTORY "/usr/share/calls/dir"
#define ABSENT "/usr/share/calls/absent"
#define HOST "/usr/lib/os-release"

static char **arguments;

static void say(const char *name, int good, const char *what) {
  int e = errno;
  if (good)
    printf("ok %s\n", name);
  else
    printf("FAIL %s: %s, errno %d (%s)\n", name, what, e, strerror(e));
  fflush(stdout);
}

// A function that is not in the headers: programs of older Debian releases call it.
#define OLD(type, name, ...) ((type(*)(__VA_ARGS__))dlsym(RTLD_DEFAULT, name))

// `call` uses `path`: it succeeds where the tree has the file, and fails without one.
#define LOOKS(name, file, call)                                               \
  do {                                                                        \
    const char *path = file;                                                  \
    errno = 0;                                                                \
    int good = (call);                                                        \
    if (good) {                                                               \
      path = HOST;                                                            \
      int reached = (call);                                                   \
      path = ABSENT;                                                          \
      int made = (call);                                                      \
      say(name, !reached && !made && errno == ENOENT, reached ? "it reached the host" : "another error"); \
    } else                                                                    \
      say(name, 0, "the tree's file is not found");                           \
  } while (0)

// `call` would change the tree.
#define CHANGES(name, file, call, error)          \
  do {                                            \
    const char *path = file;                      \
    errno = 0;                                    \
    int failed = (call) == -1;                    \
    say(name, failed && errno == error, "the tree can be changed"); \
  } while (0)

static int reads(int fd) {
  char text[8] = "";
  if (fd < 0) return 0;
  long n = read(fd, text, 5);
  close(fd);
  return n == 5 && !strcmp(text, "data\n");
}
static int reads_stream(FILE *f) {
  char text[16] = "";
  if (!f) return 0;
  int good = fgets(text, sizeof text, f) && !strcmp(text, "data\n");
  fclose(f);
  return good;
}
static int is_data(const struct stat *s) { return S_ISREG(s->st_mode) && s->st_size == 5; }
static int is_data64(const struct stat64 *s) { return S_ISREG(s->st_mode) && s->st_size == 5; }
static int freed(char *text, const char *end) {
  int good = text && strlen(text) > strlen(end) && !strcmp(text + strlen(text) - strlen(end), end);
  free(text);
  return good;
}
static int entries, visited;
static int visit(const char *path, const struct stat *s, int flag) { return visited += flag == FTW_F && strstr(path, "/one") && s, 0; }
static int visit64(const char *path, const struct stat64 *s, int flag) { return visited += flag == FTW_F && strstr(path, "/one") && s, 0; }
static int nvisit(const char *path, const struct stat *s, int flag, struct FTW *f) { return f ? visit(path, s, flag) : 0; }
static int nvisit64(const char *path, const struct stat64 *s, int flag, struct FTW *f) { return f ? visit64(path, s, flag) : 0; }
static int walk(int result) {
  int found = visited == 1;
  visited = 0;
  return result == 0 && found;
}
static int listed(int n) { return n == 3; }
static int globbed(int result, glob_t *g) {
  int good = result == 0 && g->gl_pathc == 1 && !access(g->gl_pathv[0], R_OK);
  if (result == GLOB_NOMATCH) errno = ENOENT;
  return good;
}
static int roots(const char *path, FTS *(*open)(char *const *, int, int (*)(const FTSENT **, const FTSENT **))) {
  char *paths[] = {(char *)path, 0};
  FTS *f = open(paths, FTS_PHYSICAL | FTS_NOCHDIR, 0);
  int found = 0, error = 0;
  for (FTSENT *e; f && (e = fts_read(f));) {
    found += e->fts_info == FTS_F && !strcmp(e->fts_name, "one");
    if (e->fts_info == FTS_NS) error = e->fts_errno;
  }
  if (f) fts_close(f);
  errno = error;
  return found == 1;
}

// Starts a child that calls `become`, and returns its output, which is `expected` if all is well.
static char output[4096];
static int says(void (*become)(const char *), const char *path, const char *expected) {
  int ends[2];
  if (pipe(ends)) return 0;
  pid_t pid = fork();
  if (!pid) {
    dup2(ends[1], 1);
    close(ends[0]);
    become(path);
    dprintf(1, "errno %d", errno);
    _exit(1);
  }
  close(ends[1]);
  size_t used = 0;
  for (ssize_t n; (n = read(ends[0], output + used, sizeof output - 1 - used)) > 0;) used += n;
  output[used] = 0;
  close(ends[0]);
  waitpid(pid, 0, 0);
  return !strcmp(output, expected);
}
#define STARTS(name, become, path, expected) say(name, says(become, path, expected), output)

extern char **environ;
static char *child[] = {"calls", "child", "x", 0};
static void with_execve(const char *p) { execve(p, child, environ); }
static void with_execv(const char *p) { execv(p, child); }
static void with_execvp(const char *p) { execvp(p, child); }
static void with_execvpe(const char *p) { execvpe(p, child, environ); }
static void with_execl(const char *p) { execl(p, "calls", "child", "x", (char *)0); }
static void with_execlp(const char *p) { execlp(p, "calls", "child", "x", (char *)0); }
static void with_execle(const char *p) { execle(p, "calls", "child", "x", (char *)0, environ); }
static void with_spawn(const char *p) {
  pid_t pid;
  if ((errno = posix_spawn(&pid, p, 0, 0, child, environ))) return;
  waitpid(pid, 0, 0);
  _exit(0);
}
static void with_spawnp(const char *p) {
  pid_t pid;
  if ((errno = posix_spawnp(&pid, p, 0, 0, child, environ))) return;
  waitpid(pid, 0, 0);
  _exit(0);
}
static void with_vfork(const char *p) {
  pid_t pid = vfork();
  if (!pid) {
    execv(p, child);
    _exit(127);
  }
  waitpid(pid, 0, 0);
  _exit(0);
}
static void with_addopen(const char *path) {
  posix_spawn_file_actions_t a;
  pid_t pid;
  posix_spawn_file_actions_init(&a);
  if ((errno = posix_spawn_file_actions_addopen(&a, 0, path, O_RDONLY, 0))) return;
  char *cat[] = {"calls", "cat", 0};
  if ((errno = posix_spawn(&pid, "/usr/bin/calls", &a, 0, cat, environ))) return;
  waitpid(pid, 0, 0);
  _exit(0);
}
static void *many_commands(void *context) {
  for (int i = 0; i < 20; i++) system(":");
  return context;
}

static void with_system(const char *command) {
  int status = system(command);
  dprintf(1, " %d", WEXITSTATUS(status));
  _exit(0);
}
static void with_popen(const char *command) {
  FILE *f = popen(command, "r"), *g = popen("read x; echo $x", "w");
  char text[64] = "";
  if (!f || !g || !fgets(text, sizeof text, f)) return;
  dprintf(1, "%s", text);
  fputs("written\n", g);
  int wrote = pclose(g);
  dprintf(1, "%d %d", WEXITSTATUS(wrote), WEXITSTATUS(pclose(f)));
  _exit(0);
}

static int ends_with(const char *text, const char *end) { return strlen(text) >= strlen(end) && !strcmp(text + strlen(text) - strlen(end), end); }

int main(int argc, char **argv) {
  arguments = argv;
  if (argc > 1 && !strcmp(argv[1], "child")) {
    printf("child %s", argv[argc - 1]);
    return 0;
  }
  if (argc > 1 && !strcmp(argv[1], "cat")) {
    char text[64];
    fwrite(text, 1, fread(text, 1, sizeof text, stdin), stdout);
    return 0;
  }
  if (argc != 3) return 2;
  const char *mode = argv[1], *work = argv[2];
  if (chdir(work)) return 3;
  struct stat s;
  struct stat64 s64;
  struct statx sx;
  struct statfs fs;
  struct statfs64 fs64;
  struct statvfs vfs;
  struct statvfs64 vfs64;
  struct dirent **list;
  struct dirent64 **list64;
  glob_t g;
  glob64_t g64;
  char text[PATH_MAX], *kept;
  const char *volatile nothing = 0;
  long n;

  LOOKS("open", DATA, reads(open(path, O_RDONLY)));
  LOOKS("open64", DATA, reads(open64(path, O_RDONLY)));
  LOOKS("openat", DATA, reads(openat(AT_FDCWD, path, O_RDONLY)));
  LOOKS("openat64", DATA, reads(openat64(AT_FDCWD, path, O_RDONLY)));
  LOOKS("__open_2", DATA, reads(OLD(int, "__open_2", const char *, int)(path, O_RDONLY)));
  LOOKS("__open64_2", DATA, reads(OLD(int, "__open64_2", const char *, int)(path, O_RDONLY)));
  LOOKS("__openat_2", DATA, reads(OLD(int, "__openat_2", int, const char *, int)(AT_FDCWD, path, O_RDONLY)));
  LOOKS("__openat64_2", DATA, reads(OLD(int, "__openat64_2", int, const char *, int)(AT_FDCWD, path, O_RDONLY)));
  LOOKS("fopen", DATA, reads_stream(fopen(path, "r")));
  LOOKS("fopen64", DATA, reads_stream(fopen64(path, "r")));
  LOOKS("freopen", DATA, reads_stream(freopen(path, "r", fopen("/dev/null", "r"))));
  LOOKS("freopen64", DATA, reads_stream(freopen64(path, "r", fopen("/dev/null", "r"))));
  LOOKS("stat", DATA, !stat(path, &s) && is_data(&s));
  LOOKS("stat64", DATA, !stat64(path, &s64) && is_data64(&s64));
  LOOKS("lstat", LINK, !lstat(path, &s) && S_ISLNK(s.st_mode));
  LOOKS("lstat64", LINK, !lstat64(path, &s64) && S_ISLNK(s64.st_mode));
  LOOKS("fstatat", DATA, !fstatat(AT_FDCWD, path, &s, 0) && is_data(&s));
  LOOKS("fstatat64", DATA, !fstatat64(AT_FDCWD, path, &s64, 0) && is_data64(&s64));
#if defined(__x86_64__)
  int version = 1;
#else
  int version = 0;
#endif
  LOOKS("__xstat", DATA, !OLD(int, "__xstat", int, const char *, struct stat *)(version, path, &s) && is_data(&s));
  LOOKS("__xstat64", DATA, !OLD(int, "__xstat64", int, const char *, struct stat *)(version, path, &s) && is_data(&s));
  LOOKS("__lxstat", LINK, !OLD(int, "__lxstat", int, const char *, struct stat *)(version, path, &s) && S_ISLNK(s.st_mode));
  LOOKS("__lxstat64", LINK, !OLD(int, "__lxstat64", int, const char *, struct stat *)(version, path, &s) && S_ISLNK(s.st_mode));
  LOOKS("__fxstatat", DATA, !OLD(int, "__fxstatat", int, int, const char *, struct stat *, int)(version, AT_FDCWD, path, &s, 0) && is_data(&s));
  LOOKS("__fxstatat64", DATA, !OLD(int, "__fxstatat64", int, int, const char *, struct stat *, int)(version, AT_FDCWD, path, &s, 0) && is_data(&s));
  LOOKS("statx", DATA, !statx(AT_FDCWD, path, 0, STATX_SIZE, &sx) && sx.stx_size == 5);
  LOOKS("statfs", DATA, !statfs(path, &fs));
  LOOKS("statfs64", DATA, !statfs64(path, &fs64));
  LOOKS("statvfs", DATA, !statvfs(path, &vfs));
  LOOKS("statvfs64", DATA, !statvfs64(path, &vfs64));
  LOOKS("pathconf", DATA, pathconf(path, _PC_LINK_MAX) > 0);
  LOOKS("ftok", DATA, ftok(path, 1) != -1);
  // The file has no attributes, which is another error than that there is no file.
  LOOKS("getxattr", DATA, getxattr(path, "user.x", text, 8) == -1 && errno != ENOENT);
  LOOKS("lgetxattr", DATA, lgetxattr(path, "user.x", text, 8) == -1 && errno != ENOENT);
  LOOKS("listxattr", DATA, listxattr(path, text, sizeof text) >= 0);
  LOOKS("llistxattr", DATA, llistxattr(path, text, sizeof text) >= 0);
  int watch = inotify_init();
  LOOKS("inotify_add_watch", DATA, inotify_add_watch(watch, path, IN_ACCESS) >= 0);
  LOOKS("access", DATA, !access(path, R_OK));
  LOOKS("eaccess", DATA, !eaccess(path, R_OK));
  LOOKS("euidaccess", DATA, !euidaccess(path, R_OK));
  LOOKS("faccessat", DATA, !faccessat(AT_FDCWD, path, R_OK, 0));
  CHANGES("access to write", DATA, access(path, W_OK), EROFS);
  LOOKS("readlink", LINK, readlink(path, text, sizeof text) == 4);
  LOOKS("readlinkat", LINK, readlinkat(AT_FDCWD, path, text, sizeof text) == 4);
  LOOKS("__readlink_chk", LINK, OLD(long, "__readlink_chk", const char *, char *, size_t, size_t)(path, text, sizeof text, sizeof text) == 4);
  LOOKS("__readlinkat_chk", LINK, OLD(long, "__readlinkat_chk", int, const char *, char *, size_t, size_t)(AT_FDCWD, path, text, sizeof text, sizeof text) == 4);
  LOOKS("realpath", LINK, freed(realpath(path, 0), DATA));
  LOOKS("__realpath_chk", LINK, (kept = OLD(char *, "__realpath_chk", const char *, char *, size_t)(path, text, sizeof text)) && ends_with(kept, DATA));
  LOOKS("canonicalize_file_name", LINK, freed(canonicalize_file_name(path), DATA));
  LOOKS("opendir", DIRECTORY, opendir(path) != 0);
  LOOKS("scandir", DIRECTORY, listed(scandir(path, &list, 0, alphasort)));
  LOOKS("scandir64", DIRECTORY, listed(scandir64(path, &list64, 0, alphasort64)));
  LOOKS("scandirat", DIRECTORY, listed(scandirat(AT_FDCWD, path, &list, 0, alphasort)));
  LOOKS("scandirat64", DIRECTORY, listed(scandirat64(AT_FDCWD, path, &list64, 0, alphasort64)));
  LOOKS("ftw", DIRECTORY, walk(ftw(path, visit, 4)));
  LOOKS("ftw64", DIRECTORY, walk(ftw64(path, visit64, 4)));
  LOOKS("nftw", DIRECTORY, walk(nftw(path, nvisit, 4, 0)));
  LOOKS("nftw64", DIRECTORY, walk(nftw64(path, nvisit64, 4, 0)));
  LOOKS("fts_open", DIRECTORY, roots(path, fts_open));
  LOOKS("fts64_open", DIRECTORY, roots(path, OLD(FTS *, "fts64_open", char *const *, int, int (*)(const FTSENT **, const FTSENT **))));
  say("glob", globbed(glob("/usr/share/calls/da*", 0, 0, &g), &g) && glob("/usr/lib/os-rel[e]ase", 0, 0, &g) == GLOB_NOMATCH, "");
  say("glob64", globbed(glob64("/usr/share/calls/da*", 0, 0, &g64), (glob_t *)&g64), "");
  say("chdir", !chdir(DIRECTORY) && !access("one", R_OK) && chdir(ABSENT) && chdir(work) == 0, "");
  say("bindtextdomain", ends_with(bindtextdomain("calls", "/usr/share/calls/locale"), "/usr/share/calls/locale") && strcmp(bindtextdomain("calls", 0), "/usr/share/calls/locale"), bindtextdomain("calls", 0));
  LOOKS("syscall", DATA, !syscall(SYS_statx, AT_FDCWD, path, 0, STATX_SIZE, &sx) && sx.stx_size == 5);
  LOOKS("syscall to open", DATA, reads(syscall(SYS_openat, AT_FDCWD, path, O_RDONLY, 0)));

  CHANGES("open to write", DATA, open(path, O_WRONLY), EROFS);
  CHANGES("open to make", ABSENT, open(path, O_CREAT | O_RDWR, 0600), EROFS);
  CHANGES("fopen to write", DATA, fopen(path, "w") ? 0 : -1, EROFS);
  CHANGES("fopen to append", DATA, fopen(path, "ae") ? 0 : -1, EROFS);
  CHANGES("creat", ABSENT, creat(path, 0600), EROFS);
  CHANGES("creat64", ABSENT, creat64(path, 0600), EROFS);
  CHANGES("mkdir", ABSENT, mkdir(path, 0700), EROFS);
  char template[] = DIRECTORY "/XXXXXX", ending[] = DIRECTORY "/XXXXXX.c";
  CHANGES("mkstemp", template, mkstemp(template), EROFS);
  CHANGES("mkstemp64", template, mkstemp64(template), EROFS);
  CHANGES("mkostemp", template, mkostemp(template, 0), EROFS);
  CHANGES("mkostemp64", template, mkostemp64(template, 0), EROFS);
  CHANGES("mkstemps", ending, mkstemps(ending, 2), EROFS);
  CHANGES("mkstemps64", ending, mkstemps64(ending, 2), EROFS);
  CHANGES("mkostemps", ending, mkostemps(ending, 2, 0), EROFS);
  CHANGES("mkostemps64", ending, mkostemps64(ending, 2, 0), EROFS);
  CHANGES("mkdtemp", template, mkdtemp(template) ? 0 : -1, EROFS);
  // A relative path in a directory to which chdir was sent, and an absolute one of the tree itself.
  if (chdir(DIRECTORY)) return 3;
  char here[PATH_MAX];
  snprintf(here, sizeof here, "%s/new", getcwd(0, 0));
  CHANGES("a relative path", "new", open(path, O_CREAT | O_WRONLY, 0600), EROFS);
  CHANGES("a relative stream", "new", fopen(path, "w") ? 0 : -1, EROFS);
  CHANGES("a relative removal", "one", unlink(path), EROFS);
  CHANGES("a relative name", "one", rename(path, "two"), EROFS);
  CHANGES("a relative directory", "new", mkdir(path, 0700), EROFS);
  CHANGES("a path in the tree", here, open(path, O_CREAT | O_WRONLY, 0600), EROFS);
  if (chdir(work)) return 3;
  CHANGES("mkdir where one is", DIRECTORY, mkdir(path, 0700), EEXIST);
  CHANGES("mkdirat", ABSENT, mkdirat(AT_FDCWD, path, 0700), EROFS);
  CHANGES("mkfifo", ABSENT, mkfifo(path, 0700), EROFS);
  CHANGES("mkfifoat", ABSENT, mkfifoat(AT_FDCWD, path, 0700), EROFS);
  CHANGES("mknod", ABSENT, mknod(path, S_IFIFO | 0600, 0), EROFS);
  CHANGES("mknodat", ABSENT, mknodat(AT_FDCWD, path, S_IFIFO | 0600, 0), EROFS);
  dev_t device = 0;
  CHANGES("__xmknod", ABSENT, OLD(int, "__xmknod", int, const char *, mode_t, dev_t *)(0, path, S_IFIFO | 0600, &device), EROFS);
  CHANGES("rmdir", DIRECTORY, rmdir(path), EROFS);
  CHANGES("unlink", DATA, unlink(path), EROFS);
  CHANGES("unlink of nothing", ABSENT, unlink(path), ENOENT);
  CHANGES("unlinkat", DATA, unlinkat(AT_FDCWD, path, 0), EROFS);
  CHANGES("remove", DATA, remove(path), EROFS);
  CHANGES("chmod", DATA, chmod(path, 0777), EROFS);
  CHANGES("fchmodat", DATA, fchmodat(AT_FDCWD, path, 0777, 0), EROFS);
  CHANGES("chown", DATA, chown(path, 0, 0), EROFS);
  CHANGES("lchown", DATA, lchown(path, 0, 0), EROFS);
  CHANGES("fchownat", DATA, fchownat(AT_FDCWD, path, 0, 0, 0), EROFS);
  CHANGES("truncate", DATA, truncate(path, 0), EROFS);
  CHANGES("truncate64", DATA, truncate64(path, 0), EROFS);
  CHANGES("utime", DATA, utime(path, 0), EROFS);
  CHANGES("utimes", DATA, utimes(path, 0), EROFS);
  CHANGES("lutimes", DATA, lutimes(path, 0), EROFS);
  CHANGES("futimesat", DATA, futimesat(AT_FDCWD, path, 0), EROFS);
  CHANGES("utimensat", DATA, utimensat(AT_FDCWD, path, 0, 0), EROFS);
  CHANGES("setxattr", DATA, setxattr(path, "user.x", "y", 1, 0), EROFS);
  CHANGES("lsetxattr", DATA, lsetxattr(path, "user.x", "y", 1, 0), EROFS);
  CHANGES("removexattr", DATA, removexattr(path, "user.x"), EROFS);
  CHANGES("lremovexattr", DATA, lremovexattr(path, "user.x"), EROFS);
  CHANGES("symlink", ABSENT, symlink("x", path), EROFS);
  CHANGES("symlinkat", ABSENT, symlinkat("x", AT_FDCWD, path), EROFS);
  CHANGES("rename", DATA, rename(path, "here"), EROFS);
  CHANGES("renameat", DATA, renameat(AT_FDCWD, path, AT_FDCWD, "here"), EROFS);
  CHANGES("renameat2", DATA, renameat2(AT_FDCWD, path, AT_FDCWD, "here", 0), EROFS);
  CHANGES("link", DATA, link(path, "here"), EROFS);
  CHANGES("linkat", DATA, linkat(AT_FDCWD, path, AT_FDCWD, "here", 0), EROFS);

  // Libraries: the library of the tree finds its neighbour through its own search path, so the caller counts.
  void *plug = dlopen("/usr/lib/calls/plug.so", RTLD_NOW);
  int (*answer)(void) = plug ? dlsym(plug, "answer") : 0;
  say("dlopen", answer && answer() == 42 && !dlopen("/usr/lib/calls/absent.so", RTLD_NOW), plug ? "no answer" : dlerror());
  say("dlmopen", dlmopen(LM_ID_BASE, "/usr/lib/calls/plug.so", RTLD_NOW) == plug, "another library");

  // The environment asks for a UTF-8 locale that the tree does not have.
  setenv("LC_ALL", "xx_YY.utf8", 1);
  kept = setlocale(LC_ALL, "");
  say("setlocale", kept && !strcmp(kept, "C.UTF-8"), kept ? kept : "none");
  say("newlocale", newlocale(LC_ALL_MASK, "", 0) != 0, "none");
  setenv("LC_ALL", "xx_YY.latin1", 1);
  say("setlocale of another code", !setlocale(LC_ALL, ""), "it was replaced");
  setenv("LC_ALL", "C.UTF-8", 1);

  STARTS("execve", with_execve, "/usr/bin/calls", "child x");
  STARTS("execv", with_execv, "/usr/bin/calls", "child x");
  STARTS("execv after vfork", with_vfork, "/usr/bin/calls", "child x");
  STARTS("execl", with_execl, "/usr/bin/calls", "child x");
  STARTS("execle", with_execle, "/usr/bin/calls", "child x");
  STARTS("posix_spawn", with_spawn, "/usr/bin/calls", "child x");
  STARTS("execv of itself", with_execv, "/proc/self/exe", "child x");
  STARTS("execve of what is absent", with_execve, "/usr/lib/calls/absent", "errno 2");
  setenv("PATH", "/nonexistent:/usr/bin", 1);
  STARTS("execvp", with_execvp, "calls", "child x");
  STARTS("execvpe", with_execvpe, "calls", "child x");
  STARTS("execlp", with_execlp, "calls", "child x");
  STARTS("posix_spawnp", with_spawnp, "calls", "child x");
  STARTS("execvp of what is absent", with_execvp, "no-such-program", "errno 2");
  STARTS("posix_spawn_file_actions_addopen", with_addopen, DATA, "data\n");
  // Scripts of the tree begin with `#!/bin/sh -e` and `#!/usr/bin/env sh`. They print their own name's last part and their arguments.
  STARTS("execv of a script", with_execv, "/usr/lib/calls/run.sh", "run.sh child x\n");
  STARTS("execv of a script with env", with_execv, "/usr/lib/calls/env.sh", "env.sh child x\n");
  STARTS("posix_spawn of a script", with_spawn, "/usr/lib/calls/run.sh", "run.sh child x\n");
  {
    // A shell that starts the tests in the background ignores the signal.
    signal(SIGINT, SIG_DFL);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], 0, many_commands, 0);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], 0);
    struct sigaction now;
    sigaction(SIGINT, 0, &now);
    say("system in threads", now.sa_handler == SIG_DFL, "SIGINT is not as it was");
  }
  STARTS("system", with_system, "echo $((6 * 7)); exit 3", "42\n 3");
  STARTS("popen", with_popen, "echo one; exit 4", "one\nwritten\n0 4");
  say("pclose", pclose(popen("exit 5", "r")) == 5 << 8, "");

  // The program itself.
  n = readlink("/proc/self/exe", text, sizeof text - 1);
  text[n < 0 ? 0 : n] = 0;
  say("the program's own path", ends_with(text, "/usr/bin/calls") && !access(text, X_OK), text);
  sprintf(text, "/proc/%d/exe", getpid());
  say("the program's own real path", freed(realpath(text, 0), "/usr/bin/calls"), text);
  FILE *self = fopen("/proc/self/exe", "r");
  say("the program's own bytes", self && fseek(self, 0, SEEK_END) == 0 && ftell(self) > 20000 && fread(text, 1, 1, self) == 0, "");

  // Paths in other forms, and the rest of the world.
  LOOKS("a path with dots", "/usr//share/./calls/../calls/data", reads(open(path, O_RDONLY)));
  say("a path that leaves", open("/usr/share/calls/../../../usr/lib/../lib/os-release", O_RDONLY) < 0, "it reached the host");
  say("the directory of a file", open("/usr/share/calls/data/", O_RDONLY) < 0 && errno == ENOTDIR, "it was opened");
  say("a relative path", reads(open("data", O_RDONLY)), "not read");
  say("a null path", open(nothing, O_RDONLY) < 0 && errno == EFAULT, "no error");
  say("the end of a name", open("/usr/share/call" "s-other", O_RDONLY) < 0, "it was opened");
  int machine = open("/etc/passwd", O_RDONLY);
  say("the machine's configuration", !strcmp(mode, "jail") ? machine < 0 : machine >= 0, "");
  // This path is no constant of the program, and no package of the tree owns it.
  snprintf(text, sizeof text, "/usr/%s/%s-%s", "share", "base", "files");
  say("what no package owns", access(text, F_OK) == (strcmp(mode, "host") ? -1 : 0), text);
  snprintf(text, sizeof text, "/%s/debian%sversion", "etc", "_");
  say("configuration that no package owns", access(text, F_OK) == (strcmp(mode, "host") ? -1 : 0), text);
  entries = argc;
  return 0;
}
