// Switching between stacks: by hand-written code on x86-64 (a few nanoseconds), else by ucontext (a system call each).
#pragma once

#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__) && !defined(CUDA_ON_CPU_UCONTEXT)

extern "C" __attribute__((visibility("hidden"))) void switch_fiber(void** save, void* load);

// Saves the callee-saved registers: rbx, rbp, r12 to r15, and the stack pointer.
asm(R"(
.text
.hidden switch_fiber
.globl switch_fiber
.type switch_fiber, @function
switch_fiber:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size switch_fiber, . - switch_fiber
)");

// The initial stack for switch_fiber() to enter `function`, which must not return: six registers, the address
// to jump to, and a word that aligns the stack pointer as the ABI requires.
inline void* start_fiber(void* stack, size_t bytes, void (*function)()) {
    auto* frame = reinterpret_cast<uint64_t*>(static_cast<char*>(stack) + bytes) - 8;
    for (size_t i = 0; i < 8; ++i) frame[i] = 0;
    frame[6] = reinterpret_cast<uint64_t>(function);
    return frame;
}

#else

#include <ucontext.h>

inline void switch_fiber(void** save, void* load) {
    ucontext_t here;
    *save = &here;
    swapcontext(&here, static_cast<ucontext_t*>(load));
}

inline void* start_fiber(void* stack, size_t bytes, void (*function)()) {
    constexpr size_t reserved = (sizeof(ucontext_t) + 63) / 64 * 64;
    auto* context = reinterpret_cast<ucontext_t*>(static_cast<char*>(stack) + bytes - reserved);
    getcontext(context);
    context->uc_stack.ss_sp = stack;
    context->uc_stack.ss_size = bytes - reserved;
    context->uc_link = nullptr;
    makecontext(context, function, 0);
    return context;
}

#endif
