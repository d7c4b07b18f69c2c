"""Kills one executor among the descendants of a process, once the first rows have been written to a folder."""

import os
import signal
import sys
import time
from pathlib import Path


def descendants(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError):
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found, left = [], [root]
    while left:
        new = children.get(left.pop(), [])
        found += new
        left += new
    return found


def executors(root: int) -> list[int]:
    def runs(pid: int) -> bool:
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return words[0].endswith(b"java") and any(b"CoarseGrainedExecutorBackend" in word for word in words)

    return [pid for pid in descendants(root) if runs(pid)]


def main() -> int:
    root, folder = int(sys.argv[1]), Path(sys.argv[2])
    for _ in range(3000):
        if any(folder.rglob("part-*")) and len(executors(root)) == 2:
            victim = executors(root)[0]
            os.kill(victim, signal.SIGKILL)
            print(f"killed executor {victim} while rows were written")
            return 0
        time.sleep(0.05)
    print("no executor was found to kill")
    return 1


if __name__ == "__main__":
    sys.exit(main())
