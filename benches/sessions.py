"""The sessions that are measured: our worker, and what users would pick instead, behind one small interface.

Reading is raw: bytes go into one preallocated buffer and are only looked at after the clock has stopped, so that the
client costs every subject the same and as little as it can.
"""

import json
import os
import pty
import signal
import socket
import subprocess
import termios
import time
import tty

SIZE = int(os.environ.get("BENCH_BUFFER_MIB", "256")) << 20
CHUNK = 1 << 20
_buffer = bytearray(SIZE)
_buffer[::4096] = b"x" * (SIZE // 4096)  # Touched once, so that no subject pays for the page faults.
_view = memoryview(_buffer)

now = time.perf_counter


class Ended(Exception):
    """The session closed its side."""


class Stream:
    """A file descriptor that is read into the shared buffer until something is at its end."""

    def __init__(self, fd):
        self.fd = fd
        self.length = 0

    def clear(self):
        self.length = 0

    def more(self):
        """One read; gives the number of bytes."""
        try:
            count = os.readv(self.fd, [_view[self.length : self.length + CHUNK]])
        except OSError as error:
            raise Ended(str(error)) from None
        if count == 0:
            raise Ended(bytes(_view[max(0, self.length - 2000) : self.length]).decode(errors="replace"))
        self.length += count
        return count

    def ends_with(self, mark):
        return _buffer.endswith(mark, max(0, self.length - len(mark)), self.length)

    def has(self, mark, start=0):
        return _buffer.find(mark, start, self.length) >= 0

    def bytes(self):
        return bytes(_view[: self.length])


def memory_of(pid):
    """Resident memory in MiB and the number of threads."""
    values = {}
    with open(f"/proc/{pid}/status") as status:
        for line in status:
            key, _, value = line.partition(":")
            values[key] = value.split()
    return int(values["VmRSS"][0]) / 1024, int(values["Threads"][0])


class Process:
    """What the subjects that are a child process share."""

    process = None

    def memory(self):
        return memory_of(self.process.pid)

    def received(self):
        """The number of bytes that the last cell printed. For outside the measured times."""
        return len(self.output())

    def close(self):
        self.process.kill()
        self.process.wait()


class Worker(Process):
    """Our worker, over one socketpair."""

    READY = b'{"type":"ready"'

    def __init__(self, command):
        ours, theirs = socket.socketpair()
        begun = now()
        self.process = subprocess.Popen(
            [*command, "--ipc-fd", str(theirs.fileno())], pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL
        )
        theirs.close()
        self.socket = ours
        self.stream = Stream(ours.fileno())
        self.wait()
        self.startup = now() - begun

    def _begin(self, code):
        """Sends a cell; gives the time at which it was sent."""
        line = b'{"type":"input_batch","input":%s}\n' % json.dumps(code).encode()
        self.stream.clear()
        begun = now()
        self.socket.sendall(line)
        return begun

    def wait(self):
        """Reads until a cell's `ready` is the last line."""
        stream = self.stream
        while True:
            stream.more()
            if stream.ends_with(b"}\n"):
                begin = _buffer.rfind(b"\n", 0, stream.length - 1) + 1
                if _buffer.startswith(self.READY, begin, stream.length):
                    return

    def run(self, code):
        """Runs a cell; gives the seconds."""
        begun = self._begin(code)
        self.wait()
        return now() - begun

    def begin(self, code, mark):
        """Starts a cell; gives the seconds until `mark` has come out of it."""
        begun = self._begin(code)
        while not self.stream.has(mark):
            self.stream.more()
        return now() - begun

    def stall(self, code, seconds):
        """Runs a cell and reads nothing for a while, then all there is; gives the memory in MiB at the end of that while."""
        self._begin(code)
        time.sleep(seconds)
        memory, _ = self.memory()
        self.wait()
        return memory

    def output(self):
        """What the last cell printed. For outside the measured times."""
        out = []
        for line in self.stream.bytes().split(b"\n"):
            if line.startswith(b'{"type":"output_text"'):
                event = json.loads(line)
                out.append(event["text"] if "text" in event else repr(event))
        return "".join(out).encode()

    def answers(self, code, count):
        """Runs a cell that asks `count` times for a line with the prompt `p> `; gives the seconds from each answer to the next
        wait."""
        times = []
        stream, send = self.stream, self.socket.sendall
        answer = b'{"type":"input_batch","input":"x\\n"}\n'
        self._begin(code)
        while not stream.has(b'"input_wait"'):
            stream.more()
        for _ in range(count - 1):
            stream.clear()
            begun = now()
            send(answer)
            while True:
                stream.more()
                if stream.ends_with(b"}\n") and stream.has(b'"input_wait"'):
                    break
            times.append(now() - begun)
        send(answer)
        self.wait()
        return times

    def interrupt(self):
        """Interrupts the running cell; gives the seconds until the next can be taken."""
        self.stream.clear()
        begun = now()
        self.socket.sendall(b'{"type":"interrupt"}\n')
        self.wait()
        return now() - begun

    def close(self):
        self.socket.close()
        super().close()


class Prompted(Process):
    """An interpreter at its own prompt: a cell is over when the prompt is the last thing it has said."""

    prompt = b">>> "
    continuation = b"... "
    after_block = b"\n"

    def wait(self):
        stream, prompt = self.stream, self.prompt
        while True:
            stream.more()
            if stream.ends_with(prompt):
                return

    def _begin(self, code):
        line = code.encode() + b"\n"
        if code.startswith(("for ", "while ")):
            line += self.after_block
        self.stream.clear()
        begun = now()
        os.write(self.stdin, line)
        return begun

    def run(self, code):
        begun = self._begin(code)
        self.wait()
        return now() - begun

    def begin(self, code, mark):
        begun = self._begin(code)
        while not self.stream.has(mark):
            self.stream.more()
        return now() - begun

    def output(self):
        """What the last cell printed; the prompt's own continuation lines are not part of it."""
        text = self.stream.bytes()[: -len(self.prompt)]
        return text.removeprefix(self.continuation)

    def answers(self, code, count):
        times = []
        stream = self.stream
        mark = b"p" + self.prompt[-2:]
        self._begin(code)
        while not stream.ends_with(mark):
            stream.more()
        for _ in range(count - 1):
            stream.clear()
            begun = now()
            os.write(self.stdin, b"x\n")
            while True:
                stream.more()
                if stream.ends_with(mark):
                    break
            times.append(now() - begun)
        os.write(self.stdin, b"x\n")
        self.wait()
        return times

    def interrupt(self):
        self.stream.clear()
        begun = now()
        os.kill(self.process.pid, signal.SIGINT)
        self.wait()
        return now() - begun


class PythonPrompt(Prompted):
    """`python3 -i` over pipes, which writes lines, or with `-u` each piece of one."""

    def __init__(self, python, *flags):
        begun = now()
        self.process = subprocess.Popen(
            [python, "-i", "-q", *flags], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0
        )
        self.stdin = self.process.stdin.fileno()
        self.stream = Stream(self.process.stdout.fileno())
        self.wait()
        self.startup = now() - begun


class RPrompt(Prompted):
    """`R --interactive` on a terminal, without its line editor."""

    prompt = b"> "
    continuation = b"+ "
    after_block = b""

    def __init__(self, r):
        master, slave = pty.openpty()
        tty.setraw(slave, termios.TCSANOW)
        begun = now()
        self.process = subprocess.Popen(
            [r, "--interactive", "--vanilla", "--quiet", "--no-readline"], stdin=slave, stdout=slave, stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self.stdin = master
        self.stream = Stream(master)
        self.wait()
        self.startup = now() - begun

    def close(self):
        super().close()
        os.close(self.stdin)


class Kernel:
    """A Jupyter kernel, through jupyter_client in the peers' virtual environment."""

    def __init__(self, python, name, r):
        helper = os.path.join(os.path.dirname(os.path.abspath(__file__)), "jupyter_peer.py")
        self.process = subprocess.Popen(
            [python, helper, name, r], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        answer = self._answer()
        self.startup, self.pid = answer["startup"], answer["pid"]

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise Ended("the kernel or its client ended")
        return json.loads(line)

    def _ask(self, method, *arguments):
        self.process.stdin.write(json.dumps([method, arguments]) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def run(self, code):
        return self._ask("run", code)

    def begin(self, code, mark):
        return self._ask("begin", code, mark.decode())

    def answers(self, code, count):
        return self._ask("answers", code, count)

    def interrupt(self):
        return self._ask("interrupt")

    def stall(self, code, seconds):
        return self._ask("stall", code, seconds)

    def received(self):
        return self._ask("received")

    def memory(self):
        return memory_of(self.pid)

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.kill(self.pid, signal.SIGKILL)
            self.process.kill()
            self.process.wait()


class Echo(Process):
    """The floor of a round trip: a process that only sends back what it gets."""

    CODE = "import socket,sys\ns=socket.socket(fileno=int(sys.argv[1]))\nwhile True: s.sendall(s.recv(4096) or sys.exit())"

    def __init__(self, python):
        self.socket, theirs = socket.socketpair()
        self.process = subprocess.Popen(
            [python, "-S", "-c", self.CODE, str(theirs.fileno())], pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL
        )
        theirs.close()
        self.run("x")

    def run(self, code):
        begun = now()
        self.socket.sendall(code.encode())
        self.socket.recv(4096)
        return now() - begun

    def answers(self, code, count):
        return [self.run("x") for _ in range(count)]

    def close(self):
        self.socket.close()
        super().close()


class Zeros:
    """The floor of throughput: `head` writing zeros into a pipe."""

    def run(self, size):
        process = subprocess.Popen(["head", "-c", str(size), "/dev/zero"], stdout=subprocess.PIPE)
        stream = Stream(process.stdout.fileno())
        stream.more()
        begun = now()
        while stream.length < size:
            stream.more()
        seconds = now() - begun
        process.stdout.close()
        process.wait()
        return seconds


def seconds_of(command):
    """How long a command takes from start to end."""
    begun = now()
    subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return now() - begun
