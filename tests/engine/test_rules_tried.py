"""Rules of breakpoints tried on decisions of the past: what would hold, what no longer."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from engine.houses import CALC, Town, git, shell, town
from engine.test_breakpoints import RULES, rule
from engine.test_decisions import BREAKS_ONE, MENDS
from house.patience import PATIENCE
from muster.api.app import make_app
from muster.domain.errors import Invalid

CLAIMS = 'printf \'{"status": "completed", "output": "All tests pass now."}\' > "$MUSTER_RESULT"'
THEN = "rules:\n" + rule("mine", "{files: [calc.py], decision: accept}")
NOTES = "echo a note > notes.txt"
LONG_NAMES = "for n in $(seq 99); do echo > a-file-with-quite-a-long-name-of-its-own-$n.txt; done"
SECRET = "correct-horse-battery"
SHAPED = "ghp_0123456789abcdefghijABCDEFGHIJ012345"


async def tried(place: Town, rules: str, **settings: Any) -> dict[str, Any]:
    return await place.service.try_policy("repo", settings, rules)


def of(trial: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [item for item in trial["rules"]["items"] if item["name"] == name]
    return found


async def test_changed_rules_are_asked_about_every_decision_of_the_past(tmp_path):
    agents = {
        "mends": shell(MENDS), "notes": shell(NOTES), "many": shell(LONG_NAMES),
        "breaks": shell(f"{BREAKS_ONE}; {CLAIMS}"),
    }  # fmt: skip
    files = {**CALC, RULES: THEN}
    async with town(tmp_path, agents, files, max_attempts=2) as place:
        made = {name: await place.do(name, type="chore") for name in agents}
        steps = {n: [d["step"] for d in made[n]["decisions"]] for n in made}
        assert steps == {
            "mends": ["ask"], "notes": ["accept"], "many": ["accept"],
            "breaks": ["retry", "give_up"],
        }  # fmt: skip
        labels = {task["label"]: name for name, task in made.items()}

        def seen(trial: dict[str, Any]) -> dict[tuple[str, int], dict[str, Any]]:
            return {(labels[i["task"]], i["attempt"]): i for i in trial["items"]}

        # The same rules hold as then, and decide the same. What was too large to be kept is no
        # reason to say that a rule does not hold.
        same = await tried(place, THEN)
        assert (same["decisions"], same["same"], same["changed"]) == (5, 4, 0)
        assert (same["items"], same["rules"]["asked"], same["rules"]["untold"]) == ([], 5, 1)
        assert of(same, "mine")["untold"] == of(same, "risky-files")["untold"] == 1
        assert (of(same, "mine")["held"], of(same, "mine")["would_hold"]) == (1, 1)
        assert of(same, "contradiction")["held"] == of(same, "contradiction")["would_hold"] == 2
        assert of(same, "stuck")["tried"] == "at work only"
        assert of(same, "oscillation")["tried"] == "in part"

        # Another file of the same name: one that held no longer does, another would.
        other = await tried(place, THEN.replace("calc.py", "notes.txt"))
        found = seen(other)
        assert set(found) == {("mends", 1), ("notes", 1)}
        mends, notes = found["mends", 1], found["notes", 1]
        assert (mends["no_longer"], mends["would_be"]["step"]) == (["mine"], "accept")
        assert (notes["would_hold"], notes["would_be"]["step"]) == (["mine"], "ask")
        assert (other["changed"], other["rules"]["untold"]) == (2, 1)

        # What had happened by then is counted as of then; a rule that is gone is told, too.
        twice = "rules:\n" + rule("again", "{event: {kind: task.running, times: 2}}", "notify")
        found = seen(await tried(place, f"{twice}  - {{name: contradiction, active: false}}\n"))
        assert found["breaks", 1]["no_longer"] == ["contradiction"]
        assert found["breaks", 2]["would_hold"] == ["again"]
        assert found["breaks", 2]["would_be"]["step"] == "give_up"
        assert found["mends", 1]["no_longer"] == ["mine"]
        assert of(await tried(place, twice), "mine")["source"] is None

        # Settings and rules together: the rule asks about the decision that would be made.
        gives_up = "rules:\n" + rule("last", "{decision: give_up}")
        both_told = await tried(place, gives_up, max_attempts="1")
        both = seen(both_told)
        assert both["breaks", 1]["would_hold"] == ["last"]
        assert both["breaks", 1]["would_be"]["step"] == "ask"

        faulty = "rules:\n  - name: x\n    when: {file: [a]}\n    do: pause\n"
        with pytest.raises(Invalid, match="line 3: there is no condition 'file'"):
            await tried(place, faulty)
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(make_app(place.service, "0")), base_url="http://x",
            timeout=PATIENCE,
        ) as client:  # fmt: skip
            sent = {"rules": gives_up, "settings": {"max_attempts": "1"}}
            answer = await client.post("/api/projects/repo/try", json=sent)
            assert answer.json() == both_told
            wrong = await client.post("/api/projects/repo/try", json={"rules": faulty})
            assert (wrong.status_code, wrong.json()["faults"][0]["line"]) == (422, 3)

        def forget(tx):
            sql = 'update verdicts set "case" = json_remove("case", \'$.asked\')'
            tx.conn.exec_driver_sql(f"{sql} where task_id = '{made['mends']['id']}'")

        await place.house.store.write(forget)
        older = await tried(place, THEN.replace("calc.py", "notes.txt"))
        assert (older["unknown"], older["rules"]["unknown"], older["rules"]["asked"]) == (1, 1, 4)
        assert ("mends", 1) not in seen(older)
        again = await place.service.try_policy("repo", {})
        assert (again["same"], again["changed"], again["unknown"]) == (5, 0, 0)


async def test_rules_of_the_home_are_tried_below_those_of_the_project(tmp_path):
    agents = {"mends": shell(MENDS), "notes": shell(NOTES)}
    async with town(tmp_path, agents, {**CALC, RULES: THEN}) as place:
        labels = {(await place.do(name, type="chore"))["label"]: name for name in agents}

        async def found(**files: str) -> dict[str, Any]:
            trial = await place.service.try_policy("repo", {}, **files)
            return {labels[item["task"]]: item for item in trial["items"]}

        ours = "rules:\n" + rule("ours", "{files: [notes.txt], decision: accept}")
        alone = await found(home_rules=ours)
        assert set(alone) == {"notes"}, "the project's own rule holds as it did"
        assert alone["notes"]["would_hold"] == ["ours"]
        assert alone["notes"]["would_be"]["step"] == "ask"

        both = await found(home_rules=ours, rules="rules: []\n")
        assert (both["mends"]["no_longer"], both["notes"]["would_hold"]) == (["mine"], ["ours"])
        # The project's own name goes before the home's.
        over = await found(home_rules=ours, rules="rules:\n  - {name: ours, active: false}\n")
        assert (set(over), over["mends"]["no_longer"]) == ({"mends"}, ["mine"])

        with pytest.raises(Invalid, match="the home's rules have a fault in line 1"):
            await found(home_rules="rules: 1\n")
        # A change of what is nobody's any more is a fault of the file above.
        (place.repo / RULES).write_text("rules:\n  - {name: theirs, active: false}\n")
        git(place.repo, "commit", "--all", "--message", "Leave one out")
        theirs = ours.replace("ours", "theirs")
        untrusted = await found(home_rules=theirs)
        assert untrusted["notes"]["would_hold"] == ["theirs"], "a stranger's file leaves none out"
        with pytest.raises(Invalid, match="above these rules the project's own have a fault"):
            await found(home_rules=ours)
        assert not (place.home / "breakpoints.yaml").exists()
        assert not (place.home / "rules" / "home.yaml").exists()


async def test_no_secret_of_what_rules_are_asked_about_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("STORE_PASSWORD", SECRET)
    given = "another-horse-battery"
    told = f"All tests pass with {SECRET} and {given}."
    output = json.dumps({"status": "completed", "output": told})
    says = f"printf '%s' '{output}' > \"$MUSTER_RESULT\""
    agents = {
        "says": shell(f"{BREAKS_ONE}; {says}", env={"STORE_TOKEN": given}),
        "names": shell(f"echo > {SHAPED}.txt"),
    }
    async with town(tmp_path, agents, max_attempts=1) as place:
        assert (await place.do("says", type="chore"))["status"] == "failed"
        await place.do("names", type="chore")

        def kept(tx):
            rows = tx.conn.exec_driver_sql('select "case" from verdicts order by rev').all()
            held = tx.conn.exec_driver_sql("select payload from events where type='rule.held'")
            return [row[0] for row in rows], [row[0] for row in held]

        (says_case, names_case), (held,) = await place.house.store.read(kept)
        assert "contradiction" in held
        assert "All tests pass with *** and ***" in says_case
        assert SECRET not in says_case + held
        assert given not in says_case + held
        assert SHAPED not in names_case
        assert json.loads(names_case)["asked"]["cut"] == ["files"]
        trial = await tried(place, "rules:\n" + rule("mine", f"{{files: ['{SHAPED[:4]}*']}}"))
        assert of(trial, "mine")["untold"] == 1
