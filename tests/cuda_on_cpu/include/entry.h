// How Python calls the kernels of a compiled file: included after it, with CUDA_ON_CPU_KERNEL(name) for each.
#pragma once

#include "cuda_on_cpu.h"

namespace cuda_on_cpu {

// A letter and the bytes of a type: f4, i8, u1, b1; v0 for void, V16 for a struct such as float4.
template <typename T>
int describe_plain(char* text, size_t room) {
    if constexpr (std::is_void_v<T>) return snprintf(text, room, "v0");
    else {
        const char letter = std::is_same_v<T, bool>         ? 'b'
                            : std::is_floating_point_v<T>   ? 'f'
                            : !std::is_integral_v<T>        ? 'V'
                            : std::is_signed_v<T>           ? 'i'
                                                            : 'u';
        return snprintf(text, room, "%c%zu", letter, sizeof(T));
    }
}

// Prefixed by `*` for a pointer, `*c` for a pointer to const; parameters end with a space.
template <typename... Parameters>
const char* describe(void (*)(Parameters...)) {
    static char text[1024];
    size_t used = 0;
    auto add = [&]<typename T>(std::type_identity<T>) {
        using Target = std::remove_pointer_t<T>;
        const char* pointer = !std::is_pointer_v<T> ? "" : std::is_const_v<Target> ? "*c" : "*";
        used += size_t(snprintf(text + used, sizeof text - used, "%s", pointer));
        used += size_t(describe_plain<std::remove_cv_t<Target>>(text + used, sizeof text - used));
        used += size_t(snprintf(text + used, sizeof text - used, " "));
    };
    (add(std::type_identity<std::remove_cv_t<Parameters>>{}), ...);
    return text;
}

// The machine's own reads of the arguments are not accesses of a thread.
template <typename... Parameters, size_t... Numbers>
__attribute__((no_sanitize_address, no_sanitize_undefined)) void call(void (*kernel)(Parameters...), void** arguments, std::index_sequence<Numbers...>) {
    kernel(*static_cast<Parameters*>(arguments[Numbers])...);
}

template <typename... Parameters>
__attribute__((no_sanitize_address, no_sanitize_undefined)) void call(void (*kernel)(Parameters...), void** arguments) {
    call(kernel, arguments, std::index_sequence_for<Parameters...>{});
}

}  // namespace cuda_on_cpu

#define CUDA_ON_CPU_KERNEL(name, bound, x, y, z)                                                                       \
    extern "C" __attribute__((no_sanitize_address, no_sanitize_undefined)) void cuda_on_cpu_call_##name(             \
        void** arguments) {                                                                                          \
        cuda_on_cpu::call(&name, arguments);                                                                         \
    }                                                                                                                \
    extern "C" const char* cuda_on_cpu_parameters_##name() { return cuda_on_cpu::describe(&name); }                  \
    extern "C" int cuda_on_cpu_bound_##name() { return int(bound); }                                                 \
    extern "C" unsigned cuda_on_cpu_cluster_##name[3];                                                               \
    unsigned cuda_on_cpu_cluster_##name[3] = {x, y, z};
