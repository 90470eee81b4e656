"""The simulator: the real engine and store under virtual time, among bots and people that fail. Invariants are checked
after every commit. Equal cases (scenario, seed, faults) give equal runs, byte for byte, in any process.

Start at `run.run(Case(seed))`. The rooms, from the ground up:

- `kernel`: what a run stands on. `loop` (virtual time; hosts that die or stand still), `clock`, `named_choice` (every
  choice is drawn from the seed and from what it is about), `chance` (a plain stream, for the SDK and for tests),
  `nondeterminism_guards` (the real clock, chance and network raise), `trace` (lines and their digest), `coverage`
  (`reached("...")`). `faults` lists all kinds of faults; each is named `kind@site:entity#n`. A module with an
  opportunity for one asks `faults.strike(kind, place)` and does the harm itself: `network`, `faulty_store`,
  `faulty_broker`, and in `play` the orchestrator, bots and people.
- `oracle`: what must hold. `invariants` (ids and sentences), `records` (what is stored, and what one commit wrote),
  `model` (the shadow of the store, fed by each commit and asked before each answer), `transition_checks` (what one
  commit must not do), `checks` (what rows can show), `http_answers`, `tenant_isolation`, `shares` (turns of tenants for
  the engine), `user_invariants`.
- `play`: the participants, each behaviour once for all levels: `bots`, `people`, `intruder` (somebody of another
  tenant), the `orchestrator`, and `scenarios` (what is played, as plain values). An edge carries a behaviour out:
  `play/core` by commands to the engine, `play/http` by the SDK, through the whole HTTP application.
- this folder: `run` (a case in, an outcome out), `core_run` and `http_run` (the run of a level), `outcome` (values),
  `cases` (cases as JSON), `shrink` (to the few faults a failure needs), `artifacts` (files a failure leaves), `pool`
  (many cases in several processes), `user_code` (bots and invariants from users' files), `invariants` (`@invariant`,
  for users), `harness` (one engine in hand, for tests of single rules).
- `process`: level process, where nothing is virtual. Start at `process.run.run_processes`.
- `rehearse`: scenario files, reports, calibration from a recording, back-tests.
"""
