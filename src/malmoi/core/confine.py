"""Shut this process in for good: what code that nobody has read may do, and no more.

Two locks of the Linux kernel, neither of which needs rights, and neither of which can be taken off again:

- Landlock (landlock(7)): no file can be opened but those beneath the named folders, for reading; nothing can
  be written, made, renamed or removed; no signal reaches another process.
- seccomp (seccomp(2)): a list of system calls that computing needs. All else fails with "not permitted": new
  processes, programs and threads, sockets, changes of files, rights, limits and name spaces, tracing.

Standard library only: `sandbox_child` imports this before anything else may be imported. The filter is known
for x86-64 (where it is tested) and 64-bit ARM.
"""

import ctypes
import errno
import json
import os
import platform
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2

# landlock(7); the numbers of these calls are the same on every machine.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG = 1
_PATH_BENEATH = 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_RIGHTS_BY_VERSION = (0, 13, 14, 15, 15, 16)  # how many rights each version of Landlock knows
_FIRST_WITH_NETWORK, _FIRST_WITH_SCOPES = 4, 6

# Returned by the filter (seccomp(2)), and how it reads `struct seccomp_data`.
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16

_CALLS = "syscalls.json"  # by machine: what computing needs, with the numbers of that machine


class CannotConfine(Exception):
    """This kernel, or this kind of machine, lacks one of the locks."""


def confine(readable: Iterable[str], *, writable: Iterable[str] = ()) -> None:
    """Lock this process in, for the rest of its life.

    Args:
        readable: folders and files that may still be read, with all beneath them.
        writable: files that may be read and written, such as /dev/null.

    Raises:
        CannotConfine: a lock is missing.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    machine = known_calls().get(platform.machine())
    if platform.system() != "Linux" or machine is None:
        raise CannotConfine(f"{platform.system()} on {platform.machine()} is not known")
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise CannotConfine("the kernel does not let a process give up new rights")
    _close_files(libc, readable, writable)
    _close_calls(libc, build_filter(machine, os.getpid()))


def known_calls() -> dict[str, Any]:
    """The system calls that are allowed, by machine as `platform.machine()` says it."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), _CALLS)
    with open(path, encoding="utf-8") as file:
        found: dict[str, Any] = json.load(file)
    return found


def _close_files(libc: ctypes.CDLL, readable: Iterable[str], writable: Iterable[str]) -> None:
    version = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION_FLAG))
    if version < 1:
        raise CannotConfine("the kernel has no Landlock")
    rights = (1 << _RIGHTS_BY_VERSION[min(version, len(_RIGHTS_BY_VERSION) - 1)]) - 1
    attributes = struct.pack("=Q", rights)
    if version >= _FIRST_WITH_NETWORK:
        attributes += struct.pack("=Q", 0b11)  # no binding to and no connecting with TCP ports
    if version >= _FIRST_WITH_SCOPES:
        attributes += struct.pack("=Q", 0b11)  # no abstract sockets, no signals beyond this process
    ruleset = libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0))
    if ruleset < 0:
        raise CannotConfine(f"Landlock refuses: {os.strerror(ctypes.get_errno())}")
    for path in readable:
        _allow(libc, ruleset, path, _READ_FILE | _READ_DIR | _EXECUTE)
    for path in writable:
        _allow(libc, ruleset, path, _READ_FILE | _WRITE_FILE)
    if libc.syscall(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0)) != 0:
        raise CannotConfine(f"Landlock refuses: {os.strerror(ctypes.get_errno())}")
    os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # what is not there need not be allowed
    if not os.path.isdir(path):
        rights &= ~_READ_DIR
    rule = struct.pack("=Qi", rights, place)
    added = libc.syscall(
        _ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_PATH_BENEATH), rule, ctypes.c_uint32(0)
    )
    os.close(place)
    if added != 0:
        raise CannotConfine(f"Landlock refuses {path}: {os.strerror(ctypes.get_errno())}")


def _close_calls(libc: ctypes.CDLL, program: bytes) -> None:
    buffer = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: the number of instructions, padding, and where they are.
    header = struct.pack("=H6xQ", len(program) // 8, ctypes.addressof(buffer))
    if libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, header, 0, 0) != 0:
        raise CannotConfine(f"the kernel has no seccomp: {os.strerror(ctypes.get_errno())}")


def build_filter(machine: Mapping[str, Any], pid: int) -> bytes:
    """The filter as a program of classic BPF, 8 bytes an instruction.

    Args:
        machine: a value of `known_calls`.
        pid: the only process that may be signalled.
    """
    refused = _ERRNO | errno.EPERM
    steps: list[tuple[int, int, int, int]] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_JUMP_IF_EQUAL, 1, 0, machine["audit"]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]
    for number in machine["allowed"].values():
        steps += [(_JUMP_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ALLOW)]
    # The C library tries clone3 first, and falls back to clone where there is none.
    steps += [(_JUMP_IF_EQUAL, 0, 1, machine["clone3"]), (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)]
    # Limits may be asked for, not set: then the pointer to the new limit is null.
    steps += _when(machine["prlimit64"], [(_ARGUMENTS + 16, 0), (_ARGUMENTS + 20, 0)])
    # A process may signal itself, as abort() does.
    steps += _when(machine["tgkill"], [(_ARGUMENTS, pid)])
    steps.append((_RETURN, 0, 0, refused))
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def _when(number: int, words: Sequence[tuple[int, int]]) -> list[tuple[int, int, int, int]]:
    """Allow a call when each 32-bit word of its arguments is as given; refuse it otherwise."""
    checks: list[tuple[int, int, int, int]] = []
    for offset, value in words:
        checks += [
            (_LOAD, 0, 0, offset),
            (_JUMP_IF_EQUAL, 1, 0, value),
            (_RETURN, 0, 0, _ERRNO | errno.EPERM),
        ]
    return [(_JUMP_IF_EQUAL, 0, len(checks) + 1, number), *checks, (_RETURN, 0, 0, _ALLOW)]
