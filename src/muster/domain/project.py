"""A project: a git repository that muster works on, and its settings."""

from __future__ import annotations

from dataclasses import dataclass

from muster.domain.permission import Permissions
from muster.domain.task import Autonomy

DEFAULT_TEST_PATHS = (
    *("test_*", "*_test.*", "tests/", "tests.py", "conftest.py", "pytest.ini"),
    *("*.test.[jt]s", "*.test.[jt]sx", "*.test.[cm][jt]s", "__tests__/", "__snapshots__/"),
    *("*.spec.[jt]s", "*.spec.[jt]sx", "*.spec.[cm][jt]s"),
)

ON, OFF = "on", "off"


@dataclass(frozen=True, slots=True)
class ProjectSettings:
    """What can be set per project. Times are minutes, money US dollars, `_mb` 1,000,000 bytes.

    `test_command` and its kin are shell lines of the project's own, run contained, never here.
    """

    autonomy: Autonomy = Autonomy.CONFIRM
    accept_at: float | None = None
    agent: str | None = None
    runtime: str | None = None
    network: tuple[str, ...] | None = None
    setup_network: tuple[str, ...] | None = None
    readable: tuple[str, ...] | None = None
    image: str | None = None
    permissions: Permissions = Permissions.BYPASS
    permission_rules: tuple[str, ...] | None = None
    playbook: str = "solo"
    role_agents: tuple[str, ...] | None = None
    same_program: str = OFF
    deploy_command: str | None = None
    verify_command: str | None = None
    test_command: str | None = None
    setup_command: str | None = None
    lint_command: str | None = None
    type_command: str | None = None
    test_paths: tuple[str, ...] = DEFAULT_TEST_PATHS
    evidence: tuple[str, ...] = ("flaky", "coverage")
    coverage_report: str | None = None
    mutant_seconds: float = 120.0
    acceptance_tests: str = OFF
    acceptance_agent: str | None = None
    max_concurrent: int = 8
    max_workers: int = 4
    max_attempts: int = 3
    fallback_agents: tuple[str, ...] | None = None
    fallback_after: int = 2
    roll_back: bool = True
    split_after: int = 0
    budget_usd: float | None = None
    timeout_minutes: float = 120.0
    check_timeout_minutes: float = 30.0
    disk_mb: int = 20_000
    memory_mb: int = 8_000
    processes: int = 512
    cpus: float | None = None
    merge_method: str = "merge"
    merge_batch: int = 4
    ports: int = 10
    model: str | None = None
    supervisor: str | None = None
    embedding: str | None = None
    model_calls_per_hour: int = 100
    review: str = "off"
    review_votes: int = 1
    git_user_name: str = "muster"
    git_user_email: str = "muster@localhost"


@dataclass(frozen=True, slots=True)
class Project:
    """A registered repository with the settings that hold for it now.

    `git_dir` and `work_tree` are absolute and fixed at registration. `trusted_config` is the digest
    of the executable part of the repository's git configuration.
    """

    id: str
    name: str
    git_dir: str
    work_tree: str | None
    branch: str
    settings: ProjectSettings
    trusted_config: str = ""
