/* SPDX-License-Identifier: MIT */
/*
 * Version 1 of the plugin interface of QEMU's user mode (QEMU 4.2 and later): what the recorder
 * uses of it, written from its documentation, because distributions ship no header.
 */
#ifndef RCL_RECORD_QEMU_PLUGIN_H
#define RCL_RECORD_QEMU_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLUGIN_EXPORT __attribute__((visibility("default")))

typedef uint64_t qemu_id;
typedef uint32_t qemu_meminfo;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum {
	QEMU_NO_REGISTERS
};
enum {
	QEMU_READ_WRITE = 3
};

typedef void qemu_simple_fn(qemu_id id);
typedef void qemu_cpu_fn(qemu_id id, unsigned int cpu);
typedef void qemu_exit_fn(qemu_id id, void *arg);
typedef void qemu_translate_fn(qemu_id id, struct qemu_plugin_tb *tb);
typedef void qemu_exec_fn(unsigned int cpu, void *arg);
typedef void qemu_memory_fn(unsigned int cpu, qemu_meminfo info, uint64_t address, void *arg);
typedef void qemu_syscall_fn(qemu_id id, unsigned int cpu, int64_t number, uint64_t a1, uint64_t a2,
			     uint64_t a3, uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7,
			     uint64_t a8);
typedef void qemu_syscall_return_fn(qemu_id id, unsigned int cpu, int64_t number, int64_t result);

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
bool qemu_plugin_mem_is_store(qemu_meminfo info);
unsigned int qemu_plugin_mem_size_shift(qemu_meminfo info);

void qemu_plugin_register_vcpu_init_cb(qemu_id id, qemu_cpu_fn *fn);
void qemu_plugin_register_vcpu_exit_cb(qemu_id id, qemu_cpu_fn *fn);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_id id, qemu_translate_fn *fn);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, qemu_exec_fn *fn, int flags,
					  void *arg);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn, qemu_memory_fn *fn, int flags,
				      int access, void *arg);
void qemu_plugin_register_vcpu_syscall_cb(qemu_id id, qemu_syscall_fn *fn);
void qemu_plugin_register_vcpu_syscall_ret_cb(qemu_id id, qemu_syscall_return_fn *fn);
void qemu_plugin_register_atexit_cb(qemu_id id, qemu_exit_fn *fn, void *arg);

/*
 * What QEMU adds to a guest's address to get its own; a variable of the emulator that it happens to
 * export. Where it does not, 0, which is what it is for 64-bit programs on 64-bit machines.
 */
extern __attribute__((weak)) uintptr_t guest_base;

#endif
