// The in-place stub becomes a segment of a dynamically linked executable, and its entry point. It maps the dynamic loader of the tree, which
// it finds relative to the executable, and passes control to it as the kernel would. /proc/self/exe still refers to the program itself.
//
// The stub is position-independent and has no libc and no writable data. cotter writes into `config`, after the magic:
//   8 bytes   the address of this blob in the executable (unrelocated)
//   8 bytes   the executable's own entry point (unrelocated)
//   4 bytes   the index of the program header that was PT_INTERP
//   4 bytes   the number of directories from the executable's own directory up to the root of the tree
//   then      a sequence of strings that ends with an empty string. The first is the path of the loader below the root. The others are
//             instructions of the types d, k, e and E, as in launcher.c
#include "sys.h"
#include "map.h"

// The stack moves down by ROOM bytes, which receive the values of the variables. The code at the end of this file knows the number.
enum { CONFIG = 2048, ROOM = 32768 };

struct config { char magic[16]; word blob, entry; unsigned interp, up; char strings[CONFIG - 40]; };
__attribute__((used, section(".config"), aligned(16))) static const struct config initial = {"cotter-stub-001", 0, 0, 0, 0, ""};

extern const char blob[] __attribute__((visibility("hidden")));  // the first byte, from the linker script

// Whether the environment entry `entry` and the setting NAME=VALUE have the same name.
static int has_name_of(const char *entry, const char *setting) {
  while (*setting != '=' && *entry == *setting) entry++, setting++;
  return *entry == '=' && *setting == '=';
}

static int is_kept(const char *entry, const char *instructions) {
  int keep = 1;
  for (const char *c = instructions; *c; c += length(c) + 1) {
    if (*c == 'd' && is_variable(entry, c + 1)) keep = 0;
    if (*c == 'k' && is_variable(entry, c + 1)) keep = 1;
    if (*c == 'e' && has_name_of(entry, c + 1)) keep = 0;
  }
  return keep;
}

// Whether the instruction sets a variable, in view of the environment that ends before `end`.
static int is_applied(const char *instruction, const word *env, const word *end) {
  if (*instruction == 'e') return 1;
  if (*instruction != 'E') return 0;
  for (; env < end; env++)
    if (has_name_of((const char *)*env, instruction + 1)) return 0;
  return 1;
}

// Moves the arguments, the environment and the auxiliary vector from `from` to `to`, ROOM bytes below, and changes the environment on the
// way. They must stay in one piece, in this order. What becomes free behind them receives the values of the new variables.
__attribute__((used, visibility("hidden"))) word stub(const word *from, word *to) {
  const struct config *config = &initial;
  __asm__("" : "+r"(config));  // cotter changes these bytes after the compilation
  char path[4096 + CONFIG];
  long root = call6(NR_READLINKAT, AT_FDCWD, (long)"/proc/self/exe", (long)path, 4095, 0, 0);
  if (root <= 0) complain("read", "/proc/self/exe");
  for (int up = config->up; up >= 0; up--) {
    while (root > 0 && path[root - 1] != '/') root--;
    if (root > 0) root--;
  }
  long end = root;
  path[end++] = '/';
  for (int i = 0; (path[end] = config->strings[i]); i++) end++;
  const char *first = config->strings + length(config->strings) + 1;

  word argc = *to++ = *from++;
  for (word i = 0; i <= argc; i++) *to++ = *from++;
  word *env = to;
  for (; *from; from++)
    if (is_kept((const char *)*from, first)) *to++ = *from;
  word *added = to;
  const word *kept = to;
  for (const char *c = first; *c; c += length(c) + 1) to += is_applied(c, env, kept);
  *to++ = *from++;
  word *aux = to;
  for (word type = 1; type; from += 2) {
    *to++ = type = from[0];
    *to++ = from[1];
  }
  char *value = (char *)to;
  for (const char *c = first; *c; c += length(c) + 1) {
    if (!is_applied(c, env, kept)) continue;
    *added++ = (word)value;
    for (const char *p = c + 1; *p; p++) {
      if (value + root + 2 > (const char *)from) complain("start, because its path is too long,", path);
      if (p[0] == '%' && p[1] == 'R') {
        for (long i = 0; i < root; i++) *value++ = path[i];
        p++;
      } else {
        *value++ = *p;
      }
    }
    *value++ = 0;
  }

  word page_size = 4096;
  for (word *a = aux; a[0]; a += 2)
    if (a[0] == AT_PAGESZ) page_size = a[1];
  word entry, base = map_loader(path, &entry, page_size), bias = (word)blob - config->blob;
  for (; aux[0]; aux += 2) {
    if (aux[0] == AT_BASE) aux[1] = base;
    if (aux[0] == AT_ENTRY) aux[1] = bias + config->entry;
    if (aux[0] == AT_PHDR) {
      // The kernel must not see PT_INTERP, but the loader must. The headers lie in the first segment, which may also contain code.
      struct segment *first_load = (struct segment *)aux[1], *interp = first_load + config->interp;
      while (first_load->type != PT_LOAD) first_load++;
      word page = (word)interp & -page_size, size = ((word)(interp + 1) - page + page_size - 1) & -page_size;
      if (call(NR_MPROTECT, page, size, PROT_READ | PROT_WRITE)) complain("prepare", path);
      interp->type = PT_INTERP;
      call(NR_MPROTECT, page, size, protection(first_load->flags));
    }
  }
  return entry;
}

#if defined(__x86_64__)
__asm__(
    ".section .text.start,\"ax\"\n.globl _start\n_start:\n  xor %ebp, %ebp\n  mov %rsp, %rdi\n  sub $32768, %rsp\n  mov %rsp, %rsi\n  mov %rsp, %rbx\n  and $-16, %rsp\n"
    "  call stub\n  mov %rbx, %rsp\n  xor %edx, %edx\n  jmp *%rax\n.text\n");
#else
__asm__(
    ".section .text.start,\"ax\"\n.globl _start\n_start:\n  mov x29, xzr\n  mov x30, xzr\n  mov x0, sp\n  sub x1, x0, #32768\n  mov sp, x1\n  mov x19, x1\n"
    "  bl stub\n  mov sp, x19\n  mov x16, x0\n  mov x0, xzr\n  br x16\n.text\n");
#endif
