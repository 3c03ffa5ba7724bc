"""Tries the tests that failed beside others again, alone: what passes every time then is flaky.

Ends with 0 if all of them are, and they are few; with 1 if one failed again or there are too many.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

FAILED = Path("build/pytest/v/cache/lastfailed")
"""`make test` has pytest keep what it knows here, and forget what it knew before."""
TIMES = 3
"""A fault that shows every second time is taken for a flaky test once in eight."""
MOST = 3
"""Of more than so many it is not to be believed that only the company was to blame."""


def main() -> int:
    """Judge what the last run of pytest in this folder says has failed."""
    tests = list(json.loads(FAILED.read_text())) if FAILED.exists() else []
    if not 0 < len(tests) <= MOST:
        print(f"{len(tests)} failed: at most {MOST} are tried again, alone")
        return 1
    results = [(test, *_tried(test)) for test in tests]
    print("\ntried again, alone")
    for test, passed, _ in results:
        print(f"{'flaky ' if passed == TIMES else 'FAILED'} {passed} of {TIMES} passed  {test}")
    for _, passed, said in results:
        if passed < TIMES:
            print(said)
    return int(any(passed < TIMES for _, passed, _ in results))


def _tried(test: str) -> tuple[int, str]:
    """How often one test passed before it did not, and what pytest said last.

    One that is skipped has not passed: what it needs may have gone with its failure.
    """
    command = [sys.executable, "-m", "pytest", "-ra", "-n", "0", "-p", "no:cacheprovider"]
    for passed in range(TIMES):
        done = subprocess.run(
            [*command, test], stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        if done.returncode or "1 passed" not in done.stdout.rstrip().rpartition("\n")[2]:
            return passed, done.stdout + done.stderr
    return TIMES, done.stdout


if __name__ == "__main__":
    sys.exit(main())
