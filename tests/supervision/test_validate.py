"""What a change itself shows, before any test runs."""

from __future__ import annotations

import pytest

from muster.domain.agent import Outcome
from muster.domain.task import Stage, Task, TaskType
from muster.domain.verdict import Finding, Severity
from muster.supervision.evidence import Changed, added_lines
from muster.supervision.validate import validate

CODE = (Changed("src/a.py", "modified", 3, 1),)


def task(*paths: str) -> Task:
    return Task(
        "tsk_1", 1, "prj_1", "t", "t", TaskType.FEATURE, 5, Stage.VALIDATING, 1, 0, 0, paths=paths
    )


def found(
    outcome: Outcome = Outcome.COMPLETED,
    reason: str = "",
    changed: tuple[Changed, ...] = CODE,
    nested: tuple[str, ...] = (),
    result: object = None,
    paths: tuple[str, ...] = (),
    added: dict[str, str] | None = None,
    test_paths: tuple[str, ...] = ("tests/",),
) -> dict[str, Finding]:
    findings = validate(
        outcome, reason, changed, nested, result, task(*paths), added=added, test_paths=test_paths
    )
    return {finding.code: finding for finding in findings}


def test_an_ordinary_change_has_nothing_against_it() -> None:
    assert found(added={"src/a.py": "x = 1\n"}, result={"status": "completed"}) == {}


@pytest.mark.parametrize(
    ("path", "target", "leads_out"),
    [
        ("keys", "/root/.ssh", True),
        ("a/b/up", "../../..", True),
        ("up", "..", True),
        ("a/x", "b/../../../other/x", True),
        ("a/x", "../b/x", False),
        ("x", "src/a.py", False),
        ("x", "..name", False),
    ],
)
def test_a_link_that_leads_out_of_the_repository_is_shown_to_a_person(
    path: str, target: str, leads_out: bool
) -> None:
    link = Changed(path, "added", 1, link=True)
    codes = found(changed=(link,), added={path: target})
    assert (codes.get("change.link") is not None) is leads_out
    if leads_out:
        assert codes["change.link"].severity is Severity.ASK
        assert codes["change.link"].evidence["paths"] == [path]
    assert found(changed=(Changed(path, "added", 1),), added={path: target}) == {}


def test_a_claim_of_success_without_a_change_is_refused() -> None:
    assert found(changed=())["change.none"].severity is Severity.VETO


@pytest.mark.parametrize("outcome", [o for o in Outcome if o is not Outcome.COMPLETED])
def test_an_agent_that_did_not_complete_is_refused_with_its_reason(outcome: Outcome) -> None:
    codes = found(outcome, "the \x1b[31mmodel\x1b[0m said no", changed=())
    assert list(codes) == [f"agent.{outcome}"]
    assert codes[f"agent.{outcome}"].severity is Severity.VETO
    assert codes[f"agent.{outcome}"].text.endswith(": the model said no.")
    assert found(outcome)[f"agent.{outcome}"].text.endswith(".")


@pytest.mark.parametrize(
    ("result", "code", "severity"),
    [
        ({"status": "failed", "output": "no idea"}, "agent.says_failed", "veto"),
        ({"status": "ERROR"}, "agent.says_failed", "veto"),
        (["completed"], "agent.result", "note"),
        ("failed", "agent.result", "note"),
    ],
)
def test_a_structured_result_can_only_speak_against_the_work(
    result: object, code: str, severity: str
) -> None:
    assert found(result=result)[code].severity == severity
    assert "change.none" in found(result={"status": "completed"}, changed=())


def test_conflict_markers_in_added_lines_are_refused() -> None:
    marked = "<<<<<<< ours\na\n=======\nb\n>>>>>>> theirs\n"
    assert found(added={"src/a.py": marked})["change.conflict_markers"].severity is Severity.VETO
    heading = "Title\n=======\n<<<<<<< quoted without an end\n"
    assert found(added={"README.rst": heading}) == {}


@pytest.mark.parametrize(
    "secret",
    [
        "-----BEGIN RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----",
        "AKIA" + "ABCDEFGHIJKLMNOP",
        "ghp_" + "a1" * 18,
        "sk-ant-api03-" + "Ab1" * 10,
        "sk-proj-" + "aB3" * 12,
        "glpat-" + "x" * 20,
        "AIza" + "b" * 35,
        "xoxb-" + "1234567890-" * 2,
    ],
)
def test_what_looks_like_a_secret_is_refused_and_never_repeated(secret: str) -> None:
    finding = found(added={"src/a.py": f'KEY = "{secret}"'})["change.secret"]
    assert finding.severity is Severity.VETO
    assert secret not in finding.text + str(finding.evidence)
    in_a_test = found(added={"tests/a.py": f'KEY = "{secret}"'})["change.secret"]
    assert in_a_test.severity is Severity.ASK


@pytest.mark.parametrize(
    "text",
    ["sk-fading-circle-container-wrapper-inner", "the ghp_ prefix", "AKIA", "task-" + "a" * 40],
)
def test_what_only_reminds_of_a_secret_is_let_through(text: str) -> None:
    assert found(added={"src/a.py": text}) == {}


def test_placeholders_are_asked_about_and_unfinished_code_is_noted() -> None:
    elided = found(added={"src/a.py": "def a():\n    # ... rest of the code unchanged ...\n"})
    assert elided["change.elided"].severity is Severity.ASK
    unfinished = found(added={"src/a.py": "    raise NotImplementedError\n"})
    assert unfinished["change.unfinished"].severity is Severity.NOTE
    assert found(added={"src/a.py": "print(...)\nargs: tuple[int, ...]\n"}) == {}


def test_paths_outside_the_task_are_asked_about_but_tests_may_always_change() -> None:
    changed = (*CODE, Changed("tests/test_a.py", "added"))
    assert found(changed=changed, paths=("src/**",)) == {}
    beyond = (*changed, Changed("src/b.py", "renamed", old_path="lib/b.py"))
    finding = found(changed=beyond, paths=("src/**",))["plan.outside"]
    assert finding.severity is Severity.ASK
    assert finding.evidence["paths"] == ["lib/b.py"]


@pytest.mark.parametrize(
    "path",
    [
        ".muster/config.toml",
        ".gitattributes",
        "deep/.gitattributes",
        ".gitmodules",
        ".github/workflows/ci.yml",
        ".claude/settings.json",
        ".mcp.json",
    ],
)
def test_configuration_that_acts_by_itself_is_asked_about(path: str) -> None:
    assert found(changed=(Changed(path, "added"),))["change.guarded"].severity is Severity.ASK


@pytest.mark.parametrize("path", [".gitignore", "docs/.gitkeep", "src/muster/a.py", ".github/x.md"])
def test_harmless_neighbours_of_such_configuration_are_not(path: str) -> None:
    assert found(changed=(Changed(path, "added"),)) == {}


@pytest.mark.parametrize("path", ["a/../b", "/etc/passwd", "x/.GIT/hooks/post-checkout", "a\nb"])
def test_paths_that_no_repository_should_have_are_refused(path: str) -> None:
    finding = found(changed=(Changed(path, "added"),))["change.path"]
    assert finding.severity is Severity.VETO
    assert "\n" not in finding.text


def test_a_repository_planted_in_the_repository_is_refused() -> None:
    assert found(nested=("vendor/x",))["change.nested_repository"].severity is Severity.VETO


def test_a_big_binary_is_noted() -> None:
    big = Changed("logo.bin", "added", binary=True, size=9_000_000)
    assert found(changed=(big,))["change.big"].severity is Severity.NOTE


def test_the_strongest_finding_comes_first() -> None:
    changed = (Changed(".gitmodules", "added"), Changed("b", "added", binary=True, size=10**8))
    severities = [f.severity for f in found(changed=changed, nested=("x",)).values()]
    assert severities == [Severity.VETO, Severity.ASK, Severity.NOTE]


PATCH = """diff --git a/a.txt b/a.txt
--- a/a.txt
+++ b/a.txt
@@ -1,2 +1,4 @@
 same
-old
+new
+++ b/not-a-header.txt
+last
\\ No newline at end of file
diff --git a/b.txt b/b.txt
new file mode 100644
--- /dev/null
+++ b/b.txt
@@ -0,0 +1 @@
+only
"""


def test_added_lines_are_told_from_headers_that_they_imitate() -> None:
    assert added_lines(PATCH) == {"a.txt": "new\n++ b/not-a-header.txt\nlast", "b.txt": "only"}


def test_a_function_that_is_only_announced_is_asked_about_but_not_in_tests() -> None:
    stub = "def add(a, b):\n    raise NotImplementedError\n"
    finding = found(added={"src/a.py": stub})["change.stub"]
    assert (finding.severity, finding.evidence["paths"]) == (Severity.ASK, ["src/a.py"])
    assert "'add'" in finding.text
    assert "change.stub" not in found(added={"tests/fakes.py": stub})


@pytest.mark.parametrize("place", ["files", "data"])
def test_files_that_the_agent_names_have_to_be_there(place: str) -> None:
    named = ["src/a.py", "./docs/b.md", "gone.py", "src/", "/elsewhere/c.py", 5, ""]
    result = {"files": named} if place == "files" else {"data": {"files": named}}
    changed = (*CODE, Changed("gone.py", "deleted"))
    whole = {"src/a.py", "docs/b.md"}
    seen = validate(Outcome.COMPLETED, "", changed, (), result, task(), files=whole)
    assert [f.code for f in seen] == []
    (finding,) = validate(Outcome.COMPLETED, "", changed, (), result, task(), files={"src/a.py"})
    assert (finding.code, finding.severity) == ("change.promised", Severity.ASK)
    assert finding.evidence["paths"] == ["docs/b.md"]
