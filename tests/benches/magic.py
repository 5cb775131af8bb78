"""Times cells on kernels through jupyter_client, every kernel by the same client in one run.

Usage: magic.py KERNEL CELL [KERNEL CELL ...]; prints median and quartiles from request to idle, in milliseconds.
"""

import statistics
import sys
import time

from jupyter_client.manager import KernelManager

WARM_UP = 20
RUNS = 201


def run(client, code):
    """Seconds from sending a request until reply and idle are here."""
    begun = time.perf_counter()
    request = client.execute(code)
    while True:
        message = client.get_iopub_msg(timeout=60)
        mine = message["parent_header"].get("msg_id") == request
        if mine and message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
            break
    reply = client.get_shell_msg(timeout=60)
    assert reply["content"]["status"] == "ok", reply["content"]
    return time.perf_counter() - begun


def main(pairs):
    started = []
    for kernel, cell in pairs:
        manager = KernelManager(kernel_name=kernel)
        manager.start_kernel()
        client = manager.client()
        client.start_channels()
        client.wait_for_ready(timeout=120)
        started.append((kernel, cell, manager, client, []))
    for turn in range(WARM_UP + RUNS):
        for _, cell, _, client, times in started:
            took = run(client, cell)
            if turn >= WARM_UP:
                times.append(took * 1000)
    for kernel, cell, manager, client, times in started:
        low, median, high = statistics.quantiles(times, n=4)
        print(f"{kernel:12} {cell!r:12} median {median:6.2f} ms  quartiles {low:.2f}-{high:.2f} ms  n {len(times)}")
        client.stop_channels()
        manager.shutdown_kernel(now=True)


words = sys.argv[1:]
main(list(zip(words[0::2], words[1::2])))
