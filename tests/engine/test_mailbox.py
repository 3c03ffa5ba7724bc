"""What an agent says by files: heard while it runs, kept once, and refused where it is no good."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from engine.houses import Town, git, shell, town
from house.patience import PATIENCE
from muster.engine.mailbox import Mailbox

PUT = """
put() {{
    printf '%s' "$2" > "$MUSTER_MAILBOX/$1.part"
    mv "$MUSTER_MAILBOX/$1.part" "$MUSTER_MAILBOX/$1"
}}
{0}
echo x > made.txt
"""
WAIT = 'while [ ! -e "$MUSTER_MAILBOX/go" ]; do sleep 0.05; done;'


def puts(script: str) -> dict[str, Any]:
    return shell(PUT.format(script))


async def events(place: Town, kind: str) -> list[dict[str, Any]]:
    found = (await place.service.list_events(0, type=kind))["items"]
    return [event["payload"] for event in found]


async def until(place: Town, kind: str, **payload: Any) -> None:
    """Wait for an event that says this."""
    async with asyncio.timeout(PATIENCE):
        while not any(payload.items() <= said.items() for said in await events(place, kind)):
            await asyncio.sleep(0.02)


def mailbox(place: Town, task: dict[str, Any]) -> Any:
    return place.run_dir(task["agents"][-1]["id"]) / "agent" / "mailbox"


@pytest.mark.parametrize(
    "runtime", ["process", pytest.param("sandbox", marks=pytest.mark.needs_bubblewrap)]
)
async def test_status_result_and_events_are_heard_while_the_agent_runs(tmp_path, runtime):
    says = puts(
        'grep -q "do it" "$MUSTER_MAILBOX/tasks/$MUSTER_TASK.json" || exit 9;'
        """put status/$MUSTER_TASK.json '{"text": "half way", "percent": 50}';"""
        """put events/1.json '{"type": "build.finished", "payload": {"ok": true}}';"""
        """put results/$MUSTER_TASK.json '{"task_id": "MU-1", "status": "completed","""
        """ "output": "all of it", "completed_at": "2026-01-02T03:04:05Z"}';""" + WAIT
    )
    async with town(tmp_path, {"says": says}, test_command="true", runtime=runtime) as place:
        # It is told of what came; it would not find it by looking.
        place.house.tools.look_again_seconds = 10 * PATIENCE
        made = await place.submit("says", type="chore")
        await until(place, "agent.fact", progress="half way", percent=50)
        await until(place, "build.finished", ok=True)
        await until(place, "agent.result", status="completed", summary="all of it")
        running = await place.service.get_task(made["id"])
        (mailbox(place, running) / "go").touch()
        task = await place.until(made["id"])
        assert task["status"] == "completed", task["reason"]
        assert task["agents"][0]["result"]["data"]["completed_at"] == "2026-01-02T03:04:05Z"
        assert await events(place, "mailbox.refused") == []
        assert len(await events(place, "build.finished")) == 1
        assert list((mailbox(place, task) / "events").iterdir()) == []
        changed = git(place.repo, "show", "--format=", "--name-only", "main^..main")
        assert changed == "made.txt"


async def test_what_is_put_there_at_the_very_end_is_heard_too(tmp_path):
    says = puts("""for n in $(seq 30); do put events/$n.json '{"type": "own.kind"}'; done""")
    async with town(tmp_path, {"says": says}, test_command="true") as place:
        await place.do("says", type="chore")
        assert len(await events(place, "own.kind")) == 30


async def test_a_file_that_is_not_renamed_into_place_does_not_count(tmp_path):
    says = shell('echo "{" > "$MUSTER_MAILBOX/events/1.json.part"; echo x > made.txt')
    async with town(tmp_path, {"says": says}, test_command="true") as place:
        task = await place.do("says", type="chore")
        assert await events(place, "mailbox.refused") == []
        assert [p.name for p in (mailbox(place, task) / "events").iterdir()] == ["1.json.part"]


async def test_an_event_is_kept_once_though_the_server_is_another_one_meanwhile(tmp_path):
    says = puts("""put events/1.json '{"type": "own.kind"}';""" + WAIT)
    async with town(tmp_path, {"says": says}, test_command="true") as place:
        made = await place.submit("says", type="chore")
        await until(place, "own.kind")
        running = await place.service.get_task(made["id"])
        await place.restart()
        (mailbox(place, running) / "go").touch()
        task = await place.until(made["id"])
        assert task["status"] == "completed", task["reason"]
        assert len(await events(place, "own.kind")) == 1


def test_a_file_that_took_the_place_of_another_is_not_taken_away_for_it(tmp_path):
    box = Mailbox(tmp_path, "MU-1")
    box.furnish("do it")
    for said, end in (("{}", box.done), ("[]", lambda letter: box.reject(letter, "no object"))):
        (tmp_path / "events" / "1.json").write_text(said)
        (letter,) = box.look(last=True)
        (tmp_path / "later").write_text('{"type": "later"}')
        (tmp_path / "later").rename(tmp_path / "events" / "1.json")
        end(letter)
        (later,) = box.look(last=True)
        assert later.document == {"type": "later"}
        box.done(later)
        assert box.empty()


NOT_GOOD = {
    "events/object.json": ("put events/object.json '[1]'", "no JSON object"),
    "events/cut.json": ("put events/cut.json '{'", "no JSON"),
    "events/bytes.json": ("printf '\\377' > $MUSTER_MAILBOX/events/bytes.json", "no JSON"),
    "events/deep.json": (
        "python3 -c \"print('[' * 200000)\" > $MUSTER_MAILBOX/events/deep.json",
        "no JSON",
    ),
    "events/endless.json": (
        """put events/endless.json '{"type": "a.b", "payload": {"n": 1e999}}'""",
        "not finite",
    ),
    "events/half.json": ("""put events/half.json '{"type": "a.\\ud800"}'""", "Unicode"),
    "events/huge.json": (
        "head -c 300000000 /dev/zero > $MUSTER_MAILBOX/events/huge.json",
        "more than",
    ),
    "events/pipe.json": ("mkfifo $MUSTER_MAILBOX/events/pipe.json", "ordinary file"),
    "events/link.json": ("ln -s /etc/passwd $MUSTER_MAILBOX/events/link.json", "ordinary file"),
    "events/folder.json": ("mkdir -p $MUSTER_MAILBOX/events/folder.json/in", "ordinary file"),
    "events/muster.json": (
        """put events/muster.json '{"type": "task.completed"}'""",
        "cannot say",
    ),
    "results/MU-9.json": ("""put results/MU-9.json '{"status": "completed"}'""", "MU-1.json"),
    "results/MU-1.json": (
        """put results/MU-1.json '{"task_id": "MU-9", "status": "completed"}'""",
        "task_id is not MU-1",
    ),
    "status/MU-1.json": ("""put status/MU-1.json '{"text": "x", "percent": 101}'""", "percent"),
}


async def test_what_is_no_good_is_laid_aside_with_its_reason_and_told(tmp_path):
    perfect = """put results/MU-1.json '{"status": "perfect"}'"""
    gone = "while [ -e $MUSTER_MAILBOX/results/MU-1.json ]; do sleep 0.05; done"
    script = "\n".join(command for command, _ in NOT_GOOD.values())
    script = f"{perfect}\n{gone}\nrm -r $MUSTER_MAILBOX/rejected\n{script}"
    async with town(tmp_path, {"bad": puts(script)}, test_command="true") as place:
        task = await place.do("bad", type="chore")
        assert task["status"] == "completed", task["reason"]
        first, *told = await events(place, "mailbox.refused")
        assert "status 'perfect' is not known" in first["why"]
        assert {said["file"] for said in told} == set(NOT_GOOD)
        rejected = mailbox(place, task) / "rejected"
        for said in told:
            assert NOT_GOOD[said["file"]][1] in said["why"], said
            name = said["file"].replace("/", "-")
            assert (rejected / f"{name}.txt").read_text().strip() == said["why"]
            assert (rejected / name).is_symlink() or (rejected / name).exists()
        assert task["agents"][0]["result"] is None
        facts = await events(place, "agent.fact")
        assert [fact for fact in facts if "progress" in fact] == []


@pytest.mark.parametrize("what", [pytest.param("events", marks=pytest.mark.long), "rejected", "."])
async def test_no_link_leads_out_of_the_mailbox(tmp_path, what):
    """Neither is anything read there, nor is anything moved or written."""
    outside = tmp_path / "outside"
    for folder in (outside, outside / "events"):
        folder.mkdir()
        (folder / "1.json").write_text('{"type": "own.kind"}')
    script = (
        f'rm -rf "$MUSTER_MAILBOX/{what}"; ln -s {outside} "${{MUSTER_MAILBOX}}/{what}";'
        if what != "."
        else f'rm -rf "$MUSTER_MAILBOX"; ln -s {outside} "$MUSTER_MAILBOX";'
    )
    if what == "rejected":
        script += "put events/x.json '{'"
    before = sorted(outside.rglob("*"))
    async with town(tmp_path, {"bad": puts(script)}, test_command="true") as place:
        task = await place.do("bad", type="chore")
        assert task["status"] == "completed", task["reason"]
        assert await events(place, "own.kind") == []
        assert sorted(outside.rglob("*")) == before


@pytest.mark.long
async def test_a_flood_of_files_ends_with_the_mailbox(tmp_path):
    flood = (
        'for n in $(seq 700); do printf \'{"type": "own.kind"}\' >'
        ' "$MUSTER_MAILBOX/events/$n.json"; done'
    )
    async with town(tmp_path, {"flood": puts(flood)}, test_command="true") as place:
        task = await place.do("flood", type="chore")
        assert task["status"] == "completed", task["reason"]
        kept = (await place.service.list_events(0, type="own.kind", limit=1000))["items"]
        assert 400 <= len(kept) <= 500
        assert [t["file"] for t in await events(place, "mailbox.refused")][-1] == ""


async def test_a_result_that_says_it_failed_speaks_against_the_work(tmp_path):
    says = puts("""put results/MU-1.json '{"status": "failed", "output": "it is too hard"}'""")
    async with town(tmp_path, {"says": says}, test_command="true", max_attempts=1) as place:
        task = await place.do("says", type="chore")
        assert task["status"] == "failed"
        found = {f["code"]: f["text"] for v in task["verdicts"] for f in v["findings"]}
        assert "it is too hard" in found["agent.says_failed"]
