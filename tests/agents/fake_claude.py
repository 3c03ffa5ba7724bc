"""A stand-in for Claude Code: replays a recorded run of it, once it was asked the right way."""

from __future__ import annotations

import sys
from pathlib import Path

SCRIPT = """#!{python} -I
import sys
from pathlib import Path
from muster.agents import cassette, replay

if sys.argv[1:] == ["--version"]:
    print("2.1.329 (Claude Code)")
    sys.exit(0)
if not {{"-p", "--verbose", "--strict-mcp-config"}} <= set(sys.argv) or not sys.stdin.read():
    sys.exit("asked the wrong way")
take = cassette.read(Path({cassette!r})).take(1)
sys.exit(replay.play(take, Path.cwd(), sys.stdout.buffer, sys.stderr.buffer, lambda t: None))
"""


def install(folder: Path, cassette: Path) -> Path:
    """Put it into a folder as `claude`, to replay one cassette."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "claude"
    program.write_text(SCRIPT.format(python=sys.executable, cassette=str(cassette)))
    program.chmod(0o755)
    return program
