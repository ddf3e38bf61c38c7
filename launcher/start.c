// The start code of a program that runs with a pinned libc. It is linked into the program as its entry point, and the program does not
// request a loader from the kernel. The start code finds the run-time files that belong to the program, writes their place into the program's
// DT_RPATH, maps the loader among them, and passes control to it as the kernel would. /proc/self/exe remains the program itself.
//
// The places in which the files are searched, where `X` is the program as it was called or as it is on the disk, and RUNTIME is a path
// that the build defines:
//   X.runfiles/RUNTIME               a program with its runfiles next to it
//   D.runfiles/RUNTIME               a program within the runfiles of another
//   <a directory above X>/external/RUNTIME   a tool within an action
#if defined(__GNUC__) && !defined(__clang__)
// GCC would make calls of functions of libc from some loops, which do not exist yet.
#pragma GCC optimize("no-tree-loop-distribute-patterns")
#endif
#include "sys.h"
#include "map.h"

#if defined(__x86_64__)
enum { NR_GETCWD = 79 };
#define LOADER "ld-linux-x86-64.so.2"
#else
enum { NR_GETCWD = 17 };
#define LOADER "ld-linux-aarch64.so.1"
#endif

enum { DT_STRTAB = 5, DT_RPATH = 15, PT_DYNAMIC = 2, PT_PHDR = 6, AT_PHNUM = 5, PATH = 4096, MARK = 512, SEGMENTS = 32 };

// The data that the loader reads as long as the program runs.
static struct segment segments[SEGMENTS];
static char loader[PATH];

// The beginning of the placeholder that the linker puts into DT_RPATH. The placeholder is MARK characters long.
static const char mark[] = "/cotter-runtime/";

extern const char image[] __asm__("__ehdr_start") __attribute__((visibility("hidden")));
extern const char begin[] __asm__("_start") __attribute__((visibility("hidden")));

// Appends `n` characters. Returns the new length, or 0 if it would be too long.
static word append(char *to, word at, const char *from, word n) {
  if (!at || at + n + 1 > PATH) return 0;
  for (word i = 0; i < n; i++) to[at + i] = from[i];
  to[at + n] = 0;
  return at + n;
}

// Returns the length of the path `dir` + `middle` + RUNTIME if the loader is in that directory, and 0 otherwise.
static word holds(char *dir, word at, const char *middle) {
  at = append(dir, at, middle, length(middle));
  at = append(dir, at, COTTER_RUNTIME, sizeof COTTER_RUNTIME - 1);
  if (!append(dir, at, "/" LOADER, sizeof LOADER)) return 0;
  long fd = call(NR_OPENAT, AT_FDCWD, dir, O_PATH_CLOEXEC);
  if (fd < 0) return 0;
  call(NR_CLOSE, fd, 0, 0);
  return at;
}

static word find(char *dir, const char *program, word n) {
  static const char tail[] = ".runfiles/";
  word found;
  for (word i = 0; i < n; i++) dir[i] = program[i];
  if ((found = holds(dir, n, tail))) return found;
  for (word at = n ? n - 1 : 0; at > 0; at--) {
    word k = 0;
    while (k < sizeof tail - 1 && at + k < n && program[at + k] == tail[k]) k++;
    if (k == sizeof tail - 1 && (found = holds(dir, at, tail))) return found;
    for (word i = 0; i < n; i++) dir[i] = program[i];
  }
  for (word at = n ? n - 1 : 0; at > 0; at--) {
    if (program[at] != '/') continue;
    if ((found = holds(dir, at, "/external/"))) return found;
    for (word i = 0; i < n; i++) dir[i] = program[i];
  }
  return 0;
}

// Replaces the placeholder in DT_RPATH with the directory. The rest of the placeholder becomes slashes, which have no effect.
static void tell(const char *dir, word n, word page, const struct segment *first, word count, const word *dynamic) {
  const char *strings = 0, *path = 0;
  for (const word *d = dynamic; d[0]; d += 2)
    if (d[0] == DT_STRTAB) strings = image + d[1];
  for (const word *d = dynamic; d[0]; d += 2)
    if (d[0] == DT_RPATH) path = strings + d[1];
  for (; path && *path; path++) {
    word k = 0;
    while (mark[k] && path[k] == mark[k]) k++;
    if (mark[k]) continue;
    word from = (word)path & -page, size = ((word)path + MARK - from + page - 1) & -page;
    if (n > MARK) complain("fit into its DT_RPATH", dir);
    // Some linkers put strings into the same segment as code, such as this function, and some do not.
    int before = PROT_READ;
    for (word i = 0; i < count; i++)
      if (first[i].type == PT_LOAD && (word)(path - image) - first[i].vaddr < first[i].memsz) before = protection(first[i].flags);
    if (call(NR_MPROTECT, from, size, before | PROT_WRITE)) complain("prepare", dir);
    for (word i = 0; i < MARK; i++) ((volatile char *)path)[i] = i < n ? dir[i] : '/';
    call(NR_MPROTECT, from, size, before);
    return;
  }
}

__attribute__((used, visibility("hidden"))) word cotter_find_and_map(word *stack) {
  char **env = (char **)(stack + 1 + stack[0] + 1);
  while (*env) env++;
  word *aux = (word *)(env + 1), page = 4096;
  const char *called = "";
  const struct segment *first = 0;
  word count = 0;
  for (word *a = aux; a[0]; a += 2) {
    if (a[0] == AT_PAGESZ) page = a[1];
    if (a[0] == AT_PHDR) first = (struct segment *)a[1];
    if (a[0] == AT_PHNUM) count = a[1];
    if (a[0] == AT_EXECFN) called = (const char *)a[1];
  }
  const word *dynamic = 0;
  for (word i = 0; i < count; i++)
    if (first[i].type == PT_DYNAMIC) dynamic = (const word *)(image + first[i].vaddr);
  // The program was linked statically: it contains its libc, and needs only its own start code.
  if (!dynamic) return (word)begin;
  char program[PATH], dir[PATH];
  word n = 0, found = 0;
  if (*called != '/') {
    long got = call(NR_GETCWD, program, PATH, 0);
    if (got > 1) program[got - 1] = '/', n = got;
  }
  for (word i = 0; called[i] && n < PATH - 1; i++) program[n++] = called[i];
  found = find(dir, program, n);
  if (!found) {
    long got = call6(NR_READLINKAT, AT_FDCWD, (long)"/proc/self/exe", (long)program, PATH, 0, 0);
    // A name that fills the buffer was truncated.
    if (got > 0 && got < PATH) found = find(dir, program, n = got);
  }
  program[n < PATH ? n : PATH - 1] = 0;
  if (!found) complain("find the run-time files " COTTER_RUNTIME " of", program);
  dir[found] = 0;
  tell(dir, found, page, first, count, dynamic);
  append(dir, found, "/" LOADER, sizeof LOADER);
  for (word i = 0; i < PATH; i++) loader[i] = dir[i];
  word entry, base = map_loader(loader, &entry, page);
  if (count + 2 > SEGMENTS) complain("start", "a program with so many segments");
  // If no loader is requested, the linker leaves out the two headers with which a loader finds its program and its own name.
  segments[0] = (struct segment){PT_PHDR, 4, 64, (word)segments - (word)image, 0, (count + 2) * sizeof *segments, 0, 8};
  segments[1] = (struct segment){PT_INTERP, 4, 0, (word)loader - (word)image, 0, PATH, PATH, 1};
  for (; aux[0]; aux += 2) {
    if (aux[0] == AT_BASE) aux[1] = base;
    if (aux[0] == AT_ENTRY) aux[1] = (word)begin;
    if (aux[0] == AT_PHNUM) aux[1] = count + 2;
    if (aux[0] == AT_PHDR) {
      for (word i = 0; i < count; i++) {
        segments[i + 2] = first[i];
        // Some linkers do not leave it out, but it describes the headers in the file.
        if (first[i].type == PT_PHDR) segments[i + 2].type = 0;
      }
      aux[1] = (word)segments;
    }
  }
  return entry;
}

#if defined(__x86_64__)
__asm__(
    ".text\n.globl cotter_start\n.hidden cotter_start\ncotter_start:\n  xor %ebp, %ebp\n  mov %rsp, %rbx\n  mov %rsp, %rdi\n  and $-16, %rsp\n"
    "  call cotter_find_and_map\n  mov %rbx, %rsp\n  xor %edx, %edx\n  jmp *%rax\n");
#else
__asm__(
    ".text\n.globl cotter_start\n.hidden cotter_start\ncotter_start:\n  mov x29, xzr\n  mov x30, xzr\n  mov x19, sp\n  mov x0, sp\n"
    "  bl cotter_find_and_map\n  mov sp, x19\n  mov x16, x0\n  mov x0, xzr\n  br x16\n");
#endif
