"""What `muster --help` prints, kept so that nothing has to be imported to say it.

A test holds it to the commands and options that there are.
"""

PAGE = """\
Usage: muster [OPTIONS] [COMMAND] [ARGS]...

  A control plane for fleets of AI coding agents: it merges only what passes
  muster.

Options:
  --version      Show the version.
  --json         Print one JSON document (JSON lines for streams).
  --home DIR     The state folder [MUSTER_HOME].
  --url URL      The server, if not this home's [MUSTER_URL].
  --token TOKEN  The access token; better given as MUSTER_TOKEN.
  --no-color     No colour [NO_COLOR].
  -q, --quiet    No progress, only results and errors.
  -h, --help     Show this message and exit.

Commands:
  demo        See the main job done on a sample repository.
  up          Run the server.
  down        Stop the server; running agents go on.
  open        Open the web page, signed in.
  status      Show what the server is doing.
  service     Run the server under systemd.
  doctor      Find what is missing and how to get it.
  init        Register a repository.
  project     List and change projects.
  do          Submit a task.
  plan        Split a wish into tasks.
  manager     Have a manager split a wish among workers.
  worker      Spawn, watch and clear away workers by hand.
  task        List, show and act on tasks.
  agent       List, show and stop agents; read their logs.
  inbox       List what waits for a person.
  breakpoint  List, show and answer questions.
  queue       Show and steer the queue.
  playbook    List, show and check ways through roles.
  event       List, follow and emit events.
  metrics     Show how the work goes, in figures.
  github      Look at GitHub, and merge pull requests there.
  token       Give people tokens of their own, with roles.
  host        List, add and remove machines reached by SSH.
  image       Make images for agents in containers.
  plugin      List drivers, runtimes and stores.
  debug       Collect what is known of a task, for others.
  mcp         Speak MCP over standard input and output.
  record      Save an agent's transcript as a cassette.
  help        Explain a topic, such as exit-codes.

  Global options work anywhere on the line. Exit codes: muster help exit-
  codes.
"""
