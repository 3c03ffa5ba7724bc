"""A plugin for OpenCode that tells muster what its ACP leaves out: what the model's service said.

Facts, of 1.18.33: it asks a service that failed up to five times more, with 2 to 30 seconds between
or for as long as `retry-after` says, and its ACP says nothing meanwhile; nor does the error at the
end hold the service's status. Its plugins hear both (`session.status`, `session.error`). A plugin
runs in the same process, so that what it writes on standard output is a message of its own there;
names that begin with an underscore are free for that in ACP.

Into a folder of configuration it installs packages for plugins (31 MB, for which a new home makes
it wait before the first plugin), unless there is a `node_modules` and a lock file that names them.
This plugin needs none.
"""

from __future__ import annotations

import json

RETRY = "_muster/retry"
ERROR = "_muster/error"

_PLUGIN = f"""\
const tell = (method, params) =>
  process.stdout.write(JSON.stringify({{ jsonrpc: "2.0", method, params }}) + "\\n")

export const Muster = async () => ({{
  event: async ({{ event }}) => {{
    const {{ status, error }} = event.properties ?? {{}}
    if (event.type === "session.status" && status?.type === "retry")
      tell("{RETRY}", {{ message: status.message, delay: Math.max(0, status.next - Date.now()) }})
    if (event.type === "session.error" && error?.data?.statusCode)
      tell("{ERROR}", {{ status: error.data.statusCode }})
  }},
}})
"""
_LOCKED = {"lockfileVersion": 3, "packages": {"": {"dependencies": {"@opencode-ai/plugin": "*"}}}}

FILES = {
    "{home}/.config/opencode/plugin/muster.js": _PLUGIN,
    "{home}/.config/opencode/package-lock.json": json.dumps(_LOCKED),
    "{home}/.config/opencode/node_modules/.package-lock.json": "{}",
}
"""What is written where the configuration is the run's own."""
