"""The simulator: the real engine and store under virtual time, among bots and people that fail, with invariants checked
after every commit. Equal cases (scenario, seed, faults) give equal runs, byte for byte, in any process.

Start at `run.run(Case(seed))`. Where things are:

- Ground. `loop` virtual time, hosts that die or stand still, `chaos`. `clock`, `coins` (every choice drawn from the
  seed and from what it is about), `chance` (a plain stream, for tests), `tripwires` (the real world raises).
- What goes wrong. `faults`: all kinds, their names `kind@site:entity#n`, their coins and sizes. Whoever has an
  opportunity asks `faults.strike(kind, place)` there, and does the harm itself: `network`, `storing` (commits),
  `broker` (hints), `orchestrator` (death, pauses, upgrades, its clocks), `bots`, `people`.
- Who takes part. `host` (a name, a process, patience), `bots`, `people`, and the `orchestrator`, whose `door` they
  knock at through the `network`. The door is the edge of the first level, in the place of HTTP.
- The second level (`Case(level="http")`), where the door is the whole HTTP application and the SDK does the asking:
  `http_level` (what differs in a run), `http_door` (requests through the network, answers held against the model),
  `sdk_bots`, `sdk_people`; `own` and `own_bots` (bots and invariants of the user's, from their files).
- The third level (`Case(level="process")`, `processes.run_processes`), where nothing is virtual: `processes` (the
  story), `process_server` (the orchestrator, which is killed with -9), `process_bot` (the program of a bot),
  `process_history` (what was answered, held against the store), `process_parts` (what these share).
- What must hold. `invariants` (ids, sentences, `@invariant` for one's own), `model` (the shadow of the store, fed by
  each commit, asked before each answer), `judge` (what one commit must not do), `checks` (what rows can show).
- Several tenants: `borders` (their names; nothing of one comes to another), `nosy` and `nosy_http` (who tries),
  `shares` (turns for the engine).
- What comes of it. `run` (a case in, an outcome out), `scenarios` (what is played, as plain values), `cases` (cases as
  JSON), `trace` (lines and their digest), `coverage` (`reached("…")`), `shrink` (to the few faults that it takes).
- For tests of single rules: `harness` (one engine in hand), `asgi` (an application called in memory).
"""
