"""What an ordinary user's run of the tests holds: `test_userns` starts it in a view of its own."""

from __future__ import annotations

import subprocess
import sys

from muster.runtimes.process import ProcessRuntime
from muster.runtimes.sandbox import SandboxRuntime
from workspace.lives import FILES, live
from workspace.test_lives import At
from workspace.test_userns import UsernsOverlay


class TestByAnOrdinaryUser(UsernsOverlay):
    """This process may mount; what it executes has no right of the namespace's."""

    def test_a_program_that_is_executed_may_not_mount(self, backend, source, commit, make_root):
        tree = backend.open(source, make_root(), commit)
        rights = subprocess.check_output(["grep", "CapEff", "/proc/self/status"], text=True)
        assert int(rights.split()[1], 16) == 0
        done = subprocess.run(["umount", tree], capture_output=True, text=True)
        assert done.returncode != 0
        assert (tree / "a.txt").exists()


async def test_the_whole_life(home, make_workspaces, make_project, tmp_path):
    runtime = ProcessRuntime()
    project = make_project(make_workspaces("userns-overlay"), files=FILES)
    await live(project, At(runtime, home, sys.executable), tmp_path / "planted")
    await runtime.close()


async def test_the_whole_life_in_a_sandbox(home, make_workspaces, make_project, tmp_path):
    runtime = SandboxRuntime()
    assert runtime.available() == ""
    project = make_project(make_workspaces("userns-overlay"), files=FILES)
    await live(project, At(runtime, home, sys.executable), tmp_path / "planted")
    await runtime.close()
