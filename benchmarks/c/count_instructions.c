/* A plugin of QEMU's that counts the instructions of the program it emulates, and
 * writes the number to the file descriptor 3. What it needs of qemu-plugin.h is
 * declared here, since not every package of QEMU has that.
 *
 * cc -shared -fPIC -o count.so benchmarks/c/count_instructions.c
 * qemu-aarch64 -plugin ./count.so ./program 3>&1 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

struct qemu_plugin_tb;
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
extern void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t,
                                                  void (*)(uint64_t, struct qemu_plugin_tb *));
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int add_u64, void *,
                                                     uint64_t);
extern void qemu_plugin_register_atexit_cb(uint64_t, void (*)(uint64_t, void *), void *);

int qemu_plugin_version = 1;

static uint64_t instructions;

static void translate(uint64_t id, struct qemu_plugin_tb *block) {
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_inline(block, 0, &instructions,
                                             qemu_plugin_tb_n_insns(block));
}

static void write_down(uint64_t id, void *data) {
    (void)id, (void)data;
    dprintf(3, "%llu\n", (unsigned long long)instructions);
}

int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv) {
    (void)info, (void)argc, (void)argv;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
    qemu_plugin_register_atexit_cb(id, write_down, NULL);
    return 0;
}
