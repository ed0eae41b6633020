"""Run every benchmark, one after the other, each in a process of its own.

python -m benchmarks [--quick]
"""

import subprocess
import sys

# The arguments that make a benchmark small enough to try out; its ratios then say little.
QUICK = {
    "writes": ["--commits", "100", "--rounds", "2"],
    "http_calls": ["--calls", "60", "--records", "200"],
    "startup": ["--rounds", "3"],
    "size": ["--writes", "500"],
    "sessions": ["--small", "200", "--large", "2000", "--rounds", "5"],
    "team": ["--agents", "4", "--rounds", "3", "--records", "500", "--starts", "10"],
    "mailbox": ["--large", "2000", "--rounds", "10"],
    "search_speed": ["--records", "2000"],
    "backlog_speed": ["--items", "1000", "--rounds", "5"],
    "sync": ["--records", "500", "1000", "--edits", "50"],
    "search_quality": ["--functions", "200"],
}


def main() -> int:
    failed = []
    for name, quick in QUICK.items():
        print(f"== {name}", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{name}", *(quick if "--quick" in sys.argv[1:] else [])]
        if subprocess.run(command).returncode:
            failed.append(name)
        print(flush=True)
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
