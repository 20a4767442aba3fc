"""The kernel's layers around a worker, through ctypes: rlimits, Landlock and seccomp. Nothing needs root.

Sources: linux/seccomp.h, linux/filter.h, linux/landlock.h; system call numbers of x86-64 and of the generic table (aarch64,
not tested). The filter lets through what a computation needs: memory, clocks, random bytes, exit, and writing to one pipe.
"""

from __future__ import annotations

import ctypes
import json
import math
import mmap
import os
import platform
import resource
import socket
import struct
import sys
from dataclasses import dataclass

STAYED = b"runs no programs\n"
RESULT_FD = 3  # the only file a worker keeps
LAYERS = ("rlimits", "landlock", "seccomp")

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
SECCOMP_MODE_FILTER = 2
RET_KILL, RET_EPERM, RET_ALLOW = 0x80000000, 0x00050001, 0x7FFF0000
LD_WORD, JUMP_EQUAL, JUMP_GREATER_EQUAL, JUMP_ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
PROT_EXEC = 4
LANDLOCK_CREATE, LANDLOCK_RESTRICT = 444, 446
LANDLOCK_FS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}  # number of file rights by ABI version


@dataclass(frozen=True)
class Machine:
    audit: int
    x32: bool  # a second numbering of the same calls lies at 0x40000000
    write: int
    mmap: int
    mprotect: int
    plain: tuple[int, ...]


# munmap brk mremap madvise getpid exit exit_group gettimeofday clock_gettime clock_getres futex getrandom restart_syscall
# sched_yield rseq
MACHINES = {
    "x86_64": Machine(0xC000003E, True, 1, 9, 10, (11, 12, 25, 28, 39, 60, 231, 96, 228, 229, 202, 318, 219, 24, 334)),
    "aarch64": Machine(0xC00000B7, False, 64, 222, 226, (215, 214, 216, 233, 172, 93, 94, 169, 113, 114, 98, 278, 128, 124, 293)),
}


def seccomp_program(machine: Machine) -> bytes:
    """The filter as BPF: anything not named is answered with EPERM, a foreign calling convention with death."""

    def op(code: int, k: int, if_true: int = 0, if_false: int = 0) -> bytes:
        return struct.pack("<HBBI", code, if_true, if_false, k)

    allow, deny, kill = op(RETURN, RET_ALLOW), op(RETURN, RET_EPERM), op(RETURN, RET_KILL)
    number, arch, first, third = 0, 4, 16, 32  # offsets in struct seccomp_data
    program = [op(LD_WORD, arch), op(JUMP_EQUAL, machine.audit, 1), kill, op(LD_WORD, number)]
    if machine.x32:
        program += [op(JUMP_GREATER_EQUAL, 0x40000000, 0, 1), kill]
    for call in machine.plain:
        program += [op(JUMP_EQUAL, call, 0, 1), allow]
    program += [op(JUMP_EQUAL, machine.write, 0, 4), op(LD_WORD, first), op(JUMP_EQUAL, RESULT_FD, 0, 1), allow, deny]
    for call in (machine.mmap, machine.mprotect):
        program += [op(JUMP_EQUAL, call, 0, 4), op(LD_WORD, third), op(JUMP_ANY_BIT, PROT_EXEC, 0, 1), deny, allow]
    return b"".join([*program, deny])


class Lockdown:
    """Prepared once in the zygote; enter() in the forked worker. layers: which of LAYERS to use."""

    def __init__(self, layers: tuple[str, ...] = LAYERS):
        self.layers = layers
        self.linux = sys.platform == "linux"
        if self.linux:
            self.libc = ctypes.CDLL(None, use_errno=True)
            # seccomp and Landlock want every argument of these variadic calls as a full register
            self.libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
            self.libc.syscall.restype = ctypes.c_long
            self.landlock_abi = max(0, self.libc.syscall(LANDLOCK_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint(1)))
        machine = MACHINES.get(platform.machine()) if self.linux else None
        self.filter = None
        if machine is not None:
            self.filter = ctypes.create_string_buffer(seccomp_program(machine))

    def enter(self, memory_mb: int, cpu_seconds: float) -> tuple[str, ...]:
        """Locks this process for good and returns the layers that took hold."""
        held = []
        space = address_space() if self.linux else 0  # no file can be read once Landlock holds
        if self.linux:
            self.libc.prctl(PR_SET_PDEATHSIG, 9, 0, 0, 0)
            self.libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
            self.libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        if "landlock" in self.layers and self.linux and self._landlock():  # before the limit on open files
            held.append("landlock")
        if "rlimits" in self.layers and self._rlimits(space + memory_mb * 2**20, cpu_seconds):
            held.append("rlimits")
        if "seccomp" in self.layers and self.linux and self._seccomp():
            held.append("seccomp")
        return tuple(held)

    def _rlimits(self, space: int, cpu_seconds: float) -> bool:
        cpu = max(1, math.ceil(cpu_seconds))
        wanted = [("CORE", 0, 0), ("FSIZE", 0, 0), ("NPROC", 0, 0), ("CPU", cpu, cpu + 1)]
        if self.linux:  # elsewhere a limit on the address space fails or does nothing
            wanted += [("AS", space, space), ("STACK", 16 * 2**20, 16 * 2**20), ("NOFILE", RESULT_FD + 1, RESULT_FD + 1)]
        done = True
        for name, soft, hard in wanted:
            which = getattr(resource, f"RLIMIT_{name}")
            ceiling = resource.getrlimit(which)[1]
            if ceiling != resource.RLIM_INFINITY:
                soft, hard = min(soft, ceiling), min(hard, ceiling)
            try:
                resource.setrlimit(which, (soft, hard))
            except (ValueError, OSError):
                done = False
        return done and self.linux

    def _landlock(self) -> bool:
        abi = self.landlock_abi
        if not abi:
            return False
        rights = (1 << LANDLOCK_FS.get(abi, 16)) - 1
        attributes = struct.pack("<QQQ", rights, 3 if abi >= 4 else 0, 3 if abi >= 6 else 0)
        size = 8 if abi < 4 else 16 if abi < 6 else 24
        ruleset = self.libc.syscall(LANDLOCK_CREATE, attributes, ctypes.c_size_t(size), ctypes.c_uint(0))
        if ruleset < 0:
            return False
        held = self.libc.syscall(LANDLOCK_RESTRICT, ctypes.c_int(ruleset), ctypes.c_uint(0)) == 0
        os.close(ruleset)
        return held

    def _seccomp(self) -> bool:
        if self.filter is None:
            return False
        address = ctypes.addressof(self.filter)
        # struct sock_fprog: number of instructions, padding, pointer (the buffer ends with a zero byte that is not code)
        program = ctypes.create_string_buffer(struct.pack("<HxxxxxxQ", (len(self.filter) - 1) // 8, address))
        return self.libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(program), 0, 0) == 0


def address_space() -> int:
    """Bytes of address space of this process (Linux)."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[0]) * mmap.PAGESIZE


def breaches() -> list[str]:
    """What a locked process can still do and should not: called in a throw-away worker, empty when the jail holds."""

    def attempt(name: str, action) -> None:
        try:
            action()
        except (OSError, ValueError, MemoryError, OverflowError):
            return
        found.append(name)

    def fork() -> None:
        if os.fork() == 0:
            os._exit(0)

    found: list[str] = []
    attempt("reads files", lambda: os.open("/proc/self/status", os.O_RDONLY))
    attempt("lists folders", lambda: os.listdir("/"))
    attempt("writes files", lambda: os.open("/dev/null", os.O_WRONLY))
    attempt("opens network sockets", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    attempt("opens local sockets", lambda: socket.socket(socket.AF_UNIX))
    attempt("signals its parent", lambda: os.kill(os.getppid(), 0))
    attempt("writes to other pipes", lambda: os.write(1, b"\n"))
    attempt("maps executable memory", lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC))
    attempt("takes 4 GB", lambda: mmap.mmap(-1, 4 << 30))
    attempt("forks", fork)
    return found


def report(held: tuple[str, ...]) -> None:
    """In a throw-away worker: writes what held and the breaches, then tries to run a program; if it cannot, says so."""
    os.write(RESULT_FD, json.dumps({"layers": held, "breaches": breaches()}).encode() + b"\n")
    try:
        os.execv(sys.executable, [sys.executable, "-c", ""])
    except OSError:
        os.write(RESULT_FD, STAYED)
