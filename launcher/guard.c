// A guard stands on PATH between the programs of the toolchains and those of the host. It has the name of a program of the host that must
// not be started by accident: it prints why and how to allow it, and exits with 126. It is linked statically, without a libc. cotter copies
// it and writes the text into `config`.
#include "sys.h"

enum { CONFIG = 2048, NOT_EXECUTABLE = 126 };

__attribute__((used, section(".config"), aligned(16))) static const char config[CONFIG] = "cotter-guard--1";

__attribute__((used)) void refuse(void) {
  const char *text = config + 16;
  __asm__("" : "+r"(text));  // cotter changes these bytes after the compilation
  for (word left = length(text); left;) {
    long n = call(NR_WRITE, 2, text, left);
    if (n <= 0) break;
    text += n;
    left -= n;
  }
  call(NR_EXIT, NOT_EXECUTABLE, 0, 0);
}

#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n  xor %ebp, %ebp\n  and $-16, %rsp\n  call refuse\n  hlt\n");
#else
__asm__(".globl _start\n_start:\n  mov x29, xzr\n  mov x30, xzr\n  b refuse\n");
#endif
