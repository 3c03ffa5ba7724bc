"""The tables. Times are epoch milliseconds, so that both databases keep them whole."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from muster.domain.agent import AgentStatus
from muster.domain.task import Stage, TaskType

metadata = MetaData()


def _one_of(column: str, values: type[Stage | TaskType | AgentStatus]) -> str:
    return f"{column} IN ({', '.join(repr(str(v)) for v in values)})"


MOVED = f"type IN ({', '.join(repr(f'task.{name}') for name in ('created', *Stage))})"
"""Which events move tasks, as SQL. A query says it in these words, else its index is not used."""

counters = Table(
    "counters",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

projects = Table(
    "projects",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("git_dir", Text, nullable=False),
    Column("work_tree", Text),
    Column("branch", Text, nullable=False),
    Column("overrides", JSON, nullable=False),
    Column("file_settings", JSON, nullable=False),
    Column("trusted_file", Text, nullable=False),
    Column("trusted_config", Text, nullable=False),
    Column("removed", Integer, nullable=False),
    Column("rev", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

tasks = Table(
    "tasks",
    metadata,
    Column("id", Text, primary_key=True),
    Column("number", Integer, nullable=False, unique=True),
    Column("project_id", Text, ForeignKey("projects.id"), nullable=False),
    Column("title", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("stage", Text, nullable=False),
    Column("rev", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("autonomy", Text),
    Column("agent", Text),
    Column("runtime", Text),
    Column("playbook", Text),
    Column("model", Text),
    Column("budget_usd", Float),
    Column("timeout_minutes", Float),
    Column("attempt", Integer, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("token", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("due_at", BigInteger),
    Column("started_at", BigInteger),
    Column("finished_at", BigInteger),
    Column("base_commit", Text),
    Column("result_commit", Text),
    Column("merged_commit", Text),
    Column("paths", JSON, nullable=False),
    Column("feedback", JSON),
    Column("wish", Text),
    Column("list_position", Integer),
    Column("parent_id", Text),
    Column("errand", Text),
    Column("image", Text),
    Column("fork_of", Text),
    Column("fork_point", Integer),
    Column("acceptance_id", Text),
    Column("step", Text),
    Column("came_by", BigInteger),
    Column("rounds", Integer, nullable=False, server_default="0"),
    Column("cause_id", Text),
    CheckConstraint(_one_of("stage", Stage), name="tasks_stage"),
    CheckConstraint(_one_of("type", TaskType), name="tasks_type"),
    CheckConstraint("priority BETWEEN 0 AND 9", name="tasks_priority"),
    Index("tasks_by_stage", "stage", "priority"),
    Index("tasks_by_project", "project_id", "number"),
    Index("tasks_by_rev", "rev"),
    Index("tasks_errands", "parent_id", "errand", unique=True),
    Index("tasks_by_playbook", "playbook", "stage"),
    Index("tasks_by_acceptance", "acceptance_id"),
    Index("tasks_by_cause", "cause_id"),
)

task_needs = Table(
    "task_needs",
    metadata,
    Column("task_id", Text, ForeignKey("tasks.id"), primary_key=True),
    Column("needs_id", Text, ForeignKey("tasks.id"), primary_key=True),
    Index("task_needs_by_needed", "needs_id"),
)

agents = Table(
    "agents",
    metadata,
    Column("id", Text, primary_key=True),
    Column("task_id", Text, ForeignKey("tasks.id"), nullable=False),
    Column("project_id", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("role", Text, nullable=False),
    Column("driver", Text, nullable=False),
    Column("runtime", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("rev", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("outcome", Text),
    Column("reason", Text, nullable=False),
    Column("exit_code", Integer),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("cost_usd", Float, nullable=False),
    Column("cpu_seconds", Float, nullable=False),
    Column("max_rss_bytes", BigInteger, nullable=False),
    Column("session_id", Text),
    Column("workspace", Text),
    Column("last_line", Text, nullable=False),
    Column("result", JSON(none_as_null=True)),
    Column("permissions", Text),
    Column("hears", Integer),
    CheckConstraint(_one_of("status", AgentStatus), name="agents_status"),
    UniqueConstraint("task_id", "attempt", "role", name="agents_one_per_step"),
    Index("agents_by_status", "status"),
)

events = Table(
    "events",
    metadata,
    Column("rev", BigInteger, primary_key=True, autoincrement=False),
    Column("time", BigInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("payload", JSON, nullable=False),
    Column("project_id", Text),
    Column("task_id", Text),
    Column("cause", BigInteger),
    Column("processed_at", BigInteger),
    Index("events_by_task", "task_id", "rev"),
    Index("events_by_type", "type", "rev"),
    Index(
        "events_of_moves",
        *("type", "time", "task_id", "rev", "project_id"),
        # Not `postgresql_where` as well: every server would load that dialect as it starts.
        sqlite_where=text(MOVED),
    ),
)

verdicts = Table(
    "verdicts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("task_id", Text, ForeignKey("tasks.id"), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("agent_id", Text),
    Column("findings", JSON, nullable=False),
    Column("decision", JSON, nullable=False),
    Column("confidence", Float),
    Column("created_at", BigInteger, nullable=False),
    Column("rev", BigInteger, nullable=False),
    Column("case", JSON(none_as_null=True)),
    Column("sure", JSON(none_as_null=True)),
    Index("verdicts_by_task", "task_id", "rev"),
    Index("verdicts_by_time", "created_at", "task_id", "attempt", "confidence"),
)

outcomes = Table(
    "outcomes",
    metadata,
    Column("verdict_id", Text, ForeignKey("verdicts.id"), primary_key=True),
    Column("task_id", Text, ForeignKey("tasks.id"), nullable=False),
    Column("project_id", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("right", Integer, nullable=False),
    Column("shown", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("by", Text),
    Column("confidence", Float),
    Column("created_at", BigInteger, nullable=False),
    Column("rev", BigInteger, nullable=False),
    Index("outcomes_by_task", "task_id"),
    Index("outcomes_by_project", "project_id", "rev"),
)

breakpoints = Table(
    "breakpoints",
    metadata,
    Column("id", Text, primary_key=True),
    Column("task_id", Text, ForeignKey("tasks.id"), nullable=False),
    Column("project_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("question", Text, nullable=False),
    Column("options", JSON, nullable=False),
    Column("evidence", JSON, nullable=False),
    Column("rev", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("resolved_at", BigInteger),
    Column("answer", Text),
    Column("note", Text, nullable=False),
    Column("by", Text),
    Index("breakpoints_by_task", "task_id"),
    Index("breakpoints_open", "resolved_at"),
    Index(
        "breakpoints_by_time",
        *("created_at", "kind", "resolved_at", "project_id", "answer", "by", "task_id"),
    ),
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("task_id", Text, ForeignKey("tasks.id"), primary_key=True),
    Column("n", Integer, primary_key=True),
    Column("attempt", Integer, nullable=False),
    Column("label", Text, nullable=False),
    Column("commit", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("rev", BigInteger, nullable=False),
    Column("base_commit", Text),
    Column("agent_id", Text),
    Column("session_id", Text),
    Column("log_offset", BigInteger),
    Column("tries", Integer),
    Column("feedback", JSON(none_as_null=True)),
)

papers = Table(
    "papers",
    metadata,
    Column("task_id", Text, ForeignKey("tasks.id"), primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("content", JSON, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

routes = Table(
    "routes",
    metadata,
    Column("rev", BigInteger, primary_key=True, autoincrement=False),
    Column("type", Text, nullable=False),
    Column("task_id", Text),
    Column("state", Text, nullable=False),
    Column("led_to", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    CheckConstraint("state IN ('pending', 'done', 'past', 'refused')", name="routes_state"),
    Index("routes_by_state", "state", "rev"),
    Index("routes_by_task", "task_id", "type", "state"),
)

pulls = Table(
    "pulls",
    metadata,
    Column("task_id", Text, ForeignKey("tasks.id"), primary_key=True),
    Column("project_id", Text, nullable=False),
    Column("forge", Text, nullable=False),
    Column("repo", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("url", Text, nullable=False),
    Column("branch", Text, nullable=False),
    Column("base", Text, nullable=False),
    Column("head", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("merged_commit", Text),
    Column("heard", JSON, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("looked_at", BigInteger, nullable=False),
    CheckConstraint("state IN ('open', 'closed', 'merged')", name="pulls_state"),
    UniqueConstraint("forge", "repo", "number", name="pulls_one_per_number"),
    Index("pulls_by_state", "state", "looked_at"),
)

foreseen = Table(
    "foreseen",
    metadata,
    Column("task_id", Text, ForeignKey("tasks.id"), primary_key=True),
    Column("other_id", Text, ForeignKey("tasks.id"), primary_key=True),
    Column("paths", JSON, nullable=False),
    Column("commit", Text, nullable=False),
    Column("other_commit", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("foreseen_by_other", "other_id"),
)

drops = Table(
    "drops",
    metadata,
    Column("name", Text, primary_key=True),
    Column("rev", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
)

agent_tokens = Table(
    "agent_tokens",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("agent_id", Text, ForeignKey("agents.id"), nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
)

people_tokens = Table(
    "people_tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("roles", JSON, nullable=False),
    Column("digest", Text, nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("used_at", BigInteger),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
)

locks = Table(
    "locks",
    metadata,
    Column("project_id", Text, ForeignKey("projects.id"), primary_key=True),
    Column("path", Text, primary_key=True),
    Column("agent_id", Text, ForeignKey("agents.id"), nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("rev", BigInteger, nullable=False),
    Index("locks_by_agent", "agent_id"),
)

agent_words = Table(
    "agent_words",
    metadata,
    Column("agent_id", Text, ForeignKey("agents.id"), primary_key=True),
    Column("n", Integer, primary_key=True),
    Column("text", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("said_at", BigInteger),
)

queue_settings = Table(
    "queue_settings",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("paused", Integer, nullable=False),
    Column("stop_on_failure", Integer, nullable=False),
    Column("max_concurrent", Integer, nullable=False),
    Column("stopped_by", Text),
    Column("rev", BigInteger, nullable=False),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("key", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("answer", JSON, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)
