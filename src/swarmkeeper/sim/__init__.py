"""The simulator: the real engine and store under virtual time, among bots and people that fail. Invariants are checked
after every commit. Equal cases (scenario, seed, faults) give equal runs, byte for byte, in any process.

Start at `run.run(Case(seed))`. Each room imports only the rooms above it in this list:

- `kernel`: what a run stands on. `loop` (virtual time; hosts that die or stand still), `clock`, `named_choice` (every
  choice is drawn from the seed and from what it is about), `chance` (a plain stream, for the SDK and for tests),
  `nondeterminism_guards` (the real clock, chance and network raise), `trace` (lines and their digest), `coverage`
  (`reached("...")`). `faults` lists all kinds of faults; each is named `kind@site:entity#n`. A module with an
  opportunity for one asks `faults.strike(kind, place)` and does the harm itself: `network`, `faulty_store`,
  `faulty_broker`, and in `play` the orchestrator, bots and people.
- `oracle`: what must hold. `model` (the shadow of the store, fed by each commit and asked before each answer),
  `transition_checks` (what one commit must not do), `checks` (what rows can show), `tenant_isolation`, `shares` (turns
  of tenants for the engine).
- `play`: the participants. `scenarios` (what is played, as plain values), `host` (a name, a process, patience),
  `orchestrator`, bots, people, and intruders of another tenant; and the edges through which they ask: `core_edge` at
  level core, `http_edge` (the whole HTTP application, and the SDK) at level http.
- this folder: `run` (a case in, an outcome out), `http_run` (what differs at level http), `cases` (cases as JSON),
  `shrink` (to the few faults a failure needs), `artifacts` (files a failure leaves), `pool` (many cases in several
  processes), `user_code` (bots and invariants from users' files), `invariants` (ids, sentences, and `@invariant` for
  users), `harness` (one engine in hand, for tests of single rules).
- `process`: level process, where nothing is virtual. Start at `process.run.run_processes`.
- `rehearse`: scenario files, reports, calibration from a recording, back-tests.
"""
