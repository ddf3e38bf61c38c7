// Written by `cotter emit bazel`; what is changed here is lost.

// What launcher.c and stub.c need of Linux: no libc, no headers, no state. Numbers from the kernel's unistd tables.

typedef unsigned long word;

#if defined(__x86_64__)
enum { NR_CLOSE = 3, NR_MMAP = 9, NR_MPROTECT = 10, NR_WRITE = 1, NR_PREAD = 17, NR_EXECVE = 59, NR_EXIT = 231, NR_OPENAT = 257, NR_READLINKAT = 267 };

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

// Whether the environment entry `name=value` is the variable `pattern`; a pattern that ends in * stands for all that begin so.
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

// Maps a dynamic loader as the kernel would: for stub.c, which becomes part of finished programs, and start.c, which is linked into new ones.

enum { PT_LOAD = 1, PT_INTERP = 3, AT_PHDR = 3, AT_PAGESZ = 6, AT_BASE = 7, AT_ENTRY = 9, AT_EXECFN = 31 };
enum { PROT_READ = 1, PROT_WRITE = 2, PROT_EXEC = 4, MAP_PRIVATE = 2, MAP_FIXED = 16, MAP_ANONYMOUS = 32 };

struct header { unsigned char ident[16]; unsigned short type, machine; unsigned version; word entry, phoff, shoff; unsigned flags; unsigned short ehsize, phentsize, phnum; };
struct segment { unsigned type, flags; word offset, vaddr, paddr, filesz, memsz, align; };

static int protection(unsigned flags) { return (flags & 4 ? PROT_READ : 0) | (flags & 2 ? PROT_WRITE : 0) | (flags & 1 ? PROT_EXEC : 0); }

// Maps the loader; returns its base address. `page` is the kernel's: aarch64 has kernels with 16 and 64 KiB.
static word map_loader(const char *path, word *entry, word page) {
  char first[2048] __attribute__((aligned(8)));
  long fd = call(NR_OPENAT, AT_FDCWD, path, O_RDONLY_CLOEXEC);
  if (fd < 0) complain("open the loader", path);
  const struct header *header = (struct header *)first;
  long got = call6(NR_PREAD, fd, (long)first, sizeof first, 0, 0, 0);
  if (got < 64 || header->phoff + header->phnum * sizeof(struct segment) > (word)got) complain("read the loader", path);
  const struct segment *segments = (struct segment *)(first + header->phoff);
  word end = 0;
  for (int i = 0; i < header->phnum; i++)
    if (segments[i].type == PT_LOAD && segments[i].vaddr + segments[i].memsz > end) end = segments[i].vaddr + segments[i].memsz;
  // 64 KiB: the largest page of the platforms.
  word align = 65536;
  word base = call6(NR_MMAP, 0, end + align, 0, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base > -4096ul) complain("map the loader", path);
  base = (base + align - 1) & -align;
  for (int i = 0; i < header->phnum; i++) {
    const struct segment *s = &segments[i];
    if (s->type != PT_LOAD) continue;
    word slack = s->vaddr & (page - 1), start = base + s->vaddr - slack;
    word mapped = call6(NR_MMAP, start, s->filesz + slack, protection(s->flags), MAP_PRIVATE | MAP_FIXED, fd, s->offset - slack);
    if (mapped > -4096ul) complain("map the loader", path);
    if (s->memsz > s->filesz) {
      word from = base + s->vaddr + s->filesz, page_end = (from + page - 1) & -page, to = base + s->vaddr + s->memsz;
      for (volatile char *p = (char *)from; (word)p < page_end; p++) *p = 0;
      if (to > page_end) call6(NR_MMAP, page_end, to - page_end, protection(s->flags), MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS, -1, 0);
    }
  }
  call(NR_CLOSE, fd, 0, 0);
  *entry = base + header->entry;
  return base;
}

// The start of a program that runs with a pinned libc: linked into it, named as its entry point, while the program asks the kernel for no
// loader. It finds the run-time files that came with the program, tells the program's own DT_RPATH where they are, maps the loader among
// them and hands over as the kernel would have. /proc/self/exe stays the program itself.
//
// Where the files are looked for, with `X` the program as it was called or as it lies on disk, and RUNTIME the path that the build gives:
//   X.runfiles/RUNTIME               a program with its runfiles beside it
//   D.runfiles/RUNTIME               a program within the runfiles of another
//   <a directory above X>/external/RUNTIME   a tool within an action

#if defined(__x86_64__)
enum { NR_GETCWD = 79 };
#define LOADER "ld-linux-x86-64.so.2"
#else
enum { NR_GETCWD = 17 };
#define LOADER "ld-linux-aarch64.so.1"
#endif

enum { DT_STRTAB = 5, DT_RPATH = 15, PT_PHDR = 6, AT_PHNUM = 5, PATH = 4096, MARK = 512, SEGMENTS = 32 };

// What the loader goes on reading as long as the program runs.
static struct segment segments[SEGMENTS];
static char loader[PATH];

// What the linker puts into DT_RPATH for us to overwrite begins so; it is MARK characters long.
static const char mark[] = "/cotter-runtime/";

extern const char image[] __asm__("__ehdr_start") __attribute__((visibility("hidden")));
extern word dynamic[] __asm__("_DYNAMIC") __attribute__((visibility("hidden")));
extern const char begin[] __asm__("_start") __attribute__((visibility("hidden")));

// Appends `n` characters; returns the new length, or 0 if it would be too long.
static word append(char *to, word at, const char *from, word n) {
  if (!at || at + n + 1 > PATH) return 0;
  for (word i = 0; i < n; i++) to[at + i] = from[i];
  to[at + n] = 0;
  return at + n;
}

// Whether the loader lies in the directory `dir` + `middle` + RUNTIME. The length of the directory's path, or 0.
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

// Writes the directory over the mark in DT_RPATH; what is left of it becomes slashes, which mean nothing.
static void tell(const char *dir, word n, word page, const struct segment *first, word count) {
  const char *strings = 0, *path = 0;
  for (word *d = dynamic; d[0]; d += 2)
    if (d[0] == DT_STRTAB) strings = image + d[1];
  for (word *d = dynamic; d[0]; d += 2)
    if (d[0] == DT_RPATH) path = strings + d[1];
  for (; path && *path; path++) {
    word k = 0;
    while (mark[k] && path[k] == mark[k]) k++;
    if (mark[k]) continue;
    word from = (word)path & -page, size = ((word)path + MARK - from + page - 1) & -page;
    if (n > MARK) complain("fit into its DT_RPATH", dir);
    // Linkers differ in whether strings and code, such as this function, share a segment.
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
    // A name that fills the buffer was cut.
    if (got > 0 && got < PATH) found = find(dir, program, n = got);
  }
  program[n < PATH ? n : PATH - 1] = 0;
  if (!found) complain("find the run-time files " COTTER_RUNTIME " of", program);
  dir[found] = 0;
  tell(dir, found, page, first, count);
  append(dir, found, "/" LOADER, sizeof LOADER);
  for (word i = 0; i < PATH; i++) loader[i] = dir[i];
  word entry, base = map_loader(loader, &entry, page);
  if (count + 2 > SEGMENTS) complain("start", "a program with so many segments");
  // A linker that is asked for no loader leaves out the two headers by which a loader finds its program and its own name.
  segments[0] = (struct segment){PT_PHDR, 4, 64, (word)segments - (word)image, 0, (count + 2) * sizeof *segments, 0, 8};
  segments[1] = (struct segment){PT_INTERP, 4, 0, (word)loader - (word)image, 0, PATH, PATH, 1};
  for (; aux[0]; aux += 2) {
    if (aux[0] == AT_BASE) aux[1] = base;
    if (aux[0] == AT_ENTRY) aux[1] = (word)begin;
    if (aux[0] == AT_PHNUM) aux[1] = count + 2;
    if (aux[0] == AT_PHDR) {
      for (word i = 0; i < count; i++) segments[i + 2] = first[i];
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
