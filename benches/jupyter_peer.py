"""Drives one Jupyter kernel for the benchmark: runs in the peers' virtual environment, where jupyter_client is.

Takes requests as JSON lines on stdin and answers each with one JSON line on stdout. All times are taken here, beside
the kernel's client, so that the pipe to the driver is in none of them.
"""

import json
import os
import queue
import sys
import tempfile
import time

from jupyter_client import KernelManager

now = time.perf_counter
LIMIT = 120
SILENCE = 2


class Kernel:
    def __init__(self, name):
        begun = now()
        self.manager = KernelManager(kernel_name=name)
        self.manager.start_kernel()
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)
        self.startup = now() - begun
        self.text = []

    def pid(self):
        return self.manager.provisioner.pid

    def _idle(self, message_id, limit):
        """Takes messages until the kernel is idle again; what it loses may be the very message that says so."""
        end = now() + limit
        while True:
            try:
                message = self.client.get_iopub_msg(timeout=max(0.0, end - now()))
            except queue.Empty:
                return False
            self._take(message)
            if self._says_idle(message, message_id):
                return True

    def _says_idle(self, message, message_id):
        return message["content"].get("execution_state") == "idle" and message["parent_header"].get("msg_id") == message_id

    def _take(self, message):
        content = message["content"]
        if message["msg_type"] == "stream":
            self.text.append(content["text"])
        elif message["msg_type"] == "execute_result":
            self.text.append(content["data"].get("text/plain", ""))

    def _reply(self, message_id):
        while self.client.get_shell_msg(timeout=LIMIT)["parent_header"].get("msg_id") != message_id:
            pass

    def run(self, code):
        """Runs a cell; the time until its last message. A kernel that loses messages may lose the one that says it is idle:
        then the cell is over when it has been answered and nothing more comes."""
        self.text.clear()
        begun = last = now()
        message_id = self.client.execute(code)
        has_reply = False
        while not (has_reply and now() - last > SILENCE):
            try:
                message = self.client.get_iopub_msg(timeout=0.1)
            except queue.Empty:
                has_reply = has_reply or self._has_reply(message_id)
                if now() - begun > LIMIT:
                    raise TimeoutError(code) from None
                continue
            last = now()
            self._take(message)
            if self._says_idle(message, message_id):
                break
        if not has_reply:
            self._reply(message_id)
        return last - begun

    def _has_reply(self, message_id):
        try:
            return self.client.get_shell_msg(timeout=0)["parent_header"].get("msg_id") == message_id
        except queue.Empty:
            return False

    def received(self):
        return sum(len(text.encode()) for text in self.text)

    def begin(self, code, mark):
        self.text.clear()
        begun = now()
        self.running = self.client.execute(code)
        while mark not in "".join(self.text):
            self._take(self.client.get_iopub_msg(timeout=LIMIT))
        return now() - begun

    def interrupt(self):
        begun = now()
        self.manager.interrupt_kernel()
        self._reply(self.running)
        return now() - begun

    def answers(self, code, count):
        times = []
        message_id = self.client.execute(code, allow_stdin=True)
        self.client.get_stdin_msg(timeout=LIMIT)
        for _ in range(count - 1):
            begun = now()
            self.client.input("x")
            self.client.get_stdin_msg(timeout=LIMIT)
            times.append(now() - begun)
        self.client.input("x")
        self._idle(message_id, LIMIT)
        self._reply(message_id)
        return times

    def stall(self, code, seconds):
        """Reads nothing for a while, then all there is."""
        self.text.clear()
        message_id = self.client.execute(code)
        time.sleep(seconds)
        self._reply(message_id)
        self._idle(message_id, 2)
        return self.received()

    def close(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


def with_r_kernel(folder, r):
    """Jupyter finds R's kernel in the folder that this writes."""
    place = os.path.join(folder, "kernels", "ir")
    os.makedirs(place)
    argv = [r, "--slave", "-e", "IRkernel::main()", "--args", "{connection_file}"]
    with open(os.path.join(place, "kernel.json"), "w") as file:
        json.dump({"argv": argv, "display_name": "R", "language": "R"}, file)
    os.environ["JUPYTER_PATH"] = folder


def answer(value):
    print(json.dumps(value), flush=True)


def main(name, r):
    with tempfile.TemporaryDirectory() as folder:
        if name == "ir":
            with_r_kernel(folder, r)
        kernel = Kernel(name)
        try:
            answer({"startup": kernel.startup, "pid": kernel.pid()})
            for line in sys.stdin:
                method, arguments = json.loads(line)
                answer(getattr(kernel, method)(*arguments))
        finally:
            kernel.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
