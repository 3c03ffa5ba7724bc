"""What of a tool's use is none of an agent's own, and what is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.supervision.outside import Own, tried

OWN = Own(
    "/m/workspaces/spaces/mine/tree",
    ("/m/runs/mine/agent", "/h/ann/.nvm/v22"),
    home="/m",
    person="/h/ann",
)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("cat /m/token", "muster"),
        ("sqlite3 '/m/muster.db' .dump", "muster"),
        ("ls -A /m", "muster"),
        ("cat ../../../../token", "muster"),
        ("cat /m/runs/other/agent/home/diary", "agent"),
        ("cp a.txt ../../other/tree/", "agent"),
        ("ls /home/box/.local/share/muster-far/runs", "agent"),
        ("cat /h/ann/.ssh/id_ed25519", "person"),
        ("/h/ann/diary", "person"),
        ("python3 -c \"open('/root/.bashrc').read()\"", "person"),
        ("cat //etc/shadow", "person"),
        ("cat /etc/./sudoers.d/x", "person"),
        ("ln -s /root/.ssh keys", "person"),
        ("curl --unix-socket /var/run/docker.sock http://x/containers/json", "engine"),
        ("cat /proc/1/environ", "process"),
        ("cat /proc/[0-9]*/environ", "process"),
        ("dd if=/dev/vda of=x", "device"),
        ("mknod disk b 254 0", "device"),
        ("curl http://169.254.169.254/latest/meta-data", "metadata"),
        ("wget http://[fd00:ec2::254]/", "metadata"),
        ("git config core.hooksPath /tmp/x", "git"),
        ("git config --global filter.evil.clean ./x", "git"),
        ("echo x > .git/hooks/pre-commit", "git"),
    ],
)
def test_what_is_none_of_its_own_is_told(text, what):
    assert [found.what for found in tried(text, OWN)] == [what]


@pytest.mark.parametrize(
    "text",
    [
        "make test",
        "cat src/a.py ./b.py",
        "cat /m/workspaces/spaces/mine/tree/a.py",
        "cat src/../a.py",
        "ls /m/runs/mine/agent/home",
        "/h/ann/.nvm/v22/bin/node x.js",
        "cat /etc/hosts /usr/include/stdio.h /proc/self/status /proc/cpuinfo",
        "echo x > /dev/null 2>&1 < /dev/zero",
        "ls /tmp /var/tmp",
        "curl http://127.0.0.1:8000/",
        "git commit -m 'git hooks'",
        "cat /x/muster-far/runs/0123456789abcdef0123456789abcdef/f0/a.py",
        "mknodes b c",
        "",
    ],
)
def test_honest_work_is_let_be(text):
    assert tried(text, OWN) == []


def test_each_place_is_told_once_and_in_short():
    found = tried(f"cat /root/a /root/a /root/{'b' * 5000}", OWN)
    assert [len(one.place) for one in found] == [7, 300]


@given(st.text() | st.text(alphabet="/.~ab \n"))
def test_no_text_makes_it_fail(text):
    assert all(found.what for found in tried(text, OWN))
