"""What the server answers, as types: the JSON bodies of the HTTP API."""

from typing import Any, NotRequired, TypedDict

# Without postponed annotations: the fields' types are then plain objects, and importing this
# file costs a third of what it would (each postponed one is compiled when its class is made).


class Problem(TypedDict):
    """An RFC 9457 problem document; `code` is stable."""

    type: str
    title: str
    status: int
    detail: str
    hint: str
    code: str


class Store(TypedDict):
    """The database behind the server."""

    backend: str
    schema: Any
    journal_mode: str
    synchronous: Any


class Engine(TypedDict):
    """What the engine is busy with."""

    running: Any
    active: int
    queued: int
    waiting: int
    adopted: int


class UsualPlace(TypedDict):
    """Where agents run that name no place; `mend` is empty when that contains them."""

    name: str
    told: str
    mend: str


class Health(TypedDict):
    """Whether the server works, and on what; no `runtime` until it has been tried."""

    status: str
    version: str
    pid: int
    started_at: str
    store: Store
    runtime: UsualPlace | None
    engine: Engine


class Project(TypedDict):
    """A registered repository; `sources` says where each setting came from."""

    id: str
    name: str
    git_dir: str
    work_tree: str | None
    branch: str
    settings: dict[str, Any]
    sources: dict[str, str]
    created_at: str
    rev: int


class Agent(TypedDict):
    """One attempt's program."""

    id: str
    task_id: str
    task_label: str
    project_id: str
    attempt: int
    role: str
    driver: str
    runtime: str
    status: str
    outcome: str | None
    reason: str
    exit_code: int | None
    input_tokens: int
    output_tokens: int
    cost_usd: float
    cpu_seconds: float
    max_rss_bytes: int
    session_id: str | None
    workspace: str | None
    last_line: str
    permissions: str
    hears: bool | None
    created_at: str
    started_at: str | None
    ended_at: str | None
    rev: int


class Task(TypedDict):
    """One piece of work; `reason` says why it stands where it stands."""

    id: str
    label: str
    number: int
    project_id: str
    project: str
    title: str
    description: str
    type: str
    priority: int
    status: str
    stage: str
    reason: str
    autonomy: str | None
    agent: str | None
    runtime: str | None
    playbook: str | None
    model: str | None
    budget_usd: float | None
    timeout_minutes: float | None
    attempt: int
    tries: int
    max_attempts: int
    needs: list[str]
    needs_labels: list[str]
    branch: str
    base_commit: str | None
    result_commit: str | None
    merged_commit: str | None
    cost_usd: float
    input_tokens: int
    output_tokens: int
    paths: list[str]
    wish: str | None
    parent_id: str | None
    errand: str | None
    acceptance_id: str | None
    step: str | None
    rounds: int
    cause_id: str | None
    fork_of: str | None
    fork_point: int | None
    image: str | None
    list_position: int | None
    added: int
    removed: int
    files_changed: int
    live_agent: Agent | None
    breakpoint_id: str | None
    created_at: str
    updated_at: str
    started_at: str | None
    finished_at: str | None
    rev: int


class Finding(TypedDict):
    """One conclusion; `severity` is ok, note, ask, abstain or veto."""

    code: str
    severity: str
    text: str
    evidence: dict[str, Any]


class Decision(TypedDict):
    """The next step that a verdict led to."""

    step: str
    reasons: list[str]
    question: NotRequired[str]
    kind: NotRequired[str]
    options: NotRequired[list[str]]


class Reason(TypedDict):
    """A sentence that speaks for or against work; `share` is by how much, as log-odds."""

    text: str
    share: float


# `for` is a word of Python, so that this one is not written as a class.
Sure = TypedDict(
    "Sure",
    {
        "value": float | None,
        "for": list[Reason],
        "against": list[Reason],
        "abstains": str,
        "features": dict[str, float],
        "logit": float,
        "prior": str,
        "calibration": dict[str, Any] | None,
    },
)
"""What a confidence was made of; `abstains` says why there is none."""


class Outcome(TypedDict):
    """What became of a judged attempt; `shown` is stayed, reverted, fixed, refused or said."""

    verdict_id: str
    task_id: str
    project_id: str
    attempt: int
    right: bool
    shown: str
    why: str
    by: str | None
    confidence: float | None
    created_at: str
    rev: int


class Reliability(TypedDict):
    """How well confidences foretold what became of work; None where too little is known."""

    project_id: str
    outcomes: int
    right: int
    wrong: int
    abstained: int
    brier: float | None
    base_brier: float | None
    ece: float | None
    auc: float | None
    bins: list[dict[str, Any]]
    target: float
    threshold: dict[str, Any] | None
    calibration: dict[str, Any] | None


class Verdict(TypedDict):
    """What supervision concluded about one attempt."""

    id: str
    task_id: str
    attempt: int
    agent_id: str | None
    passed: bool
    confidence: float | None
    sure: NotRequired[Sure | None]
    findings: list[Finding]
    decision: Decision
    created_at: str


class DecisionTaken(TypedDict):
    """A decision as a task's history lists it."""

    attempt: int
    step: str
    reasons: list[str]
    time: str


class Breakpoint(TypedDict):
    """A question that waits for a person, or waited."""

    id: str
    task_id: str
    task_label: str
    task_title: str
    project_id: str
    kind: str
    question: str
    options: list[str]
    evidence: dict[str, Any]
    holds_back: int
    open: bool
    answer: str | None
    note: str
    by: str | None
    created_at: str
    resolved_at: str | None
    rev: int


class BreakpointRule(TypedDict):
    """A rule that raises breakpoints; `source` is `built in`, `home` or `project`."""

    name: str
    when: dict[str, Any]
    do: str
    role: str | None
    ask: str
    source: str
    line: int


class BreakpointRules(TypedDict):
    """The rules in force for a project, and what of its files is not used, with the reasons."""

    project: str
    commit: str
    trusted: bool
    items: list[BreakpointRule]
    switched_off: dict[str, str]
    ignored: list[str]
    faults: list[dict[str, Any]]
    next: str | None


class Playbook(TypedDict):
    """A playbook that tasks may ask for; `source` is `built in`, `home` or `project`.

    `table` has `on`, `limits`, `reviewers` and `waits_for`; None where there are faults, or none is
    needed.
    """

    name: str
    source: str
    file: str | None
    about: str
    table: dict[str, Any] | None
    faults: list[dict[str, Any]]


class Playbooks(TypedDict):
    """The playbooks that tasks of a project may ask for."""

    project: str
    items: list[Playbook]
    next: str | None


class Step(TypedDict):
    """What was decided, by whom the task is tried next, and from which work on."""

    step: str
    kind: str
    agent: str | None
    commit: str | None
    reasons: list[str]


class Decided(Step):
    """A decision with what it depended on; `again` is what that leads to now, where it differs."""

    verdict: str
    attempt: int
    agent_id: str | None
    time: str
    question: str
    confidence: float | None
    findings: list[Finding]
    case: dict[str, Any] | None
    again: Step | None


class Decisions(TypedDict):
    """The decisions about a task, oldest first."""

    items: list[Decided]
    next: str | None


class Otherwise(TypedDict):
    """A decision of the past that would be another one, or at which other rules would hold.

    `would_be` is None where that cannot be told, for the rules `untold`.
    """

    task: str
    attempt: int
    was: Step
    would_be: Step | None
    would_hold: list[str]
    no_longer: list[str]
    untold: list[str]
    time: str


class TriedRule(TypedDict):
    """How often a rule held at decisions, would hold, and held while an agent worked.

    `tried` says at what it can be tried; None for one that there would not be any more.
    """

    name: str
    source: str | None
    tried: str | None
    held: int
    would_hold: int
    untold: int
    at_work: int


class RulesTrial(TypedDict):
    """At how many decisions the rules were asked, and what each of them came to."""

    asked: int
    not_asked: int
    unknown: int
    untold: int
    items: list[TriedRule]


class PolicyTrial(TypedDict):
    """How many decisions of a project would be the same, and which would not."""

    project: str
    settings: dict[str, Any]
    decisions: int
    same: int
    changed: int
    unknown: int
    rules: RulesTrial | None
    items: list[Otherwise]
    next: str | None


class Checkpoint(TypedDict):
    """A commit that a task's branch can be put back to, and what was true of the task then."""

    task_id: str
    n: int
    attempt: int
    label: str
    commit: str
    created_at: str
    base_commit: str | None
    agent_id: str | None
    session_id: str | None
    log_offset: int | None
    tries: int | None
    feedback: dict[str, Any] | None


class Footprint(TypedDict):
    """One line of a task's decision trail; `state` is ok, fail, note or wait."""

    rev: int
    time: str
    type: str
    text: str
    state: str


class Acceptance(TypedDict):
    """Acceptance tests: who writes them, how many there are, in which files, and for whom."""

    task_id: str
    label: str
    status: str
    tests: int | None
    visible: list[str]
    hidden: list[str]
    judges: list[str]


class Crew(TypedDict):
    """Where a task stands in its playbook; `events` are those that led it there, oldest first.

    `way` are its steps, each with a `state`: done, now, ahead.
    """

    step: str
    rounds: int
    way: list[dict[str, Any]]
    pull: dict[str, Any] | None
    analysis: dict[str, Any] | None
    reviews: list[dict[str, Any]]
    deployment: dict[str, Any] | None
    events: list[dict[str, Any]]
    cause: dict[str, Any] | None
    caused: list[dict[str, Any]]


class TaskDetail(Task):
    """A task with all that is known about it."""

    agents: list[Agent]
    verdicts: list[Verdict]
    outcomes: NotRequired[list[Outcome]]
    decisions: list[DecisionTaken]
    breakpoint: Breakpoint | None
    checkpoints: list[Checkpoint]
    trail: list[Footprint]
    plan: dict[str, Any] | None
    rubric: dict[str, Any] | None
    parent: Task | None
    workers: list[Task]
    authors: list[Task]
    acceptance: Acceptance | None
    crew: Crew | None


class FileChange(TypedDict):
    """One file of a diff; `status` is added, modified, deleted or renamed."""

    path: str
    old_path: str | None
    status: str
    added: int
    removed: int
    binary: bool
    patch: str
    truncated: bool


class Diff(TypedDict):
    """What a task changed."""

    base: str | None
    head: str | None
    added: int
    removed: int
    files: list[FileChange]
    files_left_out: int


class Event(TypedDict):
    """One immutable fact."""

    rev: int
    time: str
    type: str
    subject: str
    payload: dict[str, Any]
    project_id: str | None
    task_id: str | None
    cause: int | None
    processed_at: str | None


class EventStory(Event):
    """An event with the chain of causes that led to it, oldest first, and what it led to."""

    chain: list[Event]
    led_to: list[Event]


class LogLine(TypedDict):
    """A piece of an agent's output; `offset` counts bytes of the whole stream."""

    offset: int
    time: str
    stream: str
    text: str


class LogPage(TypedDict):
    """A stretch of an agent's output and where the next one begins."""

    items: list[LogLine]
    next: int
    truncated: dict[str, int] | None
    ended: bool


class LogMessage(TypedDict):
    """One message of a live log: `log`, `truncated` or, last, `end`."""

    event: str
    id: str
    data: dict[str, Any]


class QueueSettings(TypedDict):
    """What holds work back; without a `processor` the server starts nothing."""

    paused: bool
    stop_on_failure: bool
    max_concurrent: int
    stopped_by: str | None
    processor: bool


class Stopped(TypedDict):
    """The task whose failure stops the list; `holds_back` tasks on the list wait for that."""

    task_id: str
    task_label: str
    task_title: str
    project_id: str
    why: str
    since: str | None
    holds_back: int


class Queue(TypedDict):
    """The ordered list and what holds it."""

    items: list[Task]
    completed: list[Task]
    settings: QueueSettings
    stopped: Stopped | None
    running: int
    waiting: int


class Tasks(TypedDict):
    """A page of tasks."""

    items: list[Task]
    next: str | None


class Agents(TypedDict):
    """A page of agents."""

    items: list[Agent]
    next: str | None


class Projects(TypedDict):
    """A page of projects."""

    items: list[Project]
    next: str | None


class Events(TypedDict):
    """A page of events."""

    items: list[Event]
    next: Any


class Breakpoints(TypedDict):
    """A page of questions, and what stops the ordered list."""

    items: list[Breakpoint]
    next: str | None
    stopped: Stopped | None


class Checkpoints(TypedDict):
    """A page of checkpoints."""

    items: list[Checkpoint]
    next: str | None


class Metrics(TypedDict):
    """What happened since a time, in figures (`docs/api.md`)."""

    project: str | None
    since: str | None
    until: str
    tasks: dict[str, Any]
    attempts: dict[str, int]
    stages: dict[str, dict[str, Any]]
    confidence: list[dict[str, Any]]
    reliability: dict[str, Any]
    questions: dict[str, Any]
    rules: dict[str, int]
    cost: dict[str, Any]


class Succeeded(TypedDict):
    """How many runs of agents ended how; the rate is null before any could tell."""

    succeeded: int
    failed: int
    cancelled: int
    open: int
    rate: float | None


class Used(TypedDict):
    """What runs of agents cost."""

    runs: int
    cost_usd: float
    input_tokens: int
    output_tokens: int


class Took(TypedDict):
    """How many took how long: half, 90 of 100, and the longest; null without any."""

    count: int
    p50_seconds: float | None
    p90_seconds: float | None
    longest_seconds: float | None


class SuccessBy(TypedDict):
    """Successes, by the name of each."""

    by_role: dict[str, Succeeded]
    by_driver: dict[str, Succeeded]
    by_type: dict[str, Succeeded]


class CostBy(Used):
    """Costs in all, and by the name of each."""

    by_role: dict[str, Used]
    by_driver: dict[str, Used]
    by_type: dict[str, Used]


class AgentSeconds(Took):
    """How long runs took that have ended, in all and by role."""

    by_role: dict[str, Took]


class TaskSeconds(Took):
    """How long completed work took from its words on, in all and by type."""

    by_type: dict[str, Took]


class Retries(TypedDict):
    """Tasks with agents of a role, those with more than one, and how many more there were."""

    tasks: int
    retried: int
    retries: int


class ReviewRounds(TypedDict):
    """Reviewed tasks, and how often changes were asked for, in all and at most."""

    tasks: int
    rounds: int
    most: int


class Waits(TypedDict):
    """How long queued tasks wait by now, and how long those have waited that started."""

    waiting: Took
    waited: Took


class AgentAnalytics(TypedDict):
    """How agents do, how their runs end, and how long work waits."""

    project: str | None
    since: str | None
    until: str
    items: list[dict[str, Any]]
    runs: list[dict[str, Any]]
    agents: dict[str, int]
    tasks: dict[str, int]
    success: SuccessBy
    cost: CostBy
    agent_seconds: AgentSeconds
    task_seconds: TaskSeconds
    retries: dict[str, Retries]
    review_rounds: ReviewRounds
    queue: Waits
    next: None


class GitHubStatus(TypedDict):
    """Whether GitHub takes the server's token, and for whom."""

    forge: str
    api_url: str
    owner: str | None
    signed_in: bool
    login: str | None
    scopes: list[str]
    why: str
    mend: str
    rate_left: int | None
    rate_resets_at: int | None
    webhook: bool


class GitHubRepository(TypedDict):
    """A repository at GitHub."""

    name: str
    default_branch: str
    clone_url: str
    url: str
    private: bool
    may_push: bool


class CloneUrl(TypedDict):
    """Where git gets a repository."""

    repo: str
    url: str
    authenticated: bool


class Pushed(TypedDict):
    """What of a task was brought to GitHub, and where it is."""

    task: str
    repo: str
    branch: str
    commit: str


class PullRequest(TypedDict):
    """A pull request; `mergeable` is None while GitHub has not found out."""

    repo: str
    number: int
    url: str
    title: str
    state: str
    branch: str
    base: str
    head: str
    author: str
    mergeable: bool | None
    merged_commit: str | None


class WholePullRequest(PullRequest):
    """A pull request with what its checks and its reviewers say."""

    checks: str
    reviews: list[dict[str, Any]]


class PullRequests(TypedDict):
    """A page of pull requests."""

    items: list[PullRequest]
    next: str | None


class EnsuredRemote(TypedDict):
    """The remote by which a project's repository finds GitHub, and whether it is new."""

    project: str
    repo: str
    remote: str
    url: str
    added: bool


class Token(TypedDict):
    """What is known of a token: `living`, `revoked` or `expired` is its `state`."""

    id: str
    name: str
    roles: list[str]
    state: str
    created_at: str
    created_by: str
    used_at: str | None
    expires_at: str | None
    revoked_at: str | None


class NewToken(Token):
    """A token that was just made, with the token itself."""

    token: str


class Tokens(TypedDict):
    """All tokens."""

    items: list[Token]
    next: str | None
