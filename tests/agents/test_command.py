"""The driver of any program, on real programs."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from agents.jobs import job_in, read, run
from contracts.driver import DriverContract
from muster.agents.command import CommandDriver
from muster.agents.presets import PRESETS, find_preset
from muster.domain.agent import Outcome
from muster.domain.errors import Invalid, Refused

ECHO = "import sys, pathlib; pathlib.Path('NOTES.md').write_text(sys.stdin.read()); print('done')"
FILES_IN = """\
import sys
from muster.agents.options import files_in
sys.stderr.write(str(files_in(sys.argv)))
"""


def python(job, script: str, *args: str, **options):
    """The job, done by a Python script."""
    return replace(job, options={"command": [sys.executable, "-c", script, *args], **options})


class TestTheCommandDriverKeepsTheContract(DriverContract):
    @pytest.fixture
    def driver(self):
        return CommandDriver()

    @pytest.fixture
    def job(self, tmp_path):
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "my-agent").symlink_to(sys.executable)
        environ = {"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path)}
        return job_in(tmp_path, environ=environ, options={"command": ["my-agent", "-c", ECHO]})

    @pytest.fixture
    def success(self):
        return "reading …\nwriting NOTES.md\n  50 %\r 100 %\ndone\n".encode()

    @pytest.fixture
    def failures(self):
        return [(b"", 1), (b"it broke\n", 2), (b"half a l\xc3", 127)]


@pytest.fixture
def job(tmp_path):
    return job_in(tmp_path, "Größe: fix it.\n")


def test_the_prompt_arrives_on_standard_input_byte_for_byte(job):
    run(CommandDriver(), python(job, ECHO))
    assert (job.workspace / "NOTES.md").read_bytes() == "Größe: fix it.\n".encode()


def test_the_prompt_arrives_as_a_file_where_that_is_asked_for(job):
    script = "import sys; print(open(sys.argv[1]).read(), sys.stdin.read() == '')"
    done = run(CommandDriver(), python(job, script, "{prompt_file}", prompt="file"))
    assert [f["text"] for f in done.of("text")] == ["Größe: fix it.", "True"]


def test_the_program_is_told_where_its_prompt_and_its_result_lie(job):
    script = "import os; print(os.environ['MUSTER_PROMPT_FILE'], os.environ['MUSTER_RESULT'])"
    done = run(CommandDriver(), python(job, script))
    assert done.of("text")[-1]["text"] == f"{job.prompt_file} {job.result_file}"


def test_it_works_in_its_workspace_and_PWD_agrees(job):
    script = "import os; print(os.getcwd() == os.environ['PWD'])"
    assert run(CommandDriver(), python(job, script)).of("text")[-1]["text"] == "True"


@pytest.mark.parametrize(
    ("ending", "outcome", "word"),
    [
        ("sys.exit(0)", Outcome.COMPLETED, "status 0"),
        ("sys.exit(3)", Outcome.FAILED, "status 3: last words"),
        ("os.kill(os.getpid(), 9)", Outcome.CRASHED, "signal 9: last words"),
    ],
)
def test_the_exit_status_alone_is_the_outcome(job, ending, outcome, word):
    script = (
        f"import os, sys; print('success: all done'); print('last words', flush=True); {ending}"
    )
    done = run(CommandDriver(), python(job, script))
    assert done.ending.outcome is outcome
    assert word in done.ending.reason


def test_an_own_variable_is_given_and_one_of_the_server_only_by_name(job):
    script = "import os; print(os.environ.get('A'), os.environ.get('B_KEY'), os.environ.get('C'))"
    environ = {**job.environ, "A": "server's", "B_KEY": "secret-b", "C": "server's"}
    own = python(replace(job, environ=environ), script, env={"A": "own"}, pass_env=["B_KEY", "D"])
    launch = CommandDriver().launch(own)
    assert launch.secrets == ("secret-b",)
    assert "D" not in launch.env
    assert run(CommandDriver(), own).of("text")[-1]["text"] == "own secret-b None"


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({}, "command"),
        ({"command": []}, "command"),
        ({"command": [""]}, "command"),
        ({"command": "echo hi"}, "command"),
        ({"command": ["echo", 1]}, "command"),
        ({"command": ["echo", "a\x00b"]}, "command"),
        ({"command": ["echo"], "prompt": "argv"}, "prompt"),
        ({"command": ["echo"], "env": ["A=b"]}, "env"),
        ({"command": ["echo"], "env": {"A": 1}}, "env"),
        ({"command": ["echo"], "env": {"A=B": "c"}}, "A=B"),
        ({"command": ["echo"], "pass_env": "HOME"}, "pass_env"),
        ({"command": ["echo"], "preset": 1}, "preset"),
        ({"command": ["echo"], "preset": "ader"}, "ader"),
        ({"command": ["echo", "{model}"]}, "model"),
        ({"preset": "aider", "env": 3}, "env"),
    ],
)
def test_a_wrong_option_is_named(job, options, word):
    with pytest.raises(Invalid, match=word):
        CommandDriver().launch(replace(job, options=options))


def test_a_program_with_a_slash_is_taken_from_the_workspace(job):
    tool = job.workspace / "tools" / "agent"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho from the workspace\n")
    tool.chmod(0o755)
    own = replace(job, options={"command": ["tools/agent"]})
    assert run(CommandDriver(), own).of("text")[-1]["text"] == "from the workspace"


def test_a_program_below_the_persons_home_is_found(job, tmp_path):
    tool = tmp_path / "person" / "agent"
    tool.parent.mkdir()
    tool.symlink_to(sys.executable)
    own = replace(job, options={"command": ["~/agent"]})
    assert CommandDriver().launch(own).argv == (str(tool),)


def test_a_model_is_filled_in_where_the_command_has_a_place_for_it(job):
    own = python(job, "0", "{model}", model_args=["--model", "openai/{model}"])
    launch = CommandDriver().launch(replace(own, model="gpt-oss:20b"))
    assert launch.argv[3:] == ("gpt-oss:20b", "--model", "openai/gpt-oss:20b")


# --- presets --------------------------------------------------------------------------------------


@pytest.fixture
def tools(tmp_path, job):
    """A job on a machine on which programs of the presets' names print what they were given."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for preset in PRESETS.values():
        (folder / preset.program).write_text('#!/bin/sh\nprintf "%s\\n" "$#" "$@"\n')
        (folder / preset.program).chmod(0o755)
    return replace(job, environ={**job.environ, "PATH": f"{folder}:{job.environ['PATH']}"})


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_starts_its_program_with_the_prompt_and_the_model(tools, name):
    preset = PRESETS[name]
    done = run(CommandDriver(), replace(tools, options=dict(preset.options), model="openai/m"))
    assert done.ending.outcome is Outcome.COMPLETED, done.err
    said = done.out.decode()
    assert str(tools.prompt_file) in said or tools.prompt.strip() in said
    assert "openai/m" in said


@pytest.mark.parametrize("name", PRESETS)
def test_a_presets_program_that_is_missing_is_refused_with_the_way_to_get_it(job, name, tmp_path):
    bare = {"PATH": str(tmp_path / "nowhere")}
    options = {"preset": name, "command": [PRESETS[name].program]}
    with pytest.raises(Refused) as told:
        CommandDriver().launch(replace(job, environ=bare, options=options))
    assert told.value.hint == PRESETS[name].install
    assert find_preset(PRESETS[name], bare).hint == PRESETS[name].install


def test_an_own_agent_can_stand_on_a_preset(tools):
    options = {"preset": "aider", "env": {"AIDER_X": "1"}, "pass_env": ["MY_KEY"]}
    environ = {**tools.environ, "MY_KEY": "my-secret", "OPENAI_API_KEY": "its-secret"}
    launch = CommandDriver().launch(replace(tools, options=options, environ=environ))
    assert launch.env["AIDER_X"] == "1"
    assert launch.env["LITELLM_LOCAL_MODEL_COST_MAP"] == "True"
    assert launch.secrets == ("its-secret", "my-secret")


@pytest.mark.parametrize("name", [".env", ".aider.conf.yml"])
def test_a_repositorys_file_that_the_program_would_obey_is_refused_unless_trusted(tools, name):
    (tools.workspace / name).symlink_to("anywhere")
    own = replace(tools, options={"preset": "aider"})
    with pytest.raises(Refused, match=name):
        CommandDriver().launch(own)
    trusted = replace(tools, options={"preset": "aider", "refuse_files": []})
    assert CommandDriver().launch(trusted).argv


def test_doctor_is_told_of_a_preset_that_is_here(tools, tmp_path):
    found = CommandDriver().find(tools.environ)
    assert found.path == str(tmp_path / "bin" / "aider")
    assert "[agents.NAME]" in found.hint
    nothing = CommandDriver().find({"PATH": str(tmp_path / "nowhere")})
    assert nothing.path is None
    assert PRESETS["mini"].install in nothing.hint


def test_what_every_process_has_of_its_own_is_no_file_that_a_run_has_to_be_shown(tmp_path):
    there = tmp_path / "settings.yml"
    there.write_text("a: 1")
    mine = ["aider", "--config", str(there), "--analytics-log", "/dev/stdout", "/proc/self/status"]
    with (tmp_path / "log").open("w") as log:  # as a detached server's output is
        command = [sys.executable, "-c", FILES_IN, *mine]
        found = subprocess.run(command, stdout=log, stderr=subprocess.PIPE, check=True)
    assert found.stderr.decode() == str((str(there),))


# --- reading --------------------------------------------------------------------------------------


def test_a_flood_of_lines_does_not_become_a_flood_of_facts(job):
    flood = b"".join(b"line %d\n" % n for n in range(100_000))
    done = read(CommandDriver(), job, flood, 0)
    assert len(done.facts) <= 20
    assert done.facts[-1].data["text"] == "line 99999"


def test_escape_sequences_and_direction_marks_do_not_reach_a_fact(job):
    line = "\x1b[31mred\x1b[0m \x1b]52;c;aGk=\x07\x1bP1$q\x1b\\ab\u202ec\x9b2J\x00\n".encode()
    assert read(CommandDriver(), job, line, 0).facts[-1].data["text"] == "red abc2J"


def test_of_a_progress_bar_the_last_state_is_shown(job):
    done = read(CommandDriver(), job, b"10 %\r 50 %\r100 %\r\n", 0)
    assert done.facts[-1].data["text"] == "100 %"
