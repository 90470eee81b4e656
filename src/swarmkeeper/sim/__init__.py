"""Simulator: runs the real engine and store under virtual time, with bots and people that fail. Checks invariants after
every commit. Equal cases (scenario, seed, faults) give equal runs, byte for byte, in any process.

Start at `run.run(Case(seed))`. The packages, from the lowest layer up:

- `kernel`: the base of every run. `loop` (virtual time; hosts that die or pause), `clock`, `named_choice` (draws each
  choice from the seed and the choice's name), `chance` (a plain random stream, for the SDK and for tests),
  `nondeterminism_guards` (make the real clock, randomness and network raise), `trace` (lines and their digest),
  `coverage` (`reached("...")`). `faults` lists all kinds of faults; each fault is named `kind@site:entity#n`. The
  modules that inject faults call `faults.strike(kind, place)` and do the harm themselves: `network`, `faulty_store`,
  `faulty_broker`, and in `play` the orchestrator, bots and people.
- `oracle`: the invariants. `invariants` (ids and sentences), `records` (the stored records, and what one commit wrote),
  `model` (the shadow of the store, updated by each commit and consulted before each answer), `transition_checks` (one
  commit), `checks` (stored rows), `http_answers`, `tenant_isolation`, `shares` (each tenant's share of the engine),
  `user_invariants`.
- `play`: the participants. Each behaviour is written once for all levels: `bots`, `people`, `intruder` (a member of
  another tenant), the `orchestrator`, the `engine` alone, and `scenarios` (the input of a run, as plain values). The
  edge of a level sends their requests: `play/core` as commands to the engine, `play/http` through the SDK and the whole
  HTTP application.
- this folder: `run` (a case in, an outcome out), `core_run` and `http_run` (the run of one level), `outcome` (values),
  `cases` (cases as JSON), `shrink` (finds the few faults that a failure needs), `artifacts` (files written for a
  failure), `pool` (plays cases in several processes), `user_code` (bots and invariants from users' files), `invariants`
  (`@invariant`, for users), `harness` (one engine, for tests of single rules).
- `process`: level process, with real processes and wall time. Start at `process.run.run_processes`. `server` is the
  orchestrator as a process of its own, for benchmarks too.
- `rehearse`: scenario files, reports, calibration from a recording, back-tests.
"""
